"""Tests, in a folder for each layer.

`unit` asks one module, `flow` acts from outside by HTTP, mailbox and database, `hosts`
puts the wheel into projects of other shapes, `examples` starts those of `examples/`,
`project` tests the demo, `kit` what needs Debian's packages, `server` a whole server;
`tools` are the servers and persons of all these, and test the repository itself.
"""

from pathlib import Path

ROOT = Path(__file__).parent.parent
