"""Spend links: twenty at once with one token, and what a reset costs in password
hashes.
"""

import threading
import time
from collections.abc import Callable, Sequence
from secrets import token_urlsafe
from statistics import median

from django.contrib.auth.hashers import PBKDF2PasswordHasher

from benchmarks.client import Client
from benchmarks.doors import CONTRIB_AUTH, OURS, Site
from benchmarks.links import links
from benchmarks.machine import Machine
from benchmarks.report import Check, Report, Row

THREADS = 20


def race(machine: Machine, sites: Sequence[Site], tokens: int) -> Report:
    """Count the successes of twenty threads with one token."""
    with machine.worker(OURS, 0.2):
        wins = {
            site.name: [
                _race(machine, site, link) for link in links(machine, site, tokens)
            ]
            for site in sites
        }
    ours, auth = wins[OURS.name], max(wins[CONTRIB_AUTH.name])
    cells = {name: ", ".join(map(str, all_)) for name, all_ in wins.items()}
    checks = [
        Check("the race catches contrib.auth", auth > 1, f"{auth} of {THREADS}", True),
        Check("a token is spent exactly once", set(ours) == {1}, cells[OURS.name]),
    ]
    return Report([Row(f"one token, {THREADS} threads: successes", cells)], checks)


def _race(machine: Machine, site: Site, link: str) -> int:
    barrier, wins = threading.Barrier(THREADS), []

    def spend() -> None:
        client = Client(machine.ports[site.name])
        message = site.spend(client, link, token_urlsafe(12))
        barrier.wait(30)
        wins.append(site.succeeded(client.send(message)))
        client.close()

    threads = [threading.Thread(target=spend) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(wins)


def cost(machine: Machine, sites: Sequence[Site], resets: int, few: int) -> Report:
    """Time resets and refused tokens, each beside one password hash."""
    valid: dict[str, float] = {}
    invalid: dict[str, float] = {}
    with machine.worker(OURS, 0.2):
        for site in sites:
            found = links(machine, site, (resets if site == OURS else few) + 1)
            machine.mailbox.wait_for_silence(0.5)
            valid[site.name] = median(
                _in_hashes(machine, site, link) for link in found[1:]
            )
            if site.token_travels_with_password:
                invalid[site.name] = median(
                    _in_hashes(machine, site, found[0], forged=True) for _ in found
                )
    return _cost_report(valid, invalid)


def _in_hashes(
    machine: Machine, site: Site, link: str, *, forged: bool = False
) -> float:
    client, password = Client(machine.ports[site.name]), token_urlsafe(12)
    message = site.spend(client, link, password)
    if forged:
        message = site.forge(message, link)
    reset = _seconds(lambda: client.send(message))
    client.close()
    return reset / _seconds(
        lambda: PBKDF2PasswordHasher().encode(password, "benchmark-salt")
    )


def _seconds(act: Callable[[], object]) -> float:
    before = time.perf_counter()
    act()
    return time.perf_counter() - before


def _cost_report(valid: dict[str, float], invalid: dict[str, float]) -> Report:
    ours, refused = valid[OURS.name], invalid[OURS.name]
    rows = [
        Row(
            "a valid reset, in password hashes",
            {n: f"{v:.2f}" for n, v in valid.items()},
        ),
        Row(
            "an invalid token, in password hashes",
            {n: f"{v:.3f}" for n, v in invalid.items()},
        ),
    ]
    checks = [
        Check(
            "a valid reset within 10 % of one hash", abs(ours - 1) <= 0.1, f"{ours:.2f}"
        ),
        Check(
            "an invalid token at most 1/20 of a hash",
            refused <= 1 / 20,
            f"{refused:.3f}",
        ),
    ]
    return Report(rows, checks)
