"""Attack the demo and hold what happens against what is promised: `python -m
tests.attacks [NAME ...]`, a few minutes for all, needs nothing running.

All is on 127.0.0.1, on servers of its own, and bounded; clocks are moved, not slept.
Exit code 1 when a promise does not hold.
"""

import importlib
import logging
import os
import sys
import time

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

NAMES = ("lockout", "flood", "redis_full", "buried", "bodies")
#: Takes long and wants a quiet machine.
ON_REQUEST = ("onecore",)


def prepare() -> None:
    """Make an empty database the one of this process, and mail a list."""
    django.setup()
    from django.core.management import call_command  # noqa: PLC0415 - needs settings
    from django.test.utils import setup_test_environment  # noqa: PLC0415

    logging.disable(logging.CRITICAL)
    call_command("migrate", verbosity=0)
    setup_test_environment()


def attack(name: str) -> bool:
    """Run one simulation and print its promises; return whether all hold."""
    started = time.monotonic()
    simulation = importlib.import_module(f"tests.attacks.{name}")
    title = (simulation.__doc__ or name).partition("\n")[0]
    print(f"\n{name}: {title}", flush=True)
    promises = simulation.run()
    for promise in promises:
        print(f"  {promise}", flush=True)
    print(f"  ({time.monotonic() - started:.0f} s)", flush=True)
    return all(promise.holds for promise in promises)


def main(names: list[str]) -> int:
    there_are = (*NAMES, *ON_REQUEST)
    if unknown := set(names) - set(there_are):
        print(f"There is no {' '.join(sorted(unknown))}; only {' '.join(there_are)}")
        return 2
    from tests.tools.servers import start_servers  # noqa: PLC0415 - loads Django

    servers = start_servers()
    try:
        prepare()
        held = [attack(name) for name in names or NAMES]
    finally:
        from django.db import connections  # noqa: PLC0415 - needs settings

        for connection in connections.all(initialized_only=True):
            connection.close()
            if getattr(connection, "pool", None):
                connection.close_pool()
        for server in servers:
            server.close()
    print("\nEvery promise holds." if all(held) else "\nA promise does not hold.")
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
