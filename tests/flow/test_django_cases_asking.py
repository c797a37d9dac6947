"""What Django's own suite asks of the first half of a reset flow: the form for the
address and the email that follows.

In our own words, against our own pages. Where the answer differs on purpose, the test
says so and why.
"""

import re

import pytest
from django.contrib.auth.forms import PasswordResetForm as DjangoForm
from django.core import mail
from django.test import Client
from django.urls import include, path, reverse, reverse_lazy

from password_reset import services
from password_reset.forms import PasswordResetForm
from password_reset.models import PasswordResetRequest
from password_reset.views import PasswordResetView
from tests.tools.factories import OLD_PASSWORD, UserFactory
from tests.tools.walk import ask, mailed_token

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.sqlite]

DONE = "/forgot-password/done"
ADA = "ada@example.com"
OTHER_TEMPLATE = "password_reset/link_missing.html"

urlpatterns = [
    path("elsewhere", PasswordResetView.as_view(success_url="/custom/")),
    path(
        "named", PasswordResetView.as_view(success_url=reverse_lazy("password_reset"))
    ),
    path("other", PasswordResetView.as_view(template_name=OTHER_TEMPLATE)),
    path("", include("project.urls")),
]


class TestThePage:
    def test_is_there_for_everybody(self, client, ada):
        assert client.get(reverse("password_reset")).status_code == 200
        client.login(username=ADA, password=OLD_PASSWORD)
        assert client.get(reverse("password_reset")).status_code == 200

    @pytest.mark.parametrize(
        ("name", "heading"),
        [
            ("password_reset", "Forgot your password?"),
            ("password_reset_done", "Check your email"),
            # Django's claims a new password whoever opens it.
            ("password_reset_complete", "Have you chosen a new password?"),
        ],
    )
    def test_has_a_title_and_the_same_heading(self, client, name, heading):
        text = client.get(reverse(name)).content.decode()
        assert re.search(rf"<title>{re.escape(heading)} ", text)
        assert f"<h1>{heading}</h1>" in text

    @pytest.mark.parametrize(
        ("name", "address"),
        [
            ("password_reset", "/forgot-password"),
            ("password_reset_done", DONE),
            # Django's has uidb64 in it, which names the user.
            ("password_reset_confirm", "/reset-password"),
            ("password_reset_complete", "/reset-password/done"),
        ],
    )
    def test_has_djangos_name(self, name, address):
        assert reverse(name) == address

    def test_is_linked_from_the_log_in_page_of_the_admin(self, client):
        link = reverse("admin_password_reset")
        assert f'href="{link}"' in client.get("/admin/login/").content.decode()

    def test_refuses_a_form_without_csrf_token_and_asks_nobody(self, ada):
        assert ask(Client(enforce_csrf_checks=True), ADA).status_code == 403
        assert not PasswordResetRequest.objects.exists()


@pytest.mark.urls(__name__)
@pytest.mark.parametrize(
    ("page", "leads_to"),
    [("/forgot-password", DONE), ("/elsewhere", "/custom/"), ("/named", DONE[:-5])],
)
def test_an_accepted_form_leads_where_the_view_says(client, ada, page, leads_to):
    assert client.post(page, {"email": ADA})["Location"] == leads_to
    assert len(mail.outbox) == 1


@pytest.mark.urls(__name__)
def test_a_view_may_have_a_template_of_its_own(client):
    assert "Open the link in your email again" in client.get("/other").text


class TestTheAddress:
    @pytest.mark.parametrize("email", ["", " ", "not valid", "a@b", "@example.com"])
    def test_is_refused_where_it_is_none(self, client, email):
        response = ask(client, email)
        assert response.status_code == 200
        assert 'aria-invalid="true"' in response.content.decode()
        assert not PasswordResetRequest.objects.exists()

    # CVE-2023-36053 and CVE-2023-46695: long input to slow validators and normalisers.
    # From 321 characters on Django's validator refuses before any pattern or NFKC.
    @pytest.mark.parametrize(
        ("start", "codes"),
        [
            ("a" * 242, []),
            ("a" * 243, ["max_length"]),
            ("a" * 330, ["invalid", "max_length"]),
            ("½" * 1_000_000, ["invalid", "max_length"]),
        ],
        ids=["254", "255", "342", "a million"],
    )
    def test_is_refused_where_no_mailbox_has_so_long_a_one(self, start, codes):
        form = PasswordResetForm({"email": f"{start}@example.com"})
        errors = form.errors.as_data().get("email", [])
        assert [error.code for error in errors] == codes

    def test_loses_the_white_space_around_it(self, client, ada):
        form = PasswordResetForm({"email": f"  {ADA}\t"})
        assert form.is_valid()
        assert form.cleaned_data == {"email": ADA}

    def test_is_asked_for_as_an_address_and_may_be_filled_in(self):
        widget = PasswordResetForm()["email"].as_widget()
        assert 'type="email"' in widget
        assert 'autocomplete="email"' in widget
        assert "maxlength" in widget

    def test_may_be_nobodys_and_the_form_is_valid_all_the_same(self):
        assert PasswordResetForm({"email": "nobody@example.com"}).is_valid()


class TestTheAnswer:
    @pytest.mark.parametrize(
        ("account", "mails"),
        [
            (None, 0),
            ({}, 1),
            ({"is_active": False}, 0),
            ({"password": None}, 1),  # which says how to log in
            ({"email": "ADA@example.com"}, 1),
            ({"email": "Ada@EXAMPLE.com"}, 1),
        ],
        ids=["nobody", "user", "inactive", "unusable", "other case", "other domain"],
    )
    def test_is_the_same_whoever_has_the_address(self, client, account, mails):
        if account is not None:
            UserFactory(**{"email": ADA} | account)
        assert ask(client, ADA)["Location"] == DONE
        assert len(mail.outbox) == mails

    def test_goes_to_the_address_on_file_in_its_own_spelling(self, client):
        user = UserFactory(email="Ada.Lovelace@example.com")
        ask(client, "ADA.LOVELACE@EXAMPLE.COM")
        assert mail.outbox[0].to == [user.email]

    # CVE-2019-19844: SQL's comparison took dotless i for i.
    @pytest.mark.parametrize(
        ("stored", "typed"),
        [
            ("mike@example.org", "mıke@example.org"),
            ("mike@ixample.org", "mike@ıxample.org"),
            ("mike@ixample.org", "mike@ixample.org"),
            ("mıke@example.org", "mıke@example.org"),
        ],
    )
    def test_never_goes_to_a_look_alike(self, client, stored, typed):
        UserFactory(email=stored)
        ask(client, typed)
        assert [each.to for each in mail.outbox] == [[stored]] * (stored == typed)

    @pytest.mark.parametrize("typed", ["mıke@example.org", "mike@ıxample.org"])
    def test_of_two_look_alikes_goes_to_the_one_that_was_typed(self, client, typed):
        UserFactory(email=typed.replace("ı", "i"))
        UserFactory(email=typed)
        ask(client, typed)
        assert [each.to for each in mail.outbox] == [[typed]]

    def test_goes_to_whom_djangos_form_finds(self, client):
        for number, account in enumerate(
            [{}, {"is_active": False}, {"email": "uşer@example.com"}]
        ):
            email = f"user{number}@example.com"
            UserFactory(**{"email": email} | account)
            found = {user.email for user in DjangoForm().get_users(email)}
            assert set(map(str, services.conf.user_finder(email))) == found

    # CVE-2024-45231: an error while sending told who has an account.
    def test_is_the_same_where_the_email_cannot_be_sent(self, client, ada, settings):
        settings.PASSWORD_RESET_FROM_EMAIL = "two\nlines@example.com"
        assert ask(client, ADA)["Location"] == DONE
        # Django's flow loses such an email; here it waits for its next attempt.
        assert PasswordResetRequest.objects.pending().count() == 1


class TestTheEmail:
    def test_has_a_link_that_opens_the_form(self, client, ada):
        raw = mailed_token(client, ADA)
        assert f"/reset-password?token={raw}" in mail.outbox[0].body
        assert client.get(f"/reset-password?token={raw}").status_code == 200

    def test_comes_from_djangos_sender_or_from_the_settings_own(
        self, client, ada, settings
    ):
        ask(client, ADA)
        settings.PASSWORD_RESET_FROM_EMAIL = "staff@example.com"
        ask(client, ADA)
        senders = [each.from_email for each in mail.outbox]
        assert senders == [settings.DEFAULT_FROM_EMAIL, "staff@example.com"]

    def test_has_a_subject_of_one_line(self, client, ada):
        ask(client, ADA)
        assert mail.outbox[0].subject
        assert "\n" not in mail.outbox[0].subject

    # Django's is plain unless the host writes HTML; here both come, text first.
    def test_has_the_link_in_text_and_in_html(self, client, ada):
        raw = mailed_token(client, ADA)
        message = mail.outbox[0].message()
        text, html = message.get_payload()
        assert message.get_content_type() == "multipart/alternative"
        kinds = [text.get_content_type(), html.get_content_type()]
        assert kinds == ["text/plain", "text/html"]
        assert f'token={raw}"' in html.get_payload(decode=True).decode()

    def test_is_written_by_the_templates_of_the_host(
        self, client, ada, settings, tmp_path
    ):
        folder = tmp_path / "password_reset" / "mail"
        folder.mkdir(parents=True)
        (folder / "reset_subject.txt").write_text("Hello\n{{ user.email }}")
        (folder / "reset.txt").write_text("{{ app_name }}: {{ link }}")
        engine = settings.TEMPLATES[0]
        settings.TEMPLATES = [engine | {"DIRS": [tmp_path, *engine["DIRS"]]}]
        ask(client, ADA)
        assert mail.outbox[0].subject == f"Hello {ADA}"
        assert mail.outbox[0].body.startswith(f"{services.conf.app_name}: http")

    # CVE-2012-4520 and its kin: a host that is none, or somebody else's.
    @pytest.mark.parametrize("host", ["www.example:evil@evil.example", "a b", "evil/x"])
    def test_is_not_sent_for_a_host_that_is_none(self, client, ada, settings, host):
        settings.ALLOWED_HOSTS = ["*"]
        client.raise_request_exception = False
        response = client.post("/forgot-password", {"email": ADA}, HTTP_HOST=host)
        assert (response.status_code, mail.outbox) == (400, [])

    # Django's link begins with the host of the request; ours never does.
    def test_leads_to_this_site_whichever_host_was_asked(self, client, ada, settings):
        settings.ALLOWED_HOSTS = ["*"]
        ask(client, ADA, HTTP_HOST="evil.example")
        assert "evil.example" not in mail.outbox[0].body
        assert (
            f"{settings.PASSWORD_RESET_BASE_URL}/reset-password" in mail.outbox[0].body
        )
