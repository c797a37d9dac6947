"""How soon a mail comes, and what becomes of those asked for while the mail server is
down.
"""

import random
import time
from collections import Counter
from collections.abc import Sequence
from statistics import median

from benchmarks.client import Client
from benchmarks.doors import EMBEDDED, OURS, PEERS, WITHOUT_QUEUE, Site
from benchmarks.links import fresh_address
from benchmarks.machine import Machine, unknown_address
from benchmarks.report import Check, Report, Row

SITES = (OURS, WITHOUT_QUEUE, EMBEDDED, *PEERS)
LONGEST_INTERVAL = 1
INTERVALS = {"db_worker 0.1 s": 0.1, "db_worker 1 s": LONGEST_INTERVAL}
LOOP, THREAD = "--loop", "embedded"
LIMITS = {LOOP: 100, "db_worker 0.1 s": 250, "db_worker 1 s": 1000, THREAD: 2000}


def measure(machine: Machine, sites: Sequence[Site], mails: int, lost: int) -> Report:
    """Time mails with the mail server up, then ask for more with it down."""
    peers = [site for site in sites if site in PEERS]
    cells = {site.name: f"{_median_ms(machine, site, mails):.0f}" for site in peers}
    found = _ours(machine, mails)
    cells[OURS.name] = "; ".join(f"{taken:.0f}" for taken in found.values())
    title = f"POST to mail received, median ms (ours: {'; '.join(found)})"
    checks = [
        Check(
            f"a mail within {LIMITS[way]} ms: {way}",
            taken < LIMITS[way],
            f"{taken:.0f} ms",
        )
        for way, taken in found.items()
    ]
    report = Report([Row(title, cells)], checks)
    report.add(outage(machine, [OURS, *peers], lost))
    return report


def _ours(machine: Machine, mails: int) -> dict[str, float]:
    """Return the median milliseconds by the way in which the worker is woken."""
    found: dict[str, float] = {}
    with machine.loop(WITHOUT_QUEUE):
        found[LOOP] = _median_ms(machine, WITHOUT_QUEUE, mails)
    for way, interval in INTERVALS.items():
        with machine.worker(OURS, interval):
            found[way] = _median_ms(machine, OURS, mails)
    found[THREAD] = _median_ms(machine, EMBEDDED, mails)
    return found


def _median_ms(machine: Machine, site: Site, mails: int) -> float:
    client = Client(machine.ports[site.name])
    return 1000 * median(_seconds(machine, site, client) for _ in range(mails))


def _seconds(machine: Machine, site: Site, client: Client) -> float:
    if site.has_worker:
        # Otherwise each request would come right after a poll that the one before it
        # ended.
        time.sleep(random.random() * LONGEST_INTERVAL)
    address = fresh_address()
    message = site.prepare(client, address)
    before = time.monotonic()
    client.send(message)
    mail = machine.mailbox.wait(address, before)
    return mail.at - before if mail else float("inf")


def outage(machine: Machine, sites: Sequence[Site], asked: int) -> Report:
    """Ask with the mail server down; start it again; count the mails that come."""
    machine.forget_requests(OURS)
    machine.mailbox.wait_for_silence()
    machine.mailbox.close()
    with machine.worker(OURS):
        known = {site.name: [fresh_address() for _ in range(asked)] for site in sites}
        answers = {
            site.name: _answers(machine, site, known[site.name]) for site in sites
        }
    machine.mailbox.open()
    arrived = _arrived(machine)
    lost = {
        name: asked - len(arrived.intersection(all_)) for name, all_ in known.items()
    }
    rows = [
        Row("mail server down: answers to known; unknown addresses", answers),
        Row(
            f"… mails lost of {asked}",
            {name: str(number) for name, number in lost.items()},
        ),
    ]
    return Report(
        rows,
        [
            Check(
                "no mail of an outage is lost",
                lost[OURS.name] == 0,
                f"{lost[OURS.name]}",
            )
        ],
    )


def _answers(machine: Machine, site: Site, known: list[str]) -> str:
    unknown = [unknown_address() for _ in known]
    return "; ".join(
        _statuses(machine, site, addresses) for addresses in (known, unknown)
    )


def _statuses(machine: Machine, site: Site, addresses: list[str]) -> str:
    client, statuses = Client(machine.ports[site.name]), Counter[int]()
    for address in addresses:
        statuses[client.send(site.prepare(client, address)).status] += 1
    return ", ".join(
        f"{number}×{status}" for status, number in sorted(statuses.items())
    )


def _arrived(machine: Machine) -> set[str]:
    """Return who got a mail once all that is kept was tried again, the back-off being
    over.
    """
    start = len(machine.mailbox.mails)
    machine.sql(OURS, "UPDATE password_reset_requests SET next_attempt_at = now()")
    machine.manage(OURS, "process_reset_requests")
    machine.mailbox.wait_for_silence()
    return {mail.recipient for mail in machine.mailbox.mails[start:]}
