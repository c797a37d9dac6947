"""When a visitor's largest element stands on the screen, on a processor four times as
slow as this one.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from benchmarks.report import Report
from tests.tools.servers import free_port

ROOT = Path(__file__).parent.parent
PAGES = ("/forgot-password", "/forgot-password/done", "/reset-password")
SLOWER = 4
PHONE = {"width": 390, "height": 844}
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
]
LARGEST = """() => new Promise((resolve) => new PerformanceObserver(
  (list) => resolve(list.getEntries().at(-1).startTime)
).observe({type: "largest-contentful-paint", buffered: true}))"""


def measure(visits: int) -> Report:
    """Print the median LCP of each page in milliseconds; each visit is somebody's
    first.
    """
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        return Report(
            [], [], ["Largest contentful paint: not measured without Chromium."]
        )
    with demo() as url:
        times = {
            page: statistics.median(_visit(chromium, url + page, visits))
            for page in PAGES
        }
    lines = [
        f"    {page}: {milliseconds:.0f} ms" for page, milliseconds in times.items()
    ]
    return Report(
        [],
        [],
        [f"Largest contentful paint, processor slowed {SLOWER} times:", "", *lines, ""],
    )


def _visit(chromium: str, url: str, visits: int) -> Iterator[float]:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only where there is a browser

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        for _ in range(visits):
            context = browser.new_context(viewport=PHONE)
            page = context.new_page()
            context.new_cdp_session(page).send(
                "Emulation.setCPUThrottlingRate", {"rate": SLOWER}
            )
            page.goto(url, wait_until="load")
            yield float(page.evaluate(LARGEST))
            context.close()
        browser.close()


@contextmanager
def demo() -> Iterator[str]:
    """Run the demo as `make run` does, on a database of its own, and give its address."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"http://127.0.0.1:{free_port()}"
        database = {
            "DATABASE_URL": f"sqlite:///{folder}/demo.sqlite3",
            "API_URL": url,
            "ENVIRONMENT": "development",
        }
        environment = {
            key: value for key, value in os.environ.items() if key != "REDIS_URL"
        } | database
        manage = [sys.executable, "manage.py"]
        subprocess.run(
            [*manage, "migrate", "--verbosity=0"], cwd=ROOT, env=environment, check=True
        )
        address = url.removeprefix("http://")
        command, quiet = (
            [*manage, "runserver", "--noreload", address],
            subprocess.DEVNULL,
        )
        with subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=quiet, stderr=quiet
        ) as site:
            _wait(url)
            yield url
            site.terminate()


def _wait(url: str) -> None:
    for _ in range(300):
        try:
            urlopen(f"{url}/health/live", timeout=5).close()
        except URLError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(f"{url} does not answer")
