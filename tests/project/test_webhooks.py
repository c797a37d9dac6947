"""What providers report of emails, by the payloads of their documentation, and what
staff sees of it.

Amazon's are the examples of "Examples of event data that Amazon SES publishes to Amazon
SNS", SendGrid's those of its "Event Webhook Reference".
"""

import base64
import json
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.core import mail
from django.test import Client
from django.urls import path
from django.utils import timezone

from password_reset.deliveries import PasswordResetDelivery
from password_reset.models import (
    PasswordResetNotice,
    PasswordResetRequest,
    PasswordResetToken,
)
from project import env, urls
from project.webhooks import AmazonView, SendGridView
from tests.project.test_providers import ask, sendgrid, ses, use  # noqa: F401
from tests.tools.factories import UserFactory
from tests.tools.staff import REQUESTS, TOKENS, superuser

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls(__name__),
    pytest.mark.filterwarnings("ignore::anymail.exceptions.AnymailNotSupportedWarning"),
]

urlpatterns = [
    path("anymail/amazon_ses/tracking/", AmazonView.as_view()),
    path("anymail/sendgrid/tracking/", SendGridView.as_view()),
    *urls.urlpatterns,
]

SECRET = "mail:a-long-and-random-secret"
TOPIC = "arn:aws:sns:us-east-1:123456789012:mail"
NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)
KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC = KEY.public_key().public_bytes(
    serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
)


def basic(secret=SECRET):
    return {"Authorization": "Basic " + base64.b64encode(secret.encode()).decode()}


@pytest.fixture
def user():
    return UserFactory(email="ada@example.com")


class Amazon:
    """SNS, as it posts what SES publishes."""

    page = "/anymail/amazon_ses/tracking/"

    def notification(self, event, at=NOW, **changes):
        return {
            "Type": "Notification",
            "MessageId": "19ba9823-d7f2-53c1-860e-cb10e0d13dfc",
            "TopicArn": TOPIC,
            "Subject": "Amazon SES Email Event Notification",
            "Message": json.dumps(event) + "\n",
            "Timestamp": at.isoformat().replace("+00:00", "Z"),
            "SignatureVersion": "1",
            "Signature": "EXAMPLE==",
            "SigningCertURL": "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-example.pem",
            "UnsubscribeURL": "https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe",
            **changes,
        }

    def post(self, body, headers=None, **extra):
        headers = {
            "x-amz-sns-message-type": body["Type"],
            "x-amz-sns-message-id": body["MessageId"],
            **(basic() if headers is None else headers),
        }
        return Client(raise_request_exception=False).post(
            self.page, json.dumps(body), "text/plain; charset=UTF-8", headers=headers
        )

    def send(self, kind, at=NOW):
        return self.post(self.notification(self.event(kind), at))

    def event(self, kind):
        name = kind.split()[0]
        mail_object = {
            "timestamp": "2026-03-03T11:59:02.012Z",
            "source": "Sender Name <sender@example.com>",
            "sendingAccountId": "123456789012",
            "messageId": "ses-1",
            "destination": ["ada@example.com"],
            "headersTruncated": False,
            "headers": [{"name": "To", "value": "ada@example.com"}],
            "commonHeaders": {"to": ["ada@example.com"], "subject": "Reset"},
            "tags": {"ses:configuration-set": ["ConfigSet"]},
        }
        return {"eventType": name, "mail": mail_object, **deepcopy(AMAZON[kind])}


def bounce(kind, sub, status, said):
    person = {"emailAddress": "ada@example.com", "action": "failed", "status": status}
    return {
        "bounce": {
            "bounceType": kind,
            "bounceSubType": sub,
            "bouncedRecipients": [{**person, "diagnosticCode": said}],
            "timestamp": "2026-03-03T11:59:59.669Z",
            "feedbackId": "01000157c44f053b-61b59c11-9236-11e6-8f96-7be8aexample-000000",
            "reportingMTA": "dsn; mta.example.com",
        }
    }


AMAZON = {
    "Send": {"send": {}},
    "Delivery": {
        "delivery": {
            "timestamp": "2026-03-03T12:00:00.202Z",
            "processingTimeMillis": 11194,
            "recipients": ["ada@example.com"],
            "smtpResponse": "250 2.6.0 Message received",
            "remoteMtaIp": "123.456.789.012",
            "reportingMTA": "mta.example.com",
        }
    },
    "DeliveryDelay": {
        "deliveryDelay": {
            "timestamp": "2026-03-03T12:00:00.095Z",
            "delayType": "TransientCommunicationFailure",
            "expirationTime": "2026-03-04T00:25:34.095Z",
            "delayedRecipients": [
                {
                    "emailAddress": "ada@example.com",
                    "status": "4.4.1",
                    "diagnosticCode": "smtp; 421 4.4.1 Unable to connect to remote host",
                }
            ],
        }
    },
    "Bounce hard": bounce(
        "Permanent", "General", "5.1.1", "smtp; 550 5.1.1 <ada@example.com> unknown"
    ),
    "Bounce soft": bounce(
        "Transient", "MailboxFull", "4.2.2", "smtp; 452 4.2.2 ada@example.com is full"
    ),
    "Bounce suppressed": bounce(
        "Permanent", "OnAccountSuppressionList", "5.1.1", "Amazon SES did not send"
    ),
    "Complaint": {
        "complaint": {
            "complainedRecipients": [{"emailAddress": "ada@example.com"}],
            "timestamp": "2026-03-03T12:00:00.000Z",
            "feedbackId": "01000157c44f053b-61b59c11-9236-11e6-8f96-7be8aexample-000000",
            "userAgent": "Amazon SES Mailbox Simulator",
            "complaintFeedbackType": "abuse",
        }
    },
    "Reject": {"reject": {"reason": "Bad content"}},
}


class SendGrid:
    """SendGrid's event webhook, signed."""

    page = "/anymail/sendgrid/tracking/"
    message_id = ""

    def event(self, kind, at=NOW):
        return {
            "email": "ada@example.com",
            "timestamp": int(at.timestamp()),
            "smtp-id": "<14c5d75ce93.dfd.64b469@ismtpd-555>",
            "sg_event_id": "ZGVmZXJyZWQtMC0xNTAwMQ",
            "sg_message_id": "14c5d75ce93.dfd.64b469.filter0001.16648.5515E0B88.0",
            "anymail_id": PasswordResetDelivery.objects.get().message_id,
            **SENDGRID[kind],
        }

    def send(self, kind, at=NOW):
        return self.post([self.event(kind, at)])

    def post(self, events, headers=None, key=KEY):
        body, moment = json.dumps(events), "1772539200"
        signature = key.sign((moment + body).encode(), ec.ECDSA(hashes.SHA256()))
        headers = {
            "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(
                signature
            ).decode(),
            "X-Twilio-Email-Event-Webhook-Timestamp": moment,
            **(basic() if headers is None else headers),
        }
        return Client(raise_request_exception=False).post(
            self.page, body, "application/json", headers=headers
        )


SENDGRID = {
    "processed": {"event": "processed"},
    "deferred": {
        "event": "deferred",
        "response": "452 4.2.2 ada@example.com is over quota",
        "attempt": "5",
    },
    "delivered": {"event": "delivered", "response": "250 OK"},
    "bounce hard": {
        "event": "bounce",
        "type": "bounce",
        "status": "5.1.1",
        "reason": "550 5.1.1 ada@example.com: no such user",
        "bounce_classification": "Invalid Address",
    },
    "bounce soft": {
        "event": "bounce",
        "type": "blocked",
        "status": "5.7.1",
        "reason": "554 5.7.1 blocked, see http://example.com/192.0.2.7",
    },
    "dropped": {
        "event": "dropped",
        "reason": "Bounced Address",
        "status": "5.0.0",
    },
    "spamreport": {"event": "spamreport"},
}


@pytest.fixture
def amazon(ses, use, user, settings):  # noqa: F811
    use(**ses.environment, ANYMAIL_WEBHOOK_SECRET=SECRET)
    settings.AWS_SNS_TOPIC_ARN = TOPIC
    ask(user)
    return Amazon()


@pytest.fixture
def twilio(sendgrid, use, user):  # noqa: F811
    key = base64.b64encode(PUBLIC).decode()
    use(
        **sendgrid.environment,
        ANYMAIL_WEBHOOK_SECRET=SECRET,
        SENDGRID_WEBHOOK_KEY=key,
    )
    ask(user)
    return SendGrid()


@pytest.fixture
def provider(request):
    return request.getfixturevalue(request.param)


def known():
    row = PasswordResetDelivery.objects.get()
    return row.state, row.reason


def page(path=f"{REQUESTS}why/?q=ada@example.com"):
    response = superuser().get(path)
    assert response.status_code == 200
    return " ".join(response.content.decode().replace("&#x27;", "'").split())


FULL = "the mailbox is full"
WORDS = {
    ("amazon", "Send"): (
        ("accepted", ""),
        "the mail server took the email to ada@example.com; nothing was reported",
    ),
    ("amazon", "Delivery"): (
        ("delivered", ""),
        "the recipient's server took the email to ada@example.com",
    ),
    ("amazon", "DeliveryDelay"): (
        ("deferred", "unreachable 4.4.1"),
        "the recipient's server cannot be reached (4.4.1). The provider keeps trying.",
    ),
    ("amazon", "Bounce hard"): (
        ("bounced", "no_mailbox 5.1.1"),
        "for good: there is no such mailbox (5.1.1). No other email will get there",
    ),
    ("amazon", "Bounce soft"): (
        ("soft_bounced", "mailbox_full 4.2.2"),
        f"came back: {FULL} (4.2.2). A later one may get through.",
    ),
    ("amazon", "Bounce suppressed"): (
        ("bounced", "suppressed 5.1.1"),
        "take it off the provider's suppression list (5.1.1)",
    ),
    ("amazon", "Complaint"): (("complained", ""), "reported the email as spam"),
    ("amazon", "Reject"): (("rejected", "policy"), "the mail provider refused to send"),
    ("twilio", "processed"): (("accepted", ""), "nothing was reported since"),
    ("twilio", "deferred"): (
        ("deferred", "mailbox_full 4.2.2"),
        f"is delayed since 12:00 UTC: {FULL} (4.2.2)",
    ),
    ("twilio", "delivered"): (("delivered", ""), "or its spam folder"),
    ("twilio", "bounce hard"): (
        ("bounced", "no_mailbox 5.1.1"),
        "there is no such mailbox (5.1.1)",
    ),
    ("twilio", "bounce soft"): (
        ("soft_bounced", "policy 5.7.1"),
        "a filter refuses it, as one against spam does (5.7.1)",
    ),
    ("twilio", "dropped"): (
        ("rejected", "suppressed 5.0.0"),
        "take it off the provider's suppression list (5.0.0)",
    ),
    ("twilio", "spamreport"): (("complained", ""), "reported the email as spam"),
}


@pytest.mark.parametrize(
    ("provider", "kind", "stored", "words"),
    [(*key, *value) for key, value in WORDS.items()],
    indirect=["provider"],
    ids=["-".join(key) for key in WORDS],
)
def test_staff_reads_what_became_of_an_email(provider, kind, stored, words):
    assert provider.send(kind).status_code == 200
    assert known() == stored
    request, token = (
        PasswordResetRequest.objects.get(),
        PasswordResetToken.objects.get(),
    )
    words = words.replace("12:00 UTC", "March 3, 2026, noon")
    assert words in page()
    assert words in page(f"{REQUESTS}{request.pk}/change/")
    assert words in page(f"{TOKENS}{token.pk}/change/")


@pytest.mark.parametrize("provider", ["amazon", "twilio"], indirect=True)
def test_no_address_and_no_word_of_a_server_is_kept_as_the_reason(provider):
    for kind in AMAZON if isinstance(provider, Amazon) else SENDGRID:
        provider.send(kind)
        assert "@" not in known()[1]


@pytest.mark.parametrize(
    ("provider", "first", "then"),
    [
        ("amazon", "Delivery", "DeliveryDelay"),
        ("amazon", "Complaint", "Delivery"),
        ("amazon", "Bounce hard", "Send"),
        ("twilio", "delivered", "deferred"),
        ("twilio", "bounce hard", "processed"),
        ("twilio", "spamreport", "delivered"),
    ],
    indirect=["provider"],
)
def test_an_earlier_state_that_comes_later_changes_nothing(provider, first, then):
    provider.send(first)
    before = known()
    assert provider.send(then, NOW + timedelta(hours=1)).status_code == 200
    assert known() == before


@pytest.mark.parametrize(
    ("provider", "delivered", "bounced"),
    [
        ("amazon", "Delivery", "Bounce hard"),
        ("twilio", "delivered", "bounce hard"),
    ],
    indirect=["provider"],
)
def test_of_two_ends_the_later_counts_in_whichever_order_they_come(
    provider, delivered, bounced
):
    provider.send(bounced, NOW + timedelta(minutes=5))
    provider.send(delivered, NOW)
    assert known()[0] == "bounced"
    provider.send(delivered, NOW + timedelta(minutes=9))
    assert known()[0] == "delivered"


@pytest.mark.parametrize(
    ("provider", "kind"),
    [("amazon", "Bounce hard"), ("twilio", "bounce hard")],
    indirect=["provider"],
)
def test_a_replayed_event_counts_once(provider, kind, caplog):
    with caplog.at_level("INFO", "password_reset"):
        assert [provider.send(kind).status_code for _ in range(3)] == [200] * 3
    said = [line for line in caplog.messages if "reported" in line]
    assert len(said) == 1


FORGED = {
    "no secret": {},
    "a wrong secret": basic("mail:guessed-by-a-stranger"),
    "not even base64": {"Authorization": "Basic !"},
    "another scheme": {"Authorization": f"Bearer {SECRET}"},
}


@pytest.mark.parametrize("provider", ["amazon", "twilio"], indirect=True)
@pytest.mark.parametrize("headers", FORGED.values(), ids=FORGED)
def test_without_the_secret_an_event_is_refused(provider, headers):
    body = (
        provider.notification(provider.event("Bounce hard"))
        if isinstance(provider, Amazon)
        else [provider.event("bounce hard")]
    )
    assert provider.post(body, headers).status_code in {400, 401}
    assert known()[0] == "accepted"


def test_amazon_is_asked_for_the_secret(amazon):
    """SNS sends it only after a 401."""
    body = amazon.notification(amazon.event("Delivery"))
    assert "Basic" in amazon.post(body, {})["WWW-Authenticate"]


def test_the_topic_of_somebody_else_is_refused(amazon):
    other = TOPIC.replace("123456789012", "666666666666")
    body = amazon.notification(amazon.event("Bounce hard"), TopicArn=other)
    assert amazon.post(body).status_code == 400
    assert known()[0] == "accepted"


def test_a_signature_by_another_key_is_refused(twilio):
    forger = ec.generate_private_key(ec.SECP256R1())
    response = twilio.post([twilio.event("bounce hard")], key=forger)
    assert (response.status_code, known()[0]) == (400, "accepted")


def test_a_signature_of_another_body_is_refused(twilio):
    signed = KEY.sign(b"1772539200[]", ec.ECDSA(hashes.SHA256()))
    headers = basic() | {
        "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signed).decode()
    }
    response = twilio.post([twilio.event("bounce hard")], headers)
    assert (response.status_code, known()[0]) == (400, "accepted")


NONSENSE = [
    "",
    "[]",
    "null",
    '"x"',
    "{",
    '{"Type": []}',
    '[{"event": 1}]',
    "[[]]",
    "[3]",
]


@pytest.mark.parametrize("provider", ["amazon", "twilio"], indirect=True)
@pytest.mark.parametrize("body", NONSENSE)
def test_nonsense_is_never_an_error_of_the_site(provider, body):
    for headers in ({}, basic("mail:wrong-wrong-wrong"), basic()):
        response = Client(raise_request_exception=False).post(
            provider.page, body, "text/plain", headers=headers
        )
        assert response.status_code < 500


def test_an_event_of_an_email_that_is_not_ours_is_left_alone(amazon):
    event = amazon.event("Bounce hard")
    event["mail"]["messageId"] = "of-a-newsletter"
    hour = timezone.now() - timedelta(hours=1)
    PasswordResetToken.objects.update(created_at=hour)
    PasswordResetRequest.objects.update(processed_at=hour)
    assert amazon.post(amazon.notification(event)).status_code == 200
    assert known()[0] == "accepted"


def test_an_event_of_a_copy_says_nothing_about_the_person(amazon):
    event = amazon.event("Bounce hard")
    event["bounce"]["bouncedRecipients"][0]["emailAddress"] = "archive@example.com"
    assert amazon.post(amazon.notification(event)).status_code == 200
    assert known()[0] == "accepted"


def test_an_event_that_overtakes_the_record_is_asked_for_again(amazon):
    """Until a moment ago the email was still being sent."""
    PasswordResetDelivery.objects.all().delete()
    assert amazon.send("Delivery").status_code == 503


@pytest.mark.parametrize("field", ["processed_at", "claim_id"])
@pytest.mark.parametrize("model", [PasswordResetNotice, PasswordResetRequest])
def test_so_is_one_of_an_email_without_a_link(amazon, user, model, field):
    """A notice of a changed password, or what explains how to log in without one."""
    forget(user)
    owner = {"user": user} if model is PasswordResetNotice else {}
    value = {"processed_at": timezone.now(), "claim_id": uuid4()}[field]
    model.objects.create(email=user.email, **owner, **{field: value})
    assert amazon.send("Bounce hard").status_code == 503


def test_one_of_an_email_that_waits_for_its_next_attempt_is_not(amazon, user):
    forget(user)
    later = timezone.now() + timedelta(minutes=9)
    PasswordResetNotice.objects.create(
        user=user, email=user.email, attempts=1, next_attempt_at=later
    )
    assert amazon.send("Bounce hard").status_code == 200


def forget(user):
    """Leave nothing of what was sent."""
    for model in (PasswordResetDelivery, PasswordResetToken, PasswordResetRequest):
        model.objects.all().delete()


def test_an_address_may_be_reported_in_another_spelling(amazon):
    event = amazon.event("Bounce hard")
    event["bounce"]["bouncedRecipients"][0]["emailAddress"] = "ADA@Example.COM"
    amazon.post(amazon.notification(event))
    assert known()[0] == "bounced"


def test_a_visitor_learns_nothing_of_a_bounce(amazon, client, user):
    def answers():
        first = client.post("/forgot-password", {"email": user.email})
        done = client.get(first["Location"])
        return first.status_code, first["Location"], "bounce" in done.content.decode()

    before = answers()
    amazon.send("Bounce hard")
    assert answers() == before


def test_the_account_s_panel_says_since_when_the_mailbox_is_full(amazon, user):
    since = timezone.now() - timedelta(days=2)
    amazon.send("Bounce soft", since)
    ask(user)
    assert f"Since {since:%A}: {FULL}." in page()


def test_a_delivery_ends_the_trouble_of_an_address(amazon):
    amazon.send("Bounce soft", NOW)
    amazon.send("Delivery", NOW + timedelta(hours=1))
    assert FULL not in page()


def test_the_demo_has_no_webhook_without_a_secret(client):
    assert client.get("/anymail/mandrill/").status_code == 404
    result = env.read({"SENDGRID_WEBHOOK_KEY": base64.b64encode(PUBLIC).decode()})
    assert [problem.name for problem in result.problems] == ["ANYMAIL_WEBHOOK_SECRET"]


@pytest.mark.parametrize("value", ["short", "mail:short", "no-colon-in-this-long-one"])
def test_a_secret_that_is_none_is_refused_at_the_start(value):
    problems = env.read({"ANYMAIL_WEBHOOK_SECRET": value}).problems
    assert [problem.name for problem in problems] == ["ANYMAIL_WEBHOOK_SECRET"]


def test_what_an_smtp_server_said_is_kept(smtp, user):
    ask(user)
    state, reason = known()
    assert (state, reason[:3]) == ("accepted", "250")
    assert f"took the email to ada@example.com ({reason})" in page()


def test_what_an_smtp_server_refuses_is_said_in_words(smtp, user):
    smtp.replies[user.email] = "552 5.2.2 ada@example.com is over its quota"
    row = ask(user)
    assert row.last_error == "SMTPRecipientsRefused 552 5.2.2"
    assert f"failed: {FULL} (SMTPRecipientsRefused 552 5.2.2)" in page()
    assert mail.outbox == []
