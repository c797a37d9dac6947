"""A body of 400 KB in an exotic charset: refused before anything parses it."""

import threading
import time
from pathlib import Path

import requests

from tests.tools.processes import Process, Processes

from . import Promise

SIZE = 400_000
CPU_SECONDS = 0.05
TICKS = 100
CHARSETS = ("punycode", "idna", "utf-7", "utf-16", "unicode_escape")


def body(charset: str) -> tuple[bytes, str]:
    """Return a form with one large field, and its media type."""
    part = (
        b'--b\r\nContent-Disposition: form-data; name="email"\r\n'
        b"Content-Type: text/plain; charset=" + charset.encode() + b"\r\n\r\n"
    )
    # Each letter is a place to insert another: the decoder's time is quadratic.
    filler = b"a" * SIZE
    media = f"multipart/form-data; boundary=b; charset={charset}"
    return part + filler + b"\r\n--b--\r\n", media


def processor_seconds(site: Process) -> float:
    """Return the processor time of a site and its workers."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == site.process.pid:  # its process group
            total += int(fields[11]) + int(fields[12])
    return total / TICKS


def attack(site: Process, charset: str) -> tuple[float, int, float]:
    """Return the processor time, the status, and how long another waited meanwhile."""
    data, media = body(charset)
    status: list[int] = []

    def send() -> None:
        # Without its cookie CSRF protection refuses before it reads the form.
        headers = {"Content-Type": media, "Cookie": f"csrftoken={'a' * 32}"}
        url = f"{site.url}/forgot-password"
        try:
            answer = requests.post(url, data, headers=headers, timeout=10)
            status.append(answer.status_code)
        except requests.RequestException:
            status.append(0)

    before = processor_seconds(site)
    sender = threading.Thread(target=send)
    sender.start()
    started = time.monotonic()
    requests.get(f"{site.url}/health/live", timeout=30)
    waited = time.monotonic() - started
    sender.join()
    return processor_seconds(site) - before, status[0], waited


def run(charsets: tuple[str, ...] = CHARSETS) -> list[Promise]:
    processes = Processes()
    try:
        # Two at once: the one beside it must not wait for the other's end.
        site = processes.gunicorn(workers=1, options=("--threads", "2"))
        requests.get(f"{site.url}/forgot-password", timeout=30)
        return [promise(charset, *attack(site, charset)) for charset in charsets]
    finally:
        processes.close()


def promise(charset: str, spent: float, status: int, waited: float) -> Promise:
    return Promise(
        f"{SIZE // 1000} KB of {charset}: 400, 413 or 415 in {CPU_SECONDS * 1000:.0f} ms of "
        "processor time, and others are served",
        f"{status} in {spent * 1000:.0f} ms, another waited {waited * 1000:.0f} ms",
        status in {400, 413, 415} and spent <= CPU_SECONDS and waited < 1,
    )
