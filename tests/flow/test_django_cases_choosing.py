"""What Django's own suite asks of the last part of a reset flow: the new password and
what follows.

In our own words, against our own pages. Where the answer differs on purpose, the test
says so and why.
"""

import html
import re

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import include, path, reverse_lazy
from django.utils import translation

from password_reset.forms import SetPasswordForm
from password_reset.views import PasswordResetConfirmView
from tests.tools.factories import NEW_PASSWORD, OLD_PASSWORD, UserFactory
from tests.tools.walk import look, spend

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.sqlite]

ADA = "ada@example.com"


class PoliteForm(SetPasswordForm):
    """A host's own form."""

    def clean_new_password1(self):
        if "please" not in self.cleaned_data["new_password1"]:
            raise ValidationError("Say please.")
        return self.cleaned_data["new_password1"]


class History:
    """A host's validator, which is told of each new password."""

    told = []

    def validate(self, password, user=None):
        """Allow any."""

    def get_help_text(self):
        return translation.gettext("Password")

    def password_changed(self, password, user=None):
        self.told.append((user.email, password))


class NoSpaces:
    """A host's validator, with a code that is also Django's."""

    def validate(self, password, user=None):
        if " " in password:
            raise ValidationError("No spaces, please.", code="password_too_common")

    def get_help_text(self):
        return "Without spaces"


class MyConfirmView(PasswordResetConfirmView):
    form_class = PoliteForm
    success_url = reverse_lazy("account")
    missing_template_name = "password_reset/link_unknown.html"


urlpatterns = [
    path("mine", MyConfirmView.as_view()),
    path("elsewhere", PasswordResetConfirmView.as_view(success_url="/custom/")),
    path("", include("project.urls")),
]


def knows(user, password):
    user.refresh_from_db()
    return user.check_password(password)


class TestTheForm:
    def test_asks_twice_in_order_and_shows_whose_it_is(self, client, ada, link):
        assert [*SetPasswordForm(ada).fields][:2] == ["new_password1", "new_password2"]
        names = re.findall(r'<input[^>]* name="(\w+)"', look(client, link).text)
        assert names[-3:] == ["username", "new_password1", "new_password2"]

    @pytest.mark.parametrize("name", ["new_password1", "new_password2"])
    def test_lets_password_managers_fill_in_a_new_one(self, client, ada, link, name):
        widget = SetPasswordForm(ada)[name].as_widget()
        assert 'type="password"' in widget
        assert 'autocomplete="new-password"' in widget
        assert 'autocomplete="username"' in look(client, link).text

    def test_says_in_the_reader_s_language_what_is_asked(self, client, link, settings):
        settings.AUTH_PASSWORD_VALIDATORS = [
            *settings.AUTH_PASSWORD_VALIDATORS,
            {"NAME": f"{__name__}.History"},
        ]
        text = html.unescape(look(client, link, headers={"Accept-Language": "fr"}).text)
        with translation.override("fr"):
            assert f">{translation.gettext('Not only digits')}" in text
            assert f">{translation.gettext('Password')}" in text

    def test_is_refused_without_csrf_token(self, client, ada, link):
        assert spend(Client(enforce_csrf_checks=True), link).status_code == 403
        assert look(client, link).status_code == 200
        assert knows(ada, OLD_PASSWORD)

    def test_never_gives_a_password_back(self, client, link):
        assert "81726354" not in spend(client, link, "81726354").text


class TestTheNewPassword:
    @pytest.mark.parametrize(
        "password",
        ["  white space around it\t", "пароль из многих букв", "clef 𝄞 and ümläute"],
    )
    def test_is_kept_as_it_was_typed(self, client, ada, link, password):
        spend(client, link, password)
        assert knows(ada, password)

    # Django says it at the second field; but both come back empty.
    @pytest.mark.parametrize(
        ("first", "second", "code"),
        [
            ("", "", "required"),
            ("", NEW_PASSWORD, "required"),
            (NEW_PASSWORD, "", "password_once"),
            (NEW_PASSWORD, OLD_PASSWORD, "password_mismatch"),
            (NEW_PASSWORD, f"{NEW_PASSWORD} ", "password_mismatch"),
        ],
        ids=["neither", "no first", "no second", "two", "a blank more"],
    )
    def test_is_asked_for_twice(self, client, ada, link, first, second, code):
        data = {"token": link, "new_password1": first, "new_password2": second}
        form = SetPasswordForm(ada, data)
        found = {
            name: [error.code for error in each]
            for name, each in form.errors.as_data().items()
        }
        assert found == {"new_password1": [code]}
        assert client.post("/reset-password", data).status_code == 200
        assert knows(ada, OLD_PASSWORD)

    # Django says it below the second field and in other words than before; ours below
    # the first, which has to change, and marks the rule.
    @pytest.mark.parametrize(
        ("password", "rules"),
        [
            ("1234", {"length", "numeric", "common"}),
            (ADA, {"similar"}),
            ("password", {"common"}),
        ],
    )
    def test_is_refused_in_the_words_of_the_rules(
        self, client, ada, link, password, rules
    ):
        text = spend(client, link, password).text
        broken = re.findall(r'data-rule="(\w+)"[^>]* data-broken>([^<]+)<', text)
        assert {kind for kind, _words in broken} == rules
        assert all(text.count(f">{words}</li>") == 2 for _kind, words in broken)
        assert knows(ada, OLD_PASSWORD)
        assert spend(client, link).status_code == 302

    def test_is_refused_in_the_words_of_a_host_s_validator(
        self, client, link, settings
    ):
        settings.AUTH_PASSWORD_VALIDATORS = [{"NAME": f"{__name__}.NoSpaces"}]
        assert ">No spaces, please.</li>" in spend(client, link, "a b c d e").text

    def test_is_told_to_the_validators_once(self, client, link, settings):
        History.told.clear()
        settings.AUTH_PASSWORD_VALIDATORS = [{"NAME": f"{__name__}.History"}]
        spend(client, link)
        assert History.told == [(ADA, NEW_PASSWORD)]


class TestAfterwards:
    def test_the_last_page_leads_to_the_log_in(self, client, link):
        page = client.get(spend(client, link)["Location"])
        assert (page.status_code, 'href="/login"' in page.text) == (200, True)

    # Django may log the person in (post_reset_login). Here never: it would take a
    # second factor away.
    def test_nobody_is_logged_in(self, client, ada, link):
        spend(client, link)
        assert client.get("/account").status_code == 302
        ada.refresh_from_db()
        assert ada.last_login is None

    def test_sessions_of_the_account_end_and_nobody_else_s(self, ada, link):
        eve = UserFactory()
        browsers = [Client(), Client()]
        for browser, user in zip(browsers, [ada, eve], strict=True):
            browser.login(username=user.email, password=OLD_PASSWORD)
        spend(browsers[1], link)
        found = [browser.get("/account").status_code for browser in browsers]
        assert (found, knows(eve, OLD_PASSWORD)) == ([302, 200], True)


@pytest.mark.urls(__name__)
class TestAViewOfTheHost:
    @pytest.mark.parametrize(
        ("page", "leads_to"),
        [
            ("/reset-password", "/reset-password/done"),
            ("/elsewhere", "/custom/"),
            ("/mine", "/account"),
        ],
    )
    def test_leads_where_it_says(self, client, link, page, leads_to):
        fields = dict.fromkeys(
            ["new_password1", "new_password2"], "please-open-the-gate"
        )
        response = client.post(page, {"token": link, **fields})
        assert response["Location"] == leads_to

    def test_may_have_a_form_and_a_template_of_its_own(self, client, ada, link):
        assert "This link is too old, or damaged" in client.get("/mine").text
        fields = dict.fromkeys(["new_password1", "new_password2"], NEW_PASSWORD)
        assert "Say please." in client.post("/mine", {"token": link, **fields}).text
        assert knows(ada, OLD_PASSWORD)
