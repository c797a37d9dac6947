"""The steps of a visit: each is what somebody does and what they must then see."""

import re
from urllib.parse import urlsplit

from tests.hosts.project import OLD_PASSWORD
from tests.hosts.visit import NEW_PASSWORD, Visit
from tests.tools.servers import wait_until

ANN, BEN, NOBODY = "ann@example.com", "ben@example.com", "nobody@example.com"
SUE = "sue@example.com"
ID = re.compile(r"\((\w+\.[CEWI]\d+)\)")
ADMIN_LISTS = {
    "passwordresetrequest",
    "passwordresettoken",
    "passwordresetnotice",
    "usersession",
}


def check_says_what_is_expected(visit: Visit) -> None:
    result = visit.project.run("manage.py", "check", "--database", "default")
    said = result.stdout + result.stderr
    assert "Traceback" not in said, said
    assert sorted(ID.findall(said)) == sorted(visit.host.checks), said


def ann_asks(visit: Visit) -> None:
    page = visit.open("/forgot-password")
    assert page.status == 200, page.text
    answer = page.submit(email=ANN)
    visit.seen.append(answer)
    assert (answer.status, answer.path) == (
        200,
        f"{visit.host.prefix}/forgot-password/done",
    )


def the_request_names_no_user(visit: Visit) -> None:
    [sql] = visit.project.statements("POST", f"{visit.host.prefix}/forgot-password")
    assert any("password_reset_requests" in one for one in sql), sql
    assert not [one for one in sql if visit.host.user_table in one]


def nobody_asks_and_gets_the_same(visit: Visit) -> None:
    """The same path, page and statements, whoever asks."""
    answer = visit.new_browser().open(f"{visit.host.prefix}/forgot-password")
    answer = answer.submit(email=NOBODY)
    [done] = [page for page in visit.seen if page.path == answer.path]
    assert answer.text == done.text
    known, unknown = visit.project.statements(
        "POST", f"{visit.host.prefix}/forgot-password"
    )
    assert known == unknown, f"{known} != {unknown}"


def ann_gets_a_mail(visit: Visit) -> None:
    visit.take_mail(ANN)
    assert urlsplit(visit.links[ANN]).path == f"{visit.host.prefix}/reset-password"


def the_link_opens_a_form(visit: Visit) -> None:
    page = visit.browser.open(visit.links[ANN])
    visit.seen.append(page)
    assert page.status == 200, page.status
    assert [form for form in page.read.forms if "new_password1" in form.fields]


def ann_sets_a_password(visit: Visit) -> None:
    answer = visit.seen[-1].submit(
        new_password1=NEW_PASSWORD, new_password2=NEW_PASSWORD
    )
    visit.seen.append(answer)
    assert (answer.status, answer.path) == (
        200,
        f"{visit.host.prefix}/reset-password/done",
    )


def the_link_is_spent(visit: Visit) -> None:
    page = visit.browser.open(visit.links[ANN])
    visit.seen.append(page)
    assert page.status == 410


def ann_logs_in(visit: Visit) -> None:
    assert visit.knows("ann", new=True)
    assert not visit.knows("ann", new=False)


def nobody_got_no_mail(visit: Visit) -> None:
    waiting = "SELECT count(*) FROM password_reset_requests WHERE processed_at IS NULL"
    wait_until(
        lambda: visit.project.query(waiting) == [(0,)], lambda: "a request waits", 20
    )
    assert not visit.mailbox.mails(NOBODY)


def every_link_on_the_pages_leads_somewhere(visit: Visit) -> None:
    links = set().union(*(page.links() | page.assets() for page in visit.seen))
    assert [link for link in links if ".css" in link]
    answers = {link: visit.browser.open(link).status for link in links}
    assert {link: status for link, status in answers.items() if status >= 400} == {}


def ben_asks_a_program(visit: Visit) -> None:
    status, _ = visit.post_json("request-password-reset", email=BEN)
    assert status == 202


def ben_gets_a_mail(visit: Visit) -> None:
    visit.take_mail(BEN)


def the_token_is_good(visit: Visit) -> None:
    status, answer = visit.post_json("verify-reset-token", token=visit.tokens[BEN])
    assert (status, answer["valid"]) == (200, True)


def ben_sets_a_password(visit: Visit) -> None:
    status, answer = visit.post_json(
        "reset-password", token=visit.tokens[BEN], password=NEW_PASSWORD
    )
    assert (status, answer["sessions_deleted"]) == (200, 0)


def the_token_is_spent(visit: Visit) -> None:
    status, answer = visit.post_json("verify-reset-token", token=visit.tokens[BEN])
    assert (status, answer["code"]) == (410, "token_used")


def ben_logs_in(visit: Visit) -> None:
    assert visit.knows("ben", new=True)
    assert not visit.knows("ben", new=False)


def sue_asks_and_sees_what_everybody_sees(visit: Visit) -> None:
    page = visit.new_browser().open(f"{visit.host.prefix}/forgot-password")
    answer = page.submit(email=SUE)
    [done] = [page for page in visit.seen if page.path == answer.path]
    assert answer.text == done.text


def sue_is_told_by_which_providers_she_logs_in(visit: Visit) -> None:
    wait_until(lambda: visit.mailbox.mails(SUE), lambda: "no mail for Sue", 20)
    [message] = visit.mailbox.mails(SUE)
    text = message.get_body(("plain",)).get_content()
    assert "Log in with Google, Example School, Removed" in text, text
    assert visit.host.login_page in text
    assert not visit.mailbox.links(SUE)


def the_log_in_page_offers_a_link(visit: Visit) -> None:
    page = visit.staff.open(f"{visit.host.admin}login/")
    assert f"{visit.project.url}{visit.host.prefix}/forgot-password" in page.links()


def staff_log_in(visit: Visit) -> None:
    page = visit.staff.open(visit.host.admin)
    answer = page.submit(username="boss", password=OLD_PASSWORD)
    assert answer.path == visit.host.admin


def the_lists_open(visit: Visit) -> None:
    index = visit.staff.open(visit.host.admin)
    ours = {url for url in index.links() if "/password_reset/" in url}
    assert not {
        one for one in ADMIN_LISTS if not any(f"/{one}/" in url for url in ours)
    }
    answers = {url: visit.staff.open(url).status for url in ours}
    assert set(answers.values()) == {200}, answers


def staff_see_why(visit: Visit) -> None:
    page = visit.staff.open(f"{requests_page(visit)}why/")
    answer = visit.staff.open(f"{page.path}?q={ANN}")
    assert (page.status, answer.status) == (200, 200)
    assert visit.host.language != "en" or "Nothing is wrong" in answer.text


def staff_send_a_link(visit: Visit) -> None:
    before = len(visit.mailbox.links(ANN))
    _, key = user_of_ann(visit)
    page = visit.staff.open(f"{requests_page(visit)}send/{key}/")
    assert page.submit().status == 200
    visit.mailbox.wait_for_link(ANN, before + 1)


def staff_find_the_link(visit: Visit) -> None:
    _, key = user_of_ann(visit)
    page = visit.staff.open(
        f"{visit.host.admin}password_reset/passwordresettoken/?q={key}"
    )
    assert page.text.count('name="_selected_action"') >= 1


def the_page_of_a_user_has_a_button(visit: Visit) -> None:
    table, key = user_of_ann(visit)
    page = visit.staff.open(f"{visit.host.admin}{table}/{key}/change/")
    assert [url for url in page.links() if url.endswith(f"/send/{key}/")]


def requests_page(visit: Visit) -> str:
    return f"{visit.host.admin}password_reset/passwordresetrequest/"


def user_of_ann(visit: Visit) -> tuple[str, str]:
    """Return the path of the users' list below the admin's, and Ann's key in it."""
    ann = visit.project.people["ann"]
    return ann["list"], ann["key"]


CHECK = (check_says_what_is_expected,)
PAGES = (
    ann_asks,
    ann_gets_a_mail,
    the_link_opens_a_form,
    ann_sets_a_password,
    the_link_is_spent,
    ann_logs_in,
    every_link_on_the_pages_leads_somewhere,
)
#: After the pages: what nobody may notice.
BLIND = (
    the_request_names_no_user,
    nobody_asks_and_gets_the_same,
    nobody_got_no_mail,
)
API = (
    ben_asks_a_program,
    ben_gets_a_mail,
    the_token_is_good,
    ben_sets_a_password,
    the_token_is_spent,
    ben_logs_in,
)
SOCIAL_ONLY = (
    sue_asks_and_sees_what_everybody_sees,
    sue_is_told_by_which_providers_she_logs_in,
)
ADMIN = (
    the_log_in_page_offers_a_link,
    staff_log_in,
    the_lists_open,
    staff_see_why,
    staff_send_a_link,
)
WITHOUT_ADMIN = (CHECK, PAGES, BLIND, API)
EVERYTHING = (*WITHOUT_ADMIN, ADMIN)
