"""Requests per second and latency at eight connections."""

import random
import statistics
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.client import Client
from benchmarks.doors import Site
from benchmarks.machine import Machine, known_address

CONNECTIONS = 8
# gunicorn's workers take connections as they come: new ones now and then even out who
# has how many.
REQUESTS_PER_CONNECTION = 50


@dataclass
class Load:
    """What one burst of requests saw."""

    seconds: float = 0
    client_seconds: float = 0
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        """Return requests per second."""
        return len(self.latencies) / self.seconds

    def percentile(self, percent: int) -> float:
        """Return a latency in milliseconds."""
        return 1000 * statistics.quantiles(self.latencies, n=100)[percent - 1]


def hammer(
    machine: Machine, site: Site, seconds: float, connections: int = CONNECTIONS
) -> Load:
    """Ask for mails to known addresses from several connections at once."""
    load, port = Load(), machine.ports[site.name]
    stop_at = time.perf_counter() + seconds
    started, cpu = time.perf_counter(), time.process_time()
    threads = [
        threading.Thread(target=_knock, args=(load, site, port, stop_at))
        for _ in range(connections)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    load.seconds = time.perf_counter() - started
    load.client_seconds = time.process_time() - cpu
    return load


def _knock(load: Load, site: Site, port: int, stop_at: float) -> None:
    client, sent = Client(port), 0
    site.prepare(client, known_address())
    while time.perf_counter() < stop_at:
        message = site.prepare(client, known_address())
        before = time.perf_counter()
        answer = client.send(message)
        load.latencies.append(time.perf_counter() - before)
        load.statuses[answer.status] += 1
        sent += 1
        if sent % REQUESTS_PER_CONNECTION == 0:
            client.close()
    client.close()


def shuffled(sites: Sequence[Site]) -> list[Site]:
    """Return the sites in an order of chance, so that no round favours one."""
    return random.sample(sites, len(sites))
