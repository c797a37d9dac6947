"""Two people on one address, each with a browser, a password and a link; and those whom
no mail may reach.
"""

import json

from tests.hosts.visit import NEW_PASSWORD, Visit
from tests.tools.servers import wait_until

FAMILY = "family@example.com"
SILENT, EXPLAINED = "inactive@example.com", "unusable@example.com"
STATE = (
    "from entrance.people import state; import json;"
    f"print(json.dumps(state({NEW_PASSWORD!r})))"
)


def both_log_in(visit: Visit) -> None:
    visit.browsers = {}
    for key in visit.project.shell(
        "from entrance.people import family; print(*[one.pk for one in family()])"
    ).split():
        visit.browsers[key] = visit.new_browser()
        visit.browsers[key].open(f"/enter/{key}")
    assert logged_in(visit) == [True, True]


def they_and_the_silent_ask(visit: Visit) -> None:
    for address in [SILENT, EXPLAINED, FAMILY]:
        status, _ = visit.post_json("request-password-reset", email=address)
        assert status == 202


def each_gets_a_mail(visit: Visit) -> None:
    wait_until(lambda: len(tokens(visit)) == 2, lambda: "no two mails", 20)


def the_silent_get_none(visit: Visit) -> None:
    assert not visit.mailbox.mails(SILENT)


def one_without_a_password_is_told_how_to_log_in(visit: Visit) -> None:
    wait_until(lambda: visit.mailbox.mails(EXPLAINED), lambda: "no explanation", 20)
    [message] = visit.mailbox.mails(EXPLAINED)
    assert "How to log in" in message["Subject"]
    assert not visit.mailbox.links(EXPLAINED)


def one_resets_and_a_session_ends(visit: Visit) -> None:
    visit.mailed = tokens(visit)
    assert reset(visit, visit.mailed[0]) == (200, 1)


def the_link_works_once(visit: Visit) -> None:
    assert reset(visit, visit.mailed[0])[0] == 410


def only_one_password_has_changed(visit: Visit) -> None:
    """The other's hash is left as it was, kept by the older hasher."""
    assert json.loads(visit.project.shell(STATE)) == {
        "new password works": [False, True],
        "hashers": ["md5", "pbkdf2_sha1"],
    }


def only_the_other_is_still_logged_in(visit: Visit) -> None:
    assert sorted(logged_in(visit)) == [False, True]


def the_others_link_works_too(visit: Visit) -> None:
    assert reset(visit, visit.mailed[1]) == (200, 1)


def logged_in(visit: Visit) -> list[bool]:
    return [browser.open("/who").text == key for key, browser in visit.browsers.items()]


def tokens(visit: Visit) -> list[str]:
    """Return the secrets that were mailed; where addresses are unique, one is in
    capitals.
    """
    addresses = {FAMILY, FAMILY.upper()}
    links = [link for address in addresses for link in visit.mailbox.links(address)]
    return [link.partition("token=")[2] for link in links]


def reset(visit: Visit, token: str) -> tuple[int, int | None]:
    status, answer = visit.post_json(
        "reset-password", token=token, password=NEW_PASSWORD
    )
    return status, answer.get("sessions_deleted")


STEPS = (
    both_log_in,
    they_and_the_silent_ask,
    each_gets_a_mail,
    the_silent_get_none,
    one_without_a_password_is_told_how_to_log_in,
    one_resets_and_a_session_ends,
    the_link_works_once,
    only_one_password_has_changed,
    only_the_other_is_still_logged_in,
    the_others_link_works_too,
)
