"""People in a shop of django-oscar."""

import re

from tests.hosts.browser import Page
from tests.hosts.project import OLD_PASSWORD
from tests.hosts.steps import ANN, BEN
from tests.hosts.visit import NEW_PASSWORD, Visit

LOG_IN = "/accounts/login/"
#: Oscar mails links of its own to the reset that it has no more.
OF_OSCAR = re.compile(r"https?://[\w.:]+(/password-reset/confirm/\S+)")
OUTBOX = "from password_reset.models import PasswordResetRequest as Row;"
KEY_OF_BEN = """
from django.contrib.auth import get_user_model
print(get_user_model().objects.get(username="ben").pk)
"""


def log_in(visit: Visit, name: str, password: str) -> Page:
    """Log in at the shop by address."""
    page = visit.new_browser().open(LOG_IN)
    address = f"{name}@example.com"
    return page.submit(
        **{"login-username": address, "login-password": password},
        login_submit="Log In",
    )


def ann_follows_the_link_of_the_log_in_page(visit: Visit) -> None:
    page = visit.browser.open(LOG_IN)
    [link] = [link for link in page.links() if "password-reset" in link]
    form = visit.browser.open(link)
    assert (form.status, form.path) == (200, "/forgot-password")
    assert form.submit(email=ANN).path == "/forgot-password/done"


def ann_gets_one_mail_of_the_shop(visit: Visit) -> None:
    visit.take_mail(ANN)
    [message] = visit.mailbox.mails(ANN)
    assert "Frobshop" in message["Subject"]


def the_pages_look_like_the_shop_and_lead_back(visit: Visit) -> None:
    page = visit.browser.open(visit.links[ANN])
    assert [one for one in page.assets() if one.endswith("shop/oscar-flow.css")]
    assert f"{visit.project.url}/" in page.links()
    [form] = page.read.forms
    assert form.fields["username"] == ANN  # for password managers
    visit.seen = [page]


def ann_chooses_a_password(visit: Visit) -> None:
    done = visit.seen[-1].submit(new_password1=NEW_PASSWORD, new_password2=NEW_PASSWORD)
    assert (done.status, done.path) == (200, "/reset-password/done")
    assert f"{visit.project.url}{LOG_IN}" in done.links()


def ann_logs_in_at_the_shop(visit: Visit) -> None:
    assert log_in(visit, "ann", OLD_PASSWORD).path == LOG_IN
    answer = log_in(visit, "ann", NEW_PASSWORD)
    assert (answer.status, answer.path) == (200, "/dashboard/")  # as staff


def no_form_of_oscars_asks_for_an_address(visit: Visit) -> None:
    """What a script of old or a form that was left open sends mails nothing."""
    mails, browser = len(list(visit.mailbox.all_mails())), visit.new_browser()
    url = f"{visit.project.url}/password-reset/"
    token = browser.open("/forgot-password").read.forms[0].fields
    answer = browser.post(url, token | {"email": BEN}, url)
    assert answer.path == "/forgot-password"
    assert visit.project.shell(f"{OUTBOX}print(Row.objects.count())") == "1"  # Ann's
    assert len(list(visit.mailbox.all_mails())) == mails


def bens_mail_of_a_change_leads_to_the_flow(visit: Visit) -> None:
    """Oscar sends it in the request that changes a password."""
    browser = log_in(visit, "ben", OLD_PASSWORD).browser
    page = browser.open("/accounts/change-password/")
    page.submit(
        old_password=OLD_PASSWORD,
        new_password1=NEW_PASSWORD,
        new_password2=NEW_PASSWORD,
    )
    [message] = visit.mailbox.mails(BEN)
    text = message.get_body(("plain",)).get_content()
    path = OF_OSCAR.search(text)[1]
    assert visit.new_browser().open(path).path == "/forgot-password"


def the_button_of_the_dashboard_sends_a_link(visit: Visit) -> None:
    staff = log_in(visit, "boss", OLD_PASSWORD).browser
    key = visit.project.shell(KEY_OF_BEN)
    page = staff.open(f"/dashboard/users/{key}/")
    [button] = [one for one in page.read.forms if "password-reset" in one.action]
    url = f"{visit.project.url}{button.action}"
    sending = staff.post(url, button.fields, page.response.url)
    assert BEN in sending.text
    assert sending.submit().status == 200
    visit.mailbox.wait_for_link(BEN)


WALK = (
    ann_follows_the_link_of_the_log_in_page,
    ann_gets_one_mail_of_the_shop,
    the_pages_look_like_the_shop_and_lead_back,
    ann_chooses_a_password,
    ann_logs_in_at_the_shop,
)
#: Two flows would stand side by side here.
INSTEAD = (
    no_form_of_oscars_asks_for_an_address,
    bens_mail_of_a_change_leads_to_the_flow,
    the_button_of_the_dashboard_sends_a_link,
)
