"""What Django's own suite asks of the link in the middle of a reset flow.

In our own words, against our own pages. Where the answer differs on purpose, the test
says so and why.
"""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.contrib.auth import get_user_model
from django.contrib.auth.tokens import default_token_generator
from django.contrib.sessions.models import Session
from django.core import mail
from django.test import Client

from tests.tools.factories import NEW_PASSWORD, OLD_PASSWORD, UserFactory
from tests.tools.walk import look, mailed_token, spend

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.sqlite]

ADA = "ada@example.com"


def knows(user, password):
    user.refresh_from_db()
    return user.check_password(password)


def deactivate(user):
    user.is_active = False
    user.save()


def change_password(user):
    user.set_password("meanwhile-quite-another")
    user.save()


def forbid_password(user):
    user.set_unusable_password()
    user.save()


def change_address(user):
    user.email = "elsewhere@example.com"
    user.save()


CHANGES = {
    deactivate: 410,
    change_password: 410,
    forbid_password: 410,
    change_address: 410,
    get_user_model().delete: 404,
}
meanwhile = pytest.mark.parametrize(
    ("change", "status"), CHANGES.items(), ids=[each.__name__ for each in CHANGES]
)


class TestTheLink:
    def test_names_nobody(self, link):
        url = urlsplit(re.search(r"http\S+token=\S+", mail.outbox[0].body)[0])
        assert (url.path, parse_qs(url.query)) == ("/reset-password", {"token": [link]})

    def test_opens_the_form_of_its_own_account(self, client, link):
        UserFactory(email="eve@example.com")
        other = mailed_token(client, "eve@example.com")
        assert f'value="{ADA}"' in look(client, link).text
        assert 'value="eve@example.com"' in look(client, other).text

    # Two of Django's are equal when they are made in the same second.
    @time_machine.travel("2027-01-15 14:10:00Z", tick=False)
    def test_is_another_each_time(self, client, ada):
        assert mailed_token(client, ADA) != mailed_token(client, ADA)

    @pytest.mark.parametrize(
        "broken",
        [
            lambda link: link[:-1] + ("0" if link[-1] != "0" else "1"),
            lambda link: link[:-1],
            lambda link: link + "0",
            lambda link: "9" * 5000,
            lambda link: "set-password",
            lambda link: default_token_generator.make_token(UserFactory()),
        ],
        ids=["other digit", "cut", "longer", "huge", "Django's word", "Django's token"],
    )
    def test_is_not_known_where_it_is_broken(self, client, ada, link, broken):
        assert look(client, broken(link)).status_code == 404
        assert spend(client, broken(link)).status_code == 404
        assert knows(ada, OLD_PASSWORD)

    def test_is_asked_for_where_the_page_is_opened_without_one(self, client, ada):
        assert "new_password1" not in client.get("/reset-password").text
        assert spend(client, "").status_code == 404
        assert knows(ada, OLD_PASSWORD)

    # Django keeps its token in the session between the pages, where the table shows it.
    # Ours is a hidden field of the form.
    def test_is_in_no_session_and_needs_none(self, ada, link):
        assert "sessionid" not in look(Client(), link).cookies
        assert not Session.objects.exists()
        assert spend(Client(), link).status_code == 302
        assert knows(ada, NEW_PASSWORD)

    def test_works_once(self, client, ada, link):
        spend(client, link)
        assert look(client, link).status_code == 410
        assert spend(client, link, "a-third-pass-phrase").status_code == 410
        assert knows(ada, NEW_PASSWORD)

    @meanwhile
    def test_dies_with_what_it_was_mailed_for(self, client, ada, link, change, status):
        change(ada)
        assert look(client, link).status_code == status

    @meanwhile
    def test_dies_also_while_its_form_is_open(self, client, ada, link, change, status):
        assert look(client, link).status_code == 200
        change(ada)
        assert spend(client, link).status_code == status
        assert not Client().login(username=ada.email, password=NEW_PASSWORD)

    # On purpose: a log-in kills Django's link. Ours lives, for who logs in may be the
    # one that the owner wants out.
    def test_outlives_a_log_in(self, client, ada, link):
        Client().login(username=ADA, password=OLD_PASSWORD)
        assert spend(client, link).status_code == 302

    @pytest.mark.parametrize(("seconds", "status"), [(3599, 200), (3600, 410)])
    def test_ends_with_its_lifetime(self, client, ada, seconds, status):
        with time_machine.travel("2027-01-15 14:10:00Z", tick=False) as clock:
            link = mailed_token(client, ADA)
            clock.shift(seconds)
            assert look(client, link).status_code == status

    @pytest.mark.parametrize(("fallback", "status"), [(True, 302), (False, 410)])
    def test_is_signed_with_any_key_of_the_site(
        self, client, link, settings, fallback, status
    ):
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY] * fallback
        settings.SECRET_KEY = "another-key-" * 5
        assert spend(client, link).status_code == status
