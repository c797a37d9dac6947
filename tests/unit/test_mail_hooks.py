"""What a host may do to the emails, what it may not, and what comes of its mistakes."""

import pytest
from django.core import mail
from django.core.mail import EmailMessage, EmailMultiAlternatives

from password_reset import services
from password_reset.admin import reasons
from password_reset.models import PasswordResetRequest
from tests.tools.outbox import let_leases_end
from tests.tools.walk import ask, mailed_token, spend, token_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def templates(settings, tmp_path):
    """Return a function that writes a template of the host's own."""
    settings.TEMPLATES = [
        {**settings.TEMPLATES[0], "DIRS": [tmp_path, *settings.TEMPLATES[0]["DIRS"]]}
    ]

    def write(name, text):
        path = tmp_path / "password_reset" / "mail" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    return write


def touched(settings, hook):
    settings.PASSWORD_RESET_MAIL_MESSAGE = hook


class TestContext:
    def test_it_is_in_both_parts_and_the_subject(
        self, client, ada, settings, templates
    ):
        settings.PASSWORD_RESET_MAIL_CONTEXT = lambda user, **email: {"plan": "Gold"}
        for end in (".txt", ".html", "_subject.txt"):
            templates(f"reset{end}", "{{ plan }}")
        ask(client, ada.email)
        (message,) = mail.outbox
        html = message.alternatives[0].content
        assert (message.subject, message.body, html) == ("Gold",) * 3

    def test_it_is_told_whom_and_what_the_email_is_of(self, client, ada, settings):
        seen = []
        settings.PASSWORD_RESET_MAIL_CONTEXT = lambda user, *, brand, kind: seen.append(
            (user, brand.name, kind)
        )
        spend(client, mailed_token(client, ada.email))
        name = settings.PASSWORD_RESET_APP_NAME
        assert seen == [(ada, name, "reset"), (ada, name, "changed")]

    def test_it_cannot_put_another_link_into_the_email(
        self, client, ada, settings, caplog
    ):
        evil = {"link": "https://evil.test/", "site_url": "https://evil.test/"}
        settings.PASSWORD_RESET_MAIL_CONTEXT = lambda user, **email: evil
        ask(client, ada.email)
        assert "evil.test" not in mail.outbox[0].message().as_string()
        assert "cannot replace ['link', 'site_url']" in caplog.text

    @pytest.mark.parametrize(
        "hook", [lambda user, **email: 1 / 0, lambda user, **email: "Gold"]
    )
    def test_a_mistake_delays_the_email_as_a_broken_template_does(
        self, client, ada, settings, hook
    ):
        settings.PASSWORD_RESET_MAIL_CONTEXT = hook
        assert ask(client, ada.email).status_code == 302
        row = PasswordResetRequest.objects.get()
        assert (row.last_error, row.attempts) == ("MailHookFailed", 1)
        assert row.failed_at is row.processed_at is None
        assert "own function for mails failed" in reasons.in_words(row.last_error)
        del settings.PASSWORD_RESET_MAIL_CONTEXT
        let_leases_end()
        services.process_due()
        assert len(mail.outbox) == 1

    def test_a_service_that_it_cannot_reach_is_no_outage_of_the_mail_server(
        self, client, ada, user, settings
    ):
        def hook(reader, **email):
            if reader == ada:
                raise ConnectionError
            return {}

        settings.PASSWORD_RESET_TASK_BACKEND = None
        settings.PASSWORD_RESET_MAIL_CONTEXT = hook
        for email in (ada.email, user.email):
            ask(client, email)
        services.process_due()
        assert [message.to for message in mail.outbox] == [[user.email]]

    def test_its_words_are_in_no_log(self, client, ada, settings, caplog):
        def hook(user, **email):
            raise ValueError("token=" + "a" * 64)

        settings.PASSWORD_RESET_MAIL_CONTEXT = hook
        ask(client, ada.email)
        assert "a" * 64 not in caplog.text


class TestMessage:
    def test_it_adds_headers_and_what_a_provider_takes(self, client, ada, settings):
        def hook(message, **email):
            message.reply_to = ["desk@example.com"]
            message.tags = [email["kind"]]
            message.esp_extra = {"ip_pool": "reset"}
            message.extra_headers["X-Ticket"] = "42"

        touched(settings, hook)
        ask(client, ada.email)
        (message,) = mail.outbox
        assert message.reply_to == ["desk@example.com"]
        assert (message.tags, message.esp_extra["ip_pool"]) == (["reset"], "reset")
        assert message.extra_headers["X-Ticket"] == "42"

    def test_it_may_return_another_message(self, client, ada, settings):
        def hook(message, **email):
            other = EmailMultiAlternatives(
                "Hello", message.body, "me@example.com", message.to
            )
            other.attach_alternative(message.alternatives[0].content, "text/html")
            return other

        touched(settings, hook)
        assert len(mailed_token(client, ada.email)) == 64
        (message,) = mail.outbox
        assert message.subject == "Hello"
        assert message.extra_headers["Auto-Submitted"] == "auto-generated"

    @pytest.mark.parametrize("field", ["to", "cc", "bcc"])
    def test_no_link_goes_to_anybody_else(self, client, ada, settings, caplog, field):
        touched(
            settings, lambda message, **_: setattr(message, field, ["spy@example.com"])
        )
        ask(client, ada.email)
        assert mail.outbox[0].recipients() == [ada.email]
        assert "cannot change the recipients" in caplog.text

    @pytest.mark.parametrize("header", ["To", "CC", "bcc", "Resent-To"])
    def test_nor_by_a_header(self, client, ada, settings, header):
        touched(
            settings,
            lambda message, **_: message.extra_headers.update({header: "spy@a.test"}),
        )
        ask(client, ada.email)
        assert "spy@a.test" not in mail.outbox[0].message().as_string()

    def test_an_email_without_a_link_may_have_a_blind_copy(self, client, ada, settings):
        touched(
            settings, lambda message, **_: setattr(message, "bcc", ["log@example.com"])
        )
        spend(client, mailed_token(client, ada.email))
        asked, changed = mail.outbox
        assert asked.recipients() == [ada.email]
        assert changed.recipients() == [ada.email, "log@example.com"]

    def test_the_message_id_stays(self, client, ada, settings):
        touched(
            settings,
            lambda message, **_: message.extra_headers.update({"Message-ID": "<1@a>"}),
        )
        ask(client, ada.email)
        assert mail.outbox[0].extra_headers["Message-ID"] != "<1@a>"

    @pytest.mark.parametrize(
        "hook",
        [lambda message, **_: 1 / 0, lambda message, **_: EmailMessage("Hello")],
    )
    def test_a_mistake_delays_the_email(self, client, ada, settings, hook):
        touched(settings, hook)
        ask(client, ada.email)
        assert PasswordResetRequest.objects.get().last_error == "MailHookFailed"
        assert not mail.outbox
        del settings.PASSWORD_RESET_MAIL_MESSAGE
        let_leases_end()
        services.process_due()
        assert token_in(mail.outbox[0].body)

    def test_over_smtp_it_arrives_as_it_was_left(self, client, ada, settings, smtp):
        touched(
            settings,
            lambda message, **_: setattr(message, "reply_to", ["desk@example.com"]),
        )
        ask(client, ada.email)
        (delivery,) = smtp.wait_for(1)
        assert delivery.recipients == (ada.email,)
        assert delivery.message["Reply-To"] == "desk@example.com"
