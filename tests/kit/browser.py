"""A browser between two sites over HTTPS: ours, and a webmail from which people come."""

import hashlib
import ssl
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any, Self

from axe_playwright_python.sync_playwright import Axe
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core import mail
from django.core.handlers.wsgi import WSGIHandler
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from playwright.sync_api import Browser, Page, Playwright, Request, Response

from tests.kit.programs import find_program

Application = Callable[[dict[str, Any], Any], Any]
# Two registrable domains, so that one is cross-site to the other (RFC 6761 keeps .test
# for tests).
SITE, WEBMAIL = "www.site.test", "www.webmail.test"
#: Where a browser ends that looks for anybody else.
RESOLVER = (
    f"MAP {SITE} 127.0.0.1, MAP {WEBMAIL} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE localhost"
)
#: What moves on a page although nobody touched it; 0 is best.
SHIFT_OBSERVER = """
  window.shifted = 0;
  new PerformanceObserver((list) => list.getEntries().forEach((entry) => (window.shifted += entry.hadRecentInput ? 0 : entry.value)))
    .observe({type: "layout-shift", buffered: true});
"""


class Quiet(WSGIRequestHandler):
    def log_message(self, *args: Any) -> None:
        """Say nothing; the visits are kept."""


class TlsServer:
    """An application on HTTPS; `visits` are the requests as they arrived."""

    def __init__(self, host: str, application: Application, certificate: Path) -> None:
        self.application = application
        self.visits: list[dict[str, Any]] = []
        self.server = ThreadedWSGIServer(
            ("127.0.0.1", 0), Quiet, allow_reuse_address=False
        )
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, certificate.with_suffix(".key"))
        # The handshake belongs to the connection's own thread.
        self.server.socket = context.wrap_socket(
            self.server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.server.base_environ["HTTPS"] = "on"
        self.server.set_app(self.answer)
        self.url = f"https://{host}:{self.server.server_port}"
        self.thread = Thread(
            target=self.server.serve_forever,
            kwargs={"poll_interval": 0.05},
            daemon=True,
        )

    def answer(self, environ: dict[str, Any], start_response: Any) -> Any:
        self.visits.append(environ)
        environ.pop(
            "HTTP_IF_MODIFIED_SINCE", None
        )  # so that a page's parts are sent with each page
        return self.application(environ, start_response)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def site_application() -> Application:
    """Return the demo with the settings of this moment, static files included."""
    return StaticFilesHandler(WSGIHandler())


def webmail(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Show the newest mail as a webmail does: its HTML, under an address of its own."""
    start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
    return [
        str(mail.outbox[-1].alternatives[0][0]).encode() if mail.outbox else b"no mail"
    ]


def key_digest(certificate: Path) -> str:
    """Return the digest of a certificate's key, by which Chromium is told to trust that
    one and no other.
    """
    command = ["openssl", "x509", "-in", certificate, "-noout", "-pubkey"]
    pem = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return b64encode(
        hashlib.sha256(b64decode("".join(pem.splitlines()[1:-1]))).digest()
    ).decode()


def launch(playwright: Playwright, certificate: Path | None = None) -> Browser:
    """Start Chromium: localhost and, by their certificate, our two sites are all of its
    world.
    """
    arguments = ["--no-sandbox", f"--host-resolver-rules={RESOLVER}"]
    if certificate:
        digest = key_digest(certificate)
        arguments.append(f"--ignore-certificate-errors-spki-list={digest}")
    return playwright.chromium.launch(
        executable_path=find_program("chromium", "chromium"), args=arguments
    )


class Window:
    """A browser's window with cookies of its own; keeps what it asked for and what was
    answered.
    """

    def __init__(self, browser: Browser, url: str, **options: Any) -> None:
        self.context = browser.new_context(base_url=url, **options)
        self.context.add_init_script(SHIFT_OBSERVER)
        self.requests: list[Request] = []
        self.pages: list[Response] = []
        self.context.on("request", self._keep_request)
        self.context.on("response", self._keep_page)
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(15_000)
        # Each page as somebody sees it whose first page it is.
        cache = {"cacheDisabled": True}
        self.context.new_cdp_session(self.page).send("Network.setCacheDisabled", cache)

    def _keep_request(self, request: Request) -> None:
        self.requests.append(request)

    def _keep_page(self, response: Response) -> None:
        if response.request.is_navigation_request():
            self.pages.append(response)

    @property
    def status(self) -> int:
        return self.pages[-1].status

    @property
    def source(self) -> str:
        """Return the page's HTML as it came over the wire."""
        return self.pages[-1].text()

    def ask(self, email: str) -> None:
        """Send the first form."""
        self.page.goto("/forgot-password")
        self.page.locator("[name=email]").fill(email)
        self.send()

    def choose(self, password: str, again: str | None = None) -> None:
        """Send the second form, which is open."""
        self.page.locator("[name=new_password1]").fill(password)
        self.page.locator("[name=new_password2]").fill(
            password if again is None else again
        )
        self.send()

    def send(self) -> None:
        # A new page, not a navigation: the form also changes this page's history.
        with self.page.expect_event("load"):
            self.page.locator("main [type=submit]").click()

    def tab_to(self, selector: str) -> None:
        """Press Tab until something has the focus, and see that each stop on the way
        shows it.
        """
        for _ in range(12):
            self.page.keyboard.press("Tab")
            assert self.page.evaluate(SHOWS_FOCUS), self.page.evaluate(
                "document.activeElement.outerHTML"
            )
            if self.page.evaluate(
                "selector => document.activeElement.matches(selector)", selector
            ):
                return
        raise AssertionError(f"Tab does not lead to {selector}")

    def transfers(self) -> list[int]:
        """Return the sizes, uncompressed, of all that the open page consists of."""
        self.page.wait_for_load_state("networkidle")
        first = self.requests.index(self.pages[-1].request)
        responses = [
            each.response()
            for each in self.requests[first:]
            if not each.url.startswith("data:")
        ]
        return [len(response.body()) for response in responses if response]

    def shift(self) -> float:
        """Return how far things have moved by themselves since the page came."""
        self.page.evaluate(
            "() => new Promise((done) => requestAnimationFrame(() => "
            "requestAnimationFrame(done)))"
        )
        return float(self.page.evaluate("window.shifted"))

    def close(self) -> None:
        self.context.close()


OVERFLOWING = """() => [...document.querySelectorAll("main, main *, .pr-brand")]
  .filter((each) => !each.matches("input, .pr-unseen"))
  .filter((each) => each.getBoundingClientRect().right > innerWidth + 1
    || each.clientWidth && each.scrollWidth > each.clientWidth + 1)
  .map((each) => each.outerHTML.slice(0, 120))"""
BUTTON = "a[href*='token=']"
SHOWS_FOCUS = """() => {
  const style = getComputedStyle(document.activeElement);
  return document.activeElement !== document.body && (style.outlineStyle !== "none" || style.boxShadow !== "none");
}"""


def open_mail(window: Window, mailbox: TlsServer) -> None:
    """Click the button of the mail, in the webmail."""
    window.page.goto(mailbox.url)
    with window.page.expect_navigation():
        window.page.locator(BUTTON).first.click()


def violations(page: Page, *tags: str) -> list[str]:
    """Return what axe-core has to say, in words; of the rules with these tags alone."""
    options = {"runOnly": list(tags)} if tags else None
    found = Axe().run(page, options=options).response["violations"]
    return [f"{each['id']}: {node['html']}" for each in found for node in each["nodes"]]
