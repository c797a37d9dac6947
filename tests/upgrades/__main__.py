"""Write the record of a release's columns: see the package."""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.upgrades import releases, schema
from tests.upgrades.sites import Site

PRINT = (
    "import django, json, sys; sys.path.append(sys.argv[1]); django.setup();"
    "from schema import of_models; print(json.dumps(of_models()))"
)


def record(release: str) -> None:
    with TemporaryDirectory() as folder:
        name = str(Path(folder) / "site.sqlite3")
        database = {"ENGINE": "django.db.backends.sqlite3", "NAME": name}
        site = Site(releases.unpacked(release), database)
        result = site.run("-c", PRINT, str(Path(__file__).parent))
    assert result.returncode == 0, result.stderr
    content = {"release": Path(release).name, "tables": json.loads(result.stdout)}
    schema.RECORD.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["record"]:
            record(releases.known()[0])
        case ["record", release]:
            record(release)
        case _:
            sys.exit("usage: python -m tests.upgrades record [REVISION or WHEEL]")
