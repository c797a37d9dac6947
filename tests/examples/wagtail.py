"""Editors of a site of Wagtail, and who looks after them."""

from tests.hosts.project import OLD_PASSWORD
from tests.hosts.steps import (
    ANN,
    BEN,
    ben_gets_a_mail,
    staff_log_in,
    staff_see_why,
    the_lists_open,
)
from tests.hosts.visit import NEW_PASSWORD, Visit

BENS_TOKENS = "APIToken.objects.filter(user__username='ben')"
#: Prints what a page of the flow asks Wagtail's tables.
QUERIES = """
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

with CaptureQueriesContext(connection) as queries:
    page = Client(SERVER_NAME="localhost").get("/forgot-password")
assert page.status_code == 200
print([one["sql"] for one in queries if "wagtail" in one["sql"]])
"""


def the_site_has_a_page(visit: Visit) -> None:
    page = visit.new_browser().open("/")
    assert (page.status, "Welcome to your new" in page.text) == (200, True)
    assert visit.new_browser().open("/no-such-page/").status == 404


def ben_has_a_token_for_the_api(visit: Visit) -> None:
    user = "get_user_model().objects.get(username='ben')"
    visit.project.shell(
        "from django.contrib.auth import get_user_model;"
        "from wagtail.models import APIToken;"
        f"APIToken.create_token(user={user}, name='of a test')"
    )
    assert tokens_of_ben(visit) == "1"


def ben_forgot_it_at_wagtails_log_in(visit: Visit) -> None:
    page = visit.new_browser().open("/cms/")
    assert page.path == "/cms/login/"
    [link] = [link for link in page.links() if "password" in link]
    page = page.browser.open(link)
    assert page.path == "/forgot-password"
    assert page.submit(email=BEN).path == "/forgot-password/done"


def ben_chooses_on_a_page_of_the_site(visit: Visit) -> None:
    page = visit.new_browser().open(visit.links[BEN])
    assert 'class="site-header"' in page.text
    done = page.submit(new_password1=NEW_PASSWORD, new_password2=NEW_PASSWORD)
    assert done.path == "/reset-password/done"
    assert f"{visit.project.url}/cms/login/" in done.links()


def ben_edits_again(visit: Visit) -> None:
    page = visit.new_browser().open("/cms/login/")
    assert page.submit(username="ben", password=OLD_PASSWORD).path == "/cms/login/"
    assert page.submit(username="ben", password=NEW_PASSWORD).path == "/cms/"


def his_token_has_ended(visit: Visit) -> None:
    assert tokens_of_ben(visit) == "0"


def tokens_of_ben(visit: Visit) -> str:
    code = f"from wagtail.models import APIToken; print({BENS_TOKENS}.count())"
    return visit.project.shell(code)


def wagtails_own_reset_mails_nothing(visit: Visit) -> None:
    """Its form is sent by hand, and a link that it has mailed is opened."""
    before = len(visit.mailbox.mails(BEN))
    page = visit.new_browser().open("/cms/password_reset/")
    [form] = [form for form in page.read.forms if "email" in form.fields]
    url = f"{visit.project.url}/cms/password_reset/"
    answer = page.browser.post(url, form.fields | {"email": BEN}, url)
    # Wagtail would have mailed before it answers.
    assert len(visit.mailbox.mails(BEN)) == before
    assert (page.path, answer.path) == ("/forgot-password", "/forgot-password")
    page = visit.new_browser().open("/cms/password_reset/confirm/MQ/c0ffee-0123/")
    assert (page.status, "new_password1" in page.text) == (410, False)


def the_flow_asks_no_table_of_wagtail(visit: Visit) -> None:
    assert visit.project.shell(QUERIES) == "[]"


def staff_send_a_link_from_wagtails_list(visit: Visit) -> None:
    before = len(visit.mailbox.links(ANN))
    page = visit.staff.open("/cms/users/?q=ann")
    [link] = [link for link in page.links() if "/send/" in link]
    assert visit.staff.open(link).submit().status == 200
    visit.mailbox.wait_for_link(ANN, before + 1)


WALK = (
    the_site_has_a_page,
    ben_has_a_token_for_the_api,
    ben_forgot_it_at_wagtails_log_in,
    ben_gets_a_mail,
    ben_chooses_on_a_page_of_the_site,
    ben_edits_again,
    his_token_has_ended,
    wagtails_own_reset_mails_nothing,
    the_flow_asks_no_table_of_wagtail,
)
STAFF = (
    staff_log_in,
    the_lists_open,
    staff_see_why,
    staff_send_a_link_from_wagtails_list,
)
