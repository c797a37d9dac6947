"""Views with a context, a form, a leading on and a policy of the host's own."""

import pytest
from django import forms
from django.core import mail
from django.urls import include, path, re_path

from password_reset import views
from password_reset.forms import PasswordResetForm, SetPasswordForm
from tests.tools.factories import NEW_PASSWORD
from tests.tools.walk import ask, look, mailed_token, spend

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls(__name__)]


class AskForm(PasswordResetForm):
    customer = forms.RegexField(
        r"^K\d{4}$", label="Customer number", required=False, help_text="On each bill"
    )


class ChooseForm(SetPasswordForm):
    terms = forms.BooleanField(label="I accept the new terms")
    news = forms.BooleanField(label="Send me news", required=False)


class ChooseView(views.PasswordResetConfirmView):
    form_class = ChooseForm
    success_url = "/welcome-back"
    extra_context = {"password_hint": "Three words"}
    wants_news = []

    def reset(self, raw, token, form, visitor):
        is_reset = super().reset(raw, token, form, visitor)
        if is_reset and form.cleaned_data["news"]:
            self.wants_news.append(token.user)
        return is_reset


POLICY = "default-src 'none'; style-src https://cdn.example.com"
urlpatterns = [
    re_path(
        r"^forgot-password/?$",
        views.PasswordResetView.as_view(
            form_class=AskForm,
            success_url="/thanks",
            extra_context={"campaign": "autumn"},
            content_security_policy=POLICY,
        ),
    ),
    re_path(r"^reset-password/?$", ChooseView.as_view()),
    path("", include("password_reset.urls")),
]


@pytest.fixture(autouse=True)
def host(settings):
    settings.LOGIN_URL = "/login"
    ChooseView.wants_news.clear()


class TestTheFirstForm:
    def test_a_field_more_is_shown_with_its_help(self, client):
        text = client.get("/forgot-password").content.decode()
        assert "Customer number" in text
        assert "On each bill" in text

    def test_and_its_error(self, client, ada):
        refused = client.post(
            "/forgot-password", {"email": ada.email, "customer": "nonsense"}
        )
        assert "Enter a valid value." in refused.content.decode()
        assert not mail.outbox

    def test_it_leads_where_the_host_says(self, client, ada):
        assert ask(client, ada.email)["Location"] == "/thanks"

    def test_its_template_has_the_context_of_the_host(self, client):
        assert client.get("/forgot-password").context["campaign"] == "autumn"

    def test_so_has_that_of_its_errors(self, client):
        assert ask(client, "nonsense").context["campaign"] == "autumn"

    def test_its_policy_is_the_host_s(self, client):
        assert client.get("/forgot-password")["Content-Security-Policy"] == POLICY


class TestTheSecondForm:
    @pytest.fixture
    def link(self, client, ada):
        return mailed_token(client, ada.email)

    def test_the_link_in_the_email_leads_to_it(self, client, link):
        page = look(client, link)
        assert "I accept the new terms" in page.content.decode()
        assert page.context["password_hint"] == "Three words"

    def test_a_field_that_is_missing_leaves_the_link_usable(self, client, link, ada):
        assert spend(client, link).status_code == 200
        assert look(client, link).status_code == 200

    def test_it_sets_the_password_and_leads_where_the_host_says(
        self, client, link, ada
    ):
        fields = dict.fromkeys(("new_password1", "new_password2"), NEW_PASSWORD)
        more = {"terms": "on", "news": "on"}
        saved = client.post("/reset-password", {"token": link, **fields, **more})
        assert saved["Location"] == "/welcome-back"
        ada.refresh_from_db()
        assert ada.check_password(NEW_PASSWORD)
        assert ChooseView.wants_news == [ada]

    def test_what_the_host_does_with_its_field_waits_for_the_password(
        self, client, link
    ):
        fields = dict.fromkeys(("new_password1", "new_password2"), "123")
        client.post(
            "/reset-password", {"token": link, **fields, "terms": "on", "news": "on"}
        )
        assert ChooseView.wants_news == []
