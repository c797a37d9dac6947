"""Get links the way people do: ask, and read the mail."""

import time
from itertools import count

from benchmarks.client import Client
from benchmarks.doors import Site
from benchmarks.machine import USERS, Machine, known_address

# From the end, so that no other measure has asked for the same account.
_numbers = count(USERS - 1, -1)


def fresh_address() -> str:
    """Return the address of an account that nobody has asked for yet."""
    return known_address(next(_numbers))


def links(machine: Machine, site: Site, number: int) -> list[str]:
    """Return links of as many accounts; a site with a worker needs it running."""
    client, since = Client(machine.ports[site.name]), time.monotonic()
    addresses = [fresh_address() for _ in range(number)]
    for address in addresses:
        client.send(site.prepare(client, address))
    client.close()
    return [_link(machine, address, since) for address in addresses]


def _link(machine: Machine, address: str, since: float) -> str:
    mail = machine.mailbox.wait(address, since)
    if mail is None:
        raise TimeoutError(f"no mail came to {address}")
    return mail.link
