"""A person with a browser, in front of a site that runs as a process of its own."""

import re
from urllib.parse import urlsplit

import requests

from tests.tools.factories import NEW_PASSWORD
from tests.tools.walk import token_in

CSRF_FIELD = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


class Person:
    """Open pages and send forms as a browser does: cookies kept, hidden fields sent
    back, redirects followed.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.browser = requests.Session()
        self.browser.headers["User-Agent"] = (
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
        )

    def open(self, path: str) -> requests.Response:
        return self.browser.get(self.url + path, timeout=30)

    def submit(self, page: str, **fields: str) -> requests.Response:
        """Open a page and send its form."""
        hidden = CSRF_FIELD.search(self.open(page).text)[1]
        data = {"csrfmiddlewaretoken": hidden, **fields}
        return self.browser.post(
            self.url + page.partition("?")[0],
            data,
            headers={"Referer": self.url},
            timeout=30,
        )

    def log_in(self, email: str, password: str) -> bool:
        """Log in; tell whether the account page is what comes."""
        return is_account(self.submit("/login", username=email, password=password))

    @property
    def is_logged_in(self) -> bool:
        return is_account(self.open("/account"))


def is_account(response: requests.Response) -> bool:
    """Tell whether the account page came, and not the log-in that leads to it."""
    return urlsplit(response.url).path == "/account"


def walk_the_flow(url, smtp_server, email):
    """Ask for a link, open it, set a new password; return the link's secret."""
    person = Person(url)
    assert (
        person.submit("/forgot-password", email=email).url
        == f"{url}/forgot-password/done"
    )
    raw = token_in(smtp_server.wait_for(1, 60)[0].text)
    fields = {
        "token": raw,
        "new_password1": NEW_PASSWORD,
        "new_password2": NEW_PASSWORD,
    }
    assert (
        person.submit(f"/reset-password?token={raw}", **fields).url
        == f"{url}/reset-password/done"
    )
    smtp_server.wait_for(2, 60)  # the notice of the change
    return raw
