"""Each provider, really spoken to: what it receives, and what a wrong log-in or
certificate says.
"""

import ssl

import pytest
from aiosmtpd.smtp import AuthResult

from password_reset import services
from password_reset.models import PasswordResetRequest, PasswordResetToken
from project import backends, env
from tests.tools.certificates import Authority
from tests.tools.servers import free_port
from tests.tools.smtp import SmtpServer
from tests.tools.walk import token_in
from tests.tools.webmail import AmazonSes, SendGrid

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore::anymail.exceptions.AnymailNotSupportedWarning"),
]

VISITOR = {"ip_address": "192.0.2.1", "user_agent": "test", "language": "en"}
USER, PASSWORD = "sender", "right"


def ask(user):
    row = services.request_reset(user.email, **VISITOR)
    row.refresh_from_db()
    return row


def ask_later(user):
    PasswordResetRequest.objects.create(email=user.email)


@pytest.fixture
def use(settings, monkeypatch):
    """Send by what the demo makes of environment variables."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    def switch(**variables):
        result = env.read(variables)
        assert result.problems == []
        for name, value in backends.mail(result.values).items():
            setattr(settings, name, value)

    return switch


class TlsServer(SmtpServer):
    """SMTP with TLS, by STARTTLS or from the first byte, and a log-in that must be
    right.
    """

    def __init__(self, certificate, implicit):
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        self.implicit_context = context if implicit else None
        # aiosmtpd does not see TLS that was there before it.
        tls = (
            {"auth_require_tls": False}
            if implicit
            else {"tls_context": context, "require_starttls": True}
        )
        super().__init__(
            free_port(), authenticator=self.log_in, auth_required=not implicit, **tls
        )
        self.secure = str(implicit).lower()

    def _listen(self, loop):
        return loop.create_server(
            self._accept, "127.0.0.1", self.port, ssl=self.implicit_context
        )

    def log_in(self, server, session, envelope, mechanism, data):
        right = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=right, handled=False)

    @property
    def mails(self):
        return [delivery.message for delivery in self.deliveries]

    @property
    def environment(self):
        return super().environment | {
            "SMTP_SECURE": self.secure,
            "SMTP_USER": USER,
            "SMTP_PASSWORD": PASSWORD,
        }


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def tls_server(authority, monkeypatch, request):
    """A server whose certificate this process trusts; the parameter says whether TLS
    comes at once.
    """
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    server = TlsServer(
        authority.issue("127.0.0.1"), implicit=getattr(request, "param", False)
    )
    server.start()
    yield server
    server.close()


either_tls = pytest.mark.parametrize(
    "tls_server", [False, True], indirect=True, ids=["STARTTLS", "implicit TLS"]
)


@pytest.fixture
def ses():
    server = AmazonSes()
    server.environment = {
        "EMAIL_PROVIDER": "ses",
        "AWS_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": server.key,
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_ENDPOINT_URL": server.url,
    }
    yield server
    server.close()


@pytest.fixture
def sendgrid():
    server = SendGrid()
    server.environment = {
        "EMAIL_PROVIDER": "sendgrid",
        "SENDGRID_API_KEY": server.key,
        "SENDGRID_API_URL": f"{server.url}/v3/",
    }
    yield server
    server.close()


@pytest.fixture
def provider(request):
    return request.getfixturevalue(request.param)


every_provider = pytest.mark.parametrize(
    "provider", ["tls_server", "ses", "sendgrid"], indirect=True
)


@every_provider
def test_a_mail_arrives_whole_by(provider, use, user, settings):
    settings.PASSWORD_RESET_FROM_EMAIL = "Acme Team <noreply@acme.example>"
    use(**provider.environment)
    ask(user)
    (mail,) = provider.mails
    assert (mail["From"], mail["To"]) == (
        "Acme Team <noreply@acme.example>",
        user.email,
    )
    assert "password" in mail["Subject"].lower()
    bodies = [mail.get_body([kind]).get_content() for kind in ("plain", "html")]
    assert len({token_in(body) for body in bodies}) == 1
    link = (
        f"{settings.PASSWORD_RESET_BASE_URL}/reset-password?token={token_in(bodies[0])}"
    )
    assert all(link in body for body in bodies)
    assert services.find_token(token_in(bodies[0])).user == user


@every_provider
def test_a_mail_says_that_a_program_wrote_it_by(provider, use, user):
    use(**provider.environment)
    ask(user)
    (mail,) = provider.mails
    assert (mail["Auto-Submitted"], mail["Bcc"], mail["Cc"]) == (
        "auto-generated",
        None,
        None,
    )
    assert mail["Message-ID"].startswith("<")


@either_tls
def test_the_message_id_of_smtp_is_kept(tls_server, use, user):
    use(**tls_server.environment)
    ask(user)
    assert (
        PasswordResetToken.objects.get().message_id == tls_server.mails[0]["Message-ID"]
    )


def test_the_message_id_that_amazon_gives_is_kept(ses, use, user):
    use(**ses.environment)
    ask(user)
    assert PasswordResetToken.objects.get().message_id == "ses-1"
    assert ses.calls[0]["Destination"] == {"ToAddresses": [user.email]}


def test_the_id_by_which_sendgrid_reports_on_a_mail_is_kept(sendgrid, use, user):
    use(**sendgrid.environment)
    ask(user)
    known_as = sendgrid.calls[0]["personalizations"][0]["custom_args"]["anymail_id"]
    assert PasswordResetToken.objects.get().message_id == known_as


def test_sendgrid_is_told_to_track_and_add_nothing(sendgrid, use, user):
    use(**sendgrid.environment)
    ask(user)
    switches = sendgrid.calls[0]["tracking_settings"]
    assert set(switches) == {
        "click_tracking",
        "open_tracking",
        "ganalytics",
        "subscription_tracking",
    }
    assert not any(switch["enable"] for switch in switches.values())


def test_amazon_is_given_no_configuration_set_that_could_track(ses, use, user):
    use(**ses.environment)
    ask(user)
    assert set(ses.calls[0]) == {"Destination", "Content"}


@every_provider
def test_a_burst_shares_one_connection_to(provider, use, user):
    use(**provider.environment)
    ask_later(user), ask_later(user)
    services.process_due()
    connections = (
        provider.connections
        if isinstance(provider, TlsServer)
        else len(provider.connections)
    )
    assert (len(provider.mails), connections) == (2, 1)


WRONG = {
    "tls_server": ({"SMTP_PASSWORD": "wrong"}, "SMTPAuthenticationError 535"),
    "ses": ({"AWS_ACCESS_KEY_ID": "AKIAWRONG"}, "UnrecognizedClientException 403"),
    "sendgrid": ({"SENDGRID_API_KEY": "SG.wrong"}, "AnymailRequestsAPIError 401"),
}


@pytest.mark.parametrize(
    ("provider", "wrong", "error"),
    [(name, *rest) for name, rest in WRONG.items()],
    indirect=["provider"],
)
def test_a_wrong_log_in_is_recorded_as_one_and_the_mail_waits(
    provider, wrong, error, use, user
):
    use(**provider.environment | wrong)
    row = ask(user)
    assert (row.last_error, row.failed_at, provider.mails) == (error, None, [])
    use(**provider.environment)
    row._meta.model.objects.update(next_attempt_at=None)
    services.process_due()
    assert len(provider.mails) == 1


def test_amazon_without_credentials_says_so(ses, use, user, monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    use(**{name: value for name, value in ses.environment.items() if "KEY" not in name})
    assert ask(user).last_error == "NoCredentialsError"


@pytest.mark.parametrize(
    "variables",
    [
        {"EMAIL_PROVIDER": "sendgrid"},
        {"EMAIL_PROVIDER": "ses"},
        {"EMAIL_PROVIDER": "smtp"},
    ],
    ids=lambda variables: variables["EMAIL_PROVIDER"],
)
def test_a_provider_without_its_variables_is_found_before_the_start(variables):
    assert env.read(variables).problems


@either_tls
def test_a_certificate_of_an_unknown_authority_is_refused(
    tls_server, use, user, tmp_path, monkeypatch
):
    monkeypatch.setenv("SSL_CERT_FILE", str(Authority(tmp_path).path))
    use(**tls_server.environment)
    row = ask(user)
    assert (row.last_error, row.failed_at, tls_server.mails) == (
        "SSLCertVerificationError",
        None,
        [],
    )


def test_a_certificate_of_another_host_is_refused(authority, monkeypatch, use, user):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    server = TlsServer(authority.issue("127.0.0.2"), implicit=False)
    server.start()
    use(**server.environment)
    assert ask(user).last_error == "SSLCertVerificationError"
    server.close()


def test_no_password_crosses_the_network_where_tls_was_taken_out(use, user):
    overheard = []

    def overhear(server, session, envelope, mechanism, data):
        overheard.append(data.password)
        return AuthResult(success=True)

    server = SmtpServer(free_port(), authenticator=overhear, auth_require_tls=False)
    server.start()
    use(**server.environment | {"SMTP_USER": USER, "SMTP_PASSWORD": PASSWORD})
    row = ask(user)
    server.close()
    assert (row.last_error, overheard, server.deliveries) == (
        "SMTPNotSupportedError",
        [],
        [],
    )


SENDGRID_REFUSES = {
    "the recipient": (400, "personalizations.0.to.0.email", True),
    "our sender": (400, "from.email", False),
    "everything for a while": (429, None, False),
    "everything": (503, None, False),
}


@pytest.mark.parametrize(
    ("status", "field", "at_once"), SENDGRID_REFUSES.values(), ids=SENDGRID_REFUSES
)
def test_only_a_refused_recipient_is_given_up_at_once_when_sendgrid_refuses(
    sendgrid, use, user, status, field, at_once
):
    sendgrid.answer = (
        status,
        {},
        {"errors": [{"message": "no", "field": field, "help": None}]},
    )
    use(**sendgrid.environment)
    row = ask(user)
    assert (row.last_error, bool(row.failed_at)) == (
        f"AnymailRequestsAPIError {status}",
        at_once,
    )


def test_amazon_s_throttling_is_waited_out(ses, use, user):
    ses.answer = (
        429,
        {"x-amzn-ErrorType": "TooManyRequestsException"},
        {"message": "Too many requests"},
    )
    use(**ses.environment)
    row = ask(user)
    assert (row.last_error, row.failed_at) == ("TooManyRequestsException 429", None)


@pytest.mark.parametrize(
    ("provider", "error"),
    [("ses", "EndpointConnectionError"), ("sendgrid", "ConnectionError")],
    indirect=["provider"],
)
def test_a_provider_that_cannot_be_reached_is_waited_for(provider, error, use, user):
    nowhere = f"http://127.0.0.1:{free_port()}/"
    use(
        **provider.environment
        | {"AWS_ENDPOINT_URL": nowhere, "SENDGRID_API_URL": nowhere}
    )
    row = ask(user)
    assert (row.last_error, row.failed_at) == (error, None)


def test_every_provider_has_a_bounded_time_out(
    settings, use, ses, sendgrid, smtp_server
):
    use(
        **ses.environment
        | sendgrid.environment
        | smtp_server.environment
        | {"EMAIL_PROVIDER": "smtp"}
    )
    anymail = settings.ANYMAIL
    config = anymail["AMAZON_SES_CLIENT_PARAMS"]["config"]
    smtp = (
        settings.MAILERS["default"]["OPTIONS"]["timeout"]
        if hasattr(settings, "MAILERS")
        else settings.EMAIL_TIMEOUT
    )
    assert {
        anymail["REQUESTS_TIMEOUT"],
        config["connect_timeout"],
        config["read_timeout"],
        smtp,
    } == {10}
