"""People on the hosts of three brands."""

from urllib.parse import urlsplit

from requests.adapters import HTTPAdapter

from tests.hosts.browser import Browser
from tests.hosts.steps import BEN
from tests.hosts.visit import NEW_PASSWORD, Visit


class Local(HTTPAdapter):
    """Any name is this machine, as `*.localhost` is for a browser."""

    def send(self, request, **options):
        asked = urlsplit(request.url)
        request.headers["Host"] = asked.netloc
        request.url = asked._replace(netloc=f"127.0.0.1:{asked.port}").geturl()
        response = super().send(request, **options)
        response.url = request.url = asked.geturl()
        return response


def at(visit: Visit, brand: str) -> Browser:
    browser = Browser(f"http://{brand}.localhost:{visit.project.port}")
    browser.session.mount("http://", Local())
    return browser


def ben_asks_at_plum(visit: Visit) -> None:
    page = at(visit, "plum").open("/forgot-password")
    assert "Plum &amp; Co" in page.text
    assert "Plums are in season." in page.text
    assert page.submit(email=BEN).path == "/forgot-password/done"


def plum_writes_to_him(visit: Visit) -> None:
    visit.take_mail(BEN)
    [message] = visit.mailbox.mails(BEN)
    assert "post@plum.example" in message["From"]
    origin = f"http://plum.localhost:{visit.project.port}/"
    assert visit.mailbox.links(BEN)[0].startswith(origin)
    assert "1 Orchard Lane" in message.get_body(("html",)).get_content()


def his_link_is_unknown_at_fig(visit: Visit) -> None:
    assert at(visit, "fig").open(visit.links[BEN]).status == 404


def it_opens_at_plum(visit: Visit) -> None:
    page = at(visit, "plum").open(visit.links[BEN])
    answer = page.submit(new_password1=NEW_PASSWORD, new_password2=NEW_PASSWORD)
    assert (answer.status, answer.path) == (200, "/reset-password/done")
    assert visit.knows("ben", new=True)


WALK = (
    ben_asks_at_plum,
    plum_writes_to_him,
    his_link_is_unknown_at_fig,
    it_opens_at_plum,
)
