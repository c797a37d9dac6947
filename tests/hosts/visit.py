"""One visit to one host: what its steps share."""

from urllib.parse import urlsplit

from tests.hosts.browser import Browser, Page
from tests.hosts.host import Host, Walk
from tests.hosts.mailbox import Mailbox
from tests.hosts.project import OLD_PASSWORD
from tests.hosts.site import Site

NEW_PASSWORD = "quite-another-pass-phrase"


class Visit:
    """People in front of a host."""

    def __init__(self, project: Site) -> None:
        self.project = project
        self.seen: list[Page] = []
        #: The links that came by mail, by address.
        self.links: dict[str, str] = {}
        self.tokens: dict[str, str] = {}
        self.browser = self.new_browser()
        self.staff = self.new_browser()

    @property
    def host(self) -> Host:
        return self.project.host

    @property
    def mailbox(self) -> Mailbox:
        return self.project.mailbox

    def new_browser(self) -> Browser:
        return Browser(self.project.url, self.host.language)

    def open(self, path: str) -> Page:
        """Open one of the app's pages; the prefix is the host's."""
        page = self.browser.open(self.host.prefix + path)
        self.seen.append(page)
        return page

    def take(self, walks: tuple[Walk, ...]) -> tuple[int, list[tuple[str, Exception]]]:
        """Take each walk until a step of it fails; return how many steps passed, and
        those that failed.
        """
        passed, failures = 0, []
        for steps in walks:
            for step in steps:
                try:
                    step(self)
                except Exception as error:
                    error.add_note(f"Step: {step.__name__}\n{self.project.log()}")
                    failures.append((step.__name__, error))
                    break
                passed += 1
        return passed, failures

    def take_mail(self, address: str, count: int = 1) -> None:
        """Wait for a mail and keep its link, without the site that the host's settings
        name.
        """
        whole = self.mailbox.wait_for_link(address, count)
        link = urlsplit(whole)
        self.links[address] = f"{link.path}?{link.query}"
        self.tokens[address] = whole.rpartition("token=")[2]

    def post_json(self, endpoint: str, **body: str) -> tuple[int, dict]:
        """Call the API as a program does: no cookies, no form."""
        session = self.new_browser().session
        url = f"{self.project.url}{self.host.prefix}/api/auth/{endpoint}"
        answer = session.post(url, json=body, timeout=30, allow_redirects=False)
        assert answer.headers["Content-Type"].startswith("application/"), answer.text
        return answer.status_code, answer.json()

    def log_in(self, name: str, password: str) -> bool:
        """Log in at the host's own page; where it has none, ask Django."""
        if self.host.by_address:
            name = f"{name}@example.com"
        if not self.host.login_page:
            code = (
                "from django.contrib.auth import authenticate as a;"
                f"print(a(username={name!r}, password={password!r}) is not None)"
            )
            return self.project.shell(code) == "True"
        page = self.new_browser().open(self.host.login_page)
        assert page.status == 200, page.status
        answer = page.submit(**{self.host.login_field: name, "password": password})
        return answer.path != page.path

    def knows(self, name: str, *, new: bool) -> bool:
        return self.log_in(name, NEW_PASSWORD if new else OLD_PASSWORD)
