"""One trace from the request to the email and the reset, without an address, an IP
address or a secret in it.
"""

import json
import subprocess
import sys

import pytest
from django.core import mail
from django.test import Client
from opentelemetry import trace
from opentelemetry.instrumentation.django import DjangoInstrumentor
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind, StatusCode

from password_reset import services, telemetry
from password_reset.campaigns import PasswordResetInvitation
from password_reset.models import PasswordResetRequest
from tests import ROOT
from tests.flow.test_invitations import newcomer
from tests.tools.factories import NEW_PASSWORD, UserFactory
from tests.tools.people import walk_the_flow
from tests.tools.servers import wait_until
from tests.tools.spans import Spans, install
from tests.tools.walk import (
    ask,
    call,
    code_in,
    enter,
    look,
    mailed_token,
    spend,
    token_in,
)

pytestmark = pytest.mark.django_db(transaction=True)

REQUEST, DELIVERY = "send password_reset_requests", "process password_reset_requests"
NOTICE, NOTICED = "send password_reset_notices", "process password_reset_notices"
RESET = "password_reset reset"
WHERE = "203.0.113.77"


@pytest.fixture
def spans():
    """What the host's tracer records while this test runs."""
    recorded = Spans()
    install(recorded.provider)
    yield recorded
    install(None)


@pytest.fixture
def instrumented(spans, settings):
    """The same with OpenTelemetry's own instrumentation of Django beside."""
    settings.MIDDLEWARE = list(settings.MIDDLEWARE)
    DjangoInstrumentor().instrument(tracer_provider=spans.provider)
    yield spans
    DjangoInstrumentor().uninstrument()


def reset(client, email):
    token = mailed_token(client, email)
    assert look(client, token).status_code == 200
    assert spend(client, token).status_code == 302
    return token


def test_request_delivery_email_and_reset_are_one_trace(client, user, spans):
    reset(client, user.email)
    request, delivery, done = map(spans.named, (REQUEST, DELIVERY, RESET))
    email = next(s for s in spans.ours if s.name == "send email")
    assert request.parent is None
    assert delivery.parent.span_id == done.parent.span_id == request.context.span_id
    assert email.parent.span_id == delivery.context.span_id
    traces = {s.context.trace_id for s in (request, delivery, email, done)}
    assert len(traces) == 1
    assert [s.kind for s in (request, delivery, email, done)] == [
        SpanKind.PRODUCER,
        SpanKind.CONSUMER,
        SpanKind.CLIENT,
        SpanKind.INTERNAL,
    ]


def test_the_spans_name_the_row_by_the_conventions_for_messaging(client, user, spans):
    ask(client, user.email)
    pk = str(PasswordResetRequest.objects.get().pk)
    common = {
        "messaging.system": "password_reset",
        "messaging.destination.name": "password_reset_requests",
        "messaging.message.id": pk,
    }
    sent, processed = spans.named(REQUEST), spans.named(DELIVERY)
    assert common.items() <= dict(sent.attributes).items()
    assert common.items() <= dict(processed.attributes).items()
    assert sent.attributes["messaging.operation.type"] == "send"
    assert sent.attributes["password_reset.source"] == "web"
    assert processed.attributes["messaging.operation.type"] == "process"
    assert processed.attributes["password_reset.outcome"] == "processed"
    assert processed.attributes["password_reset.mails_sent"] == 1


def test_the_notice_of_a_change_has_a_trace_that_the_reset_leads_to(
    client, user, spans
):
    reset(client, user.email)
    notice, done = spans.named(NOTICE), spans.named(RESET)
    assert notice.parent is None
    assert spans.named(NOTICED).parent.span_id == notice.context.span_id
    assert [link.context.span_id for link in done.links] == [notice.context.span_id]
    assert [link.context.span_id for link in notice.links] == [done.context.span_id]


def test_an_invitation_leads_from_its_email_to_the_first_password(client, spans, db):
    services.send_invitation(newcomer(email="nia@example.com"))
    assert spend(client, token_in(mail.outbox[-1].body)).status_code == 302
    delivery = spans.named("process password_reset_invitations")
    done = spans.named(RESET)
    assert delivery.parent is None
    assert done.parent is None
    assert done.context.trace_id in [link.context.trace_id for link in delivery.links]


def test_a_code_is_typed_in_the_trace_of_its_request(client, user, spans, settings):
    settings.PASSWORD_RESET_CODES = True
    ask(client, user.email)
    code = code_in(mail.outbox[-1].body)
    enter(client, "BBBB-BBBB")
    enter(client, code)
    wrong, right = [s for s in spans.ours if s.name == "password_reset code"]
    assert wrong.parent.span_id == right.parent.span_id
    assert right.parent.span_id == spans.named(REQUEST).context.span_id
    assert wrong.attributes["password_reset.outcome"] == "CodeError"
    assert wrong.status.status_code is StatusCode.UNSET


def test_a_request_for_nobody_ends_without_an_email(client, spans, db):
    ask(client, "nobody@example.com")
    assert spans.names() == [REQUEST, DELIVERY]
    assert spans.named(DELIVERY).attributes["password_reset.outcome"] == "no_email"
    assert len({s.context.trace_id for s in spans.ours}) == 1


def test_the_request_records_the_same_for_every_address(client, user, instrumented):
    shapes = []
    for email in (user.email, "nobody@example.com"):
        instrumented.exporter.clear()
        ask(client, email)
        sent = instrumented.named(REQUEST)
        named = {k: v for k, v in sent.attributes.items() if not k.endswith(".id")}
        shapes.append((named, len(sent.links), sent.status.status_code))
    assert shapes[0] == shapes[1]


def test_a_refused_password_is_an_outcome_and_no_error(client, user, spans):
    token = mailed_token(client, user.email)
    spend(client, token, password="short")
    assert spend(client, token).status_code == 302
    answers = [s for s in spans.ours if s.name == RESET]
    assert {s.status.status_code for s in answers} == {StatusCode.UNSET}


def test_a_mail_server_that_refuses_is_an_error_without_the_address(
    client, user, spans, smtp
):
    smtp.replies[user.email] = f"451 4.7.1 {user.email} from {WHERE} try later"
    ask(client, user.email)
    for span in (spans.named("send email"), spans.named(DELIVERY)):
        assert span.status.status_code is StatusCode.ERROR
        assert span.status.description == "SMTPRecipientsRefused 451 4.7.1"
        assert span.attributes["error.type"] == "SMTPRecipientsRefused"
        assert not span.events
    assert spans.named(DELIVERY).attributes["password_reset.outcome"] == "retry"


def test_no_span_of_the_whole_flow_has_a_secret_an_address_or_an_ip_address(
    user, instrumented, settings, smtp
):
    settings.PASSWORD_RESET_CODES = True
    settings.PASSWORD_RESET_REQUEST_RATE_PER_IP = None
    client = Client(REMOTE_ADDR=WHERE, HTTP_USER_AGENT="Telltale/1.0")
    new = newcomer(email="nia@example.org")
    broken = UserFactory.create(email="broken@example.net")
    smtp.replies[broken.email] = f"550 5.1.1 <{broken.email}> is unknown to {WHERE}"

    def letters():
        return [delivery.text for delivery in smtp.deliveries]

    ask(client, user.email)
    secrets = [token_in(letters()[-1]), code_in(letters()[-1])]
    for path in ("/reset-password?token=", "/reset-password?x=1&token="):
        client.get(
            path + secrets[0], HTTP_REFERER=f"http://testserver{path}{secrets[0]}"
        )
    client.get(f"/reset/MQ/abc123-{'0f' * 16}/")
    enter(client, secrets[1])
    assert spend(client, secrets[0]).status_code == 302
    number = letters()[-1].partition("not-me?n=")[2].split()[0]
    secrets.append(number)
    client.get("/reset-password/not-me", {"n": number})
    client.post("/reset-password/not-me", {"n": number})
    secrets += [token_in(text) for text in letters()[-1:]]
    ask(client, broken.email)
    ask(client, "nobody@example.com")
    call(client, "request-password-reset", {"email": user.email})
    secrets.append(token_in(letters()[-1]))
    call(client, "verify-reset-token", {"token": secrets[-1]})
    body = {"token": secrets[-1], "password": NEW_PASSWORD}
    assert call(client, "reset-password", body).status_code == 200
    services.send_invitation(new)
    secrets.append(token_in(letters()[-1]))
    assert spend(client, secrets[-1]).status_code == 302

    assert len(instrumented.ours) >= 20
    kinds = {s.attributes.get("messaging.destination.name") for s in instrumented.ours}
    assert {
        "password_reset_requests",
        "password_reset_notices",
        PasswordResetInvitation._meta.db_table,
    } <= kinds
    private = [user.email, new.email, broken.email, "nobody@", "ann", NEW_PASSWORD]
    # What the host's instrumentation says of the client is the host's affair; what a
    # link carries is ours.
    everywhere = [s.to_json() for s in instrumented.all]
    ours = [s.to_json() for s in instrumented.ours]
    assert [p for p in [*private, *secrets] if p in "".join(everywhere)] == []
    assert [p for p in (WHERE, "127.0.0.1", "Telltale") if p in "".join(ours)] == []


def test_the_host_s_span_and_ours_lead_to_each_other(client, user, instrumented):
    ask(client, user.email)
    (page,) = [s for s in instrumented.all if s.kind is SpanKind.SERVER]
    sent = instrumented.named(REQUEST)
    assert sent.context.span_id in [link.context.span_id for link in page.links]
    assert [link.context.span_id for link in sent.links] == [page.context.span_id]


def test_the_query_of_a_link_leaves_the_host_s_span(instrumented, client, user):
    link = mailed_token(client, user.email)
    look(client, link)
    page = instrumented.all[-1]
    assert page.kind is SpanKind.SERVER
    assert link not in page.to_json()
    assert "reset-password" in page.to_json()


def test_a_sampler_takes_whole_traces_or_none(client, settings, db):
    settings.PASSWORD_RESET_REQUEST_RATE_PER_IP = None
    sampled = Spans(sampler=ParentBased(TraceIdRatioBased(0.5)))
    install(sampled.provider)
    try:
        for user in UserFactory.create_batch(24):
            reset(client, user.email)
    finally:
        install(None)
    traces = {}
    for span in sampled.ours:
        if "notices" not in span.name:
            traces.setdefault(span.context.trace_id, []).append(span.name)
    whole = [names for names in traces.values() if REQUEST in names]
    assert 2 <= len(whole) <= 22
    for names in whole:
        assert sorted(names) == sorted([REQUEST, DELIVERY, "send email", RESET])


def test_a_tracer_of_another_make_gets_one_trace_too(client, user, spans, monkeypatch):
    class Plain:
        """Only what the API promises: no generator of numbers to set, no sampler."""

        def __init__(self, tracer):
            self.start_span = tracer.start_span

    tracer = spans.provider.get_tracer("password_reset")
    monkeypatch.setattr(telemetry, "_tracer_of", lambda provider: Plain(tracer))
    reset(client, user.email)
    three = [spans.named(name) for name in (REQUEST, DELIVERY, RESET)]
    assert len({s.context.trace_id for s in three}) == 1
    assert len({s.parent.span_id for s in three}) == 1


class Broken(SpanProcessor):
    """A processor of the host's that fails whenever it is called."""

    def on_start(self, span, parent_context=None):
        raise RuntimeError("start")

    def on_end(self, span):
        raise RuntimeError("end")


class BrokenAtTheEnd(Broken):
    def on_start(self, span, parent_context=None):
        pass


@pytest.mark.parametrize("processor", [Broken, BrokenAtTheEnd])
def test_a_tracer_that_fails_costs_nobody_a_request_or_a_reset(
    client, user, spans, processor
):
    spans.provider.add_span_processor(processor())
    reset(client, user.email)
    user.refresh_from_db()
    assert user.check_password(NEW_PASSWORD)
    assert len(mail.outbox) == 2


def test_another_key_gives_other_numbers(settings):
    here = telemetry.numbers_of("password_reset_requests", 1)
    assert here != telemetry.numbers_of("password_reset_requests", 2)
    settings.SECRET_KEY = "another"
    assert here != telemetry.numbers_of("password_reset_requests", 1)


def test_where_the_host_has_no_tracer_nothing_is_derived(client, user, monkeypatch):
    def derive(*arguments):
        raise AssertionError("a number was derived")

    monkeypatch.setattr(telemetry, "numbers_of", derive)
    assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
    reset(client, user.email)


WITHOUT = """
import sys
sys.modules["opentelemetry"] = None  # what an import finds where it is not installed
import django
django.setup()
from password_reset import telemetry, views, worker
with telemetry.step("reset", "table", 1, begins=False) as span:
    span.set_attribute("name", 1)
telemetry.accepted("table", 1); telemetry.hide_query(); telemetry.lead_to("table", 1)
print(telemetry.otel, [name for name in sys.modules if name.startswith("opentelemetry.")])
"""


def test_without_the_package_nothing_is_imported(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.stdout, done.returncode) == ("None []\n", 0), done.stderr


def test_web_processes_and_a_worker_write_one_trace(
    processes, smtp_server, user, tmp_path
):
    file = tmp_path / "spans"
    traced = smtp_server.environment | {
        "DJANGO_SETTINGS_MODULE": "tests.flow.traced_settings",
        "SPANS": str(file),
    }
    url = processes.gunicorn(workers=2, **traced).url
    processes.db_worker(**traced)
    raw = walk_the_flow(url, smtp_server, user.email)

    def spans():
        return [json.loads(line) for line in file.read_text().splitlines()]

    wait_until(
        lambda: NOTICED in {span["name"] for span in spans()},
        lambda: f"no {NOTICED} among {[span['name'] for span in spans()]}",
    )
    found = {span["name"]: span for span in spans() if "notices" not in span["name"]}
    traces = {found[n]["context"]["trace_id"] for n in (REQUEST, DELIVERY, RESET)}
    assert len(traces) == 1
    assert found[DELIVERY]["parent_id"] == found[REQUEST]["context"]["span_id"]
    assert raw not in file.read_text()
    assert user.email not in file.read_text()
