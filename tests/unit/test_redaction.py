"""The filter takes tokens out of all that a handler writes."""

import io
import json
import logging

import django
import pytest
from django.test import RequestFactory
from django.utils.log import AdminEmailHandler
from pythonjsonlogger.json import JsonFormatter

from password_reset.redaction import RedactResetTokens, redact

RAW = "0123456789abcdef" * 4


def admins(address):
    """Return the setting ADMINS, which takes plain addresses from Django 6.0 on."""
    return [address] if django.VERSION >= (6, 0) else [("Admin", address)]


@pytest.fixture
def log():
    """A child logger whose parent's handler has the filter, and the lines that come
    out.
    """
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter("%(message)s"))
    handler.addFilter(RedactResetTokens())
    parent = logging.getLogger("tests.redaction")
    parent.addHandler(handler)
    parent.propagate = False
    yield logging.getLogger("tests.redaction.child"), stream
    parent.removeHandler(handler)


@pytest.mark.parametrize(
    "text", [RAW, RAW.upper(), f"?token={RAW}&x=1", f"%3D{RAW}", RAW * 2, f"\n{RAW}\n"]
)
def test_a_text_keeps_at_most_the_first_digits(text):
    assert RAW[12:].lower() not in redact(text).lower()


@pytest.mark.parametrize(
    "text", ["", "hello", "0" * 63, "d41d8cd98f00b204e9800998ecf8427e", "a" * 40]
)
def test_other_texts_stay_as_they_are(text):
    assert redact(text) == text


@pytest.mark.parametrize(
    "path", ["/reset/MQ/{}/", "/key/1-{}/", "https://a.example/reset/MQ/{}/?next=/"]
)
def test_a_path_loses_a_token_of_django_s_own_flow(path):
    token = "dikhrf-" + "0123456789abcdef" * 2
    assert redact(path.format(token)) == path.format("dikhrf...")


@pytest.mark.parametrize(
    "text",
    [
        "/static/styles-d41d8cd98f00b204e9800998ecf8427e.css",
        "/static/js/vendor-d41d8cd98f00b204e9800998ecf8427e.js",
        "/avatars/d41d8cd98f00b204e9800998ecf8427e/",
        "thread-d41d8cd98f00b204e9800998ecf8427e",
    ],
)
def test_a_digest_in_a_path_is_no_token(text):
    assert redact(text) == text


def test_message_arguments_and_extra_fields_lose_the_token(log):
    logger, stream = log
    logger.warning(
        "%s opened %s",
        "somebody",
        f"/reset-password?token={RAW}",
        extra={"path": RAW, "status": 200},
    )
    line = json.loads(stream.getvalue())
    assert line["message"] == "somebody opened /reset-password?token=01234567..."
    assert (line["path"], line["status"]) == ("01234567...", 200)


def test_a_message_with_named_arguments_loses_it_too(log):
    logger, stream = log
    logger.warning("%(url)s", {"url": RAW})
    assert RAW not in stream.getvalue()


def test_an_exception_loses_it_with_its_causes(log):
    logger, stream = log
    try:
        try:
            raise KeyError(RAW)
        except KeyError as cause:
            raise ValueError(f"no row for {RAW}") from cause
    except ValueError:
        logger.exception("failed")
    assert RAW not in stream.getvalue()
    assert (
        "ValueError: no row for 01234567..."
        in json.loads(stream.getvalue())["exc_info"]
    )


def test_an_exception_without_a_token_keeps_its_traceback(log):
    logger, stream = log
    try:
        raise KeyError("plain")
    except KeyError:
        logger.exception("failed")
    assert "KeyError: 'plain'" in json.loads(stream.getvalue())["exc_info"]


def test_a_message_that_does_not_fit_its_arguments_is_no_way_out(log, capsys):
    logger, stream = log
    logger.warning("%d of %s", RAW)  # noqa: PLE1206
    assert RAW not in stream.getvalue() + capsys.readouterr().err


def test_an_error_mail_has_no_token_of_django_s_own_flow_in_its_path(
    settings, mailoutbox
):
    settings.ADMINS = admins("admin@example.com")
    path = f"/reset/MQ/dikhrf-{RAW[:32]}/"
    request = RequestFactory().get(path)
    handler = AdminEmailHandler(
        include_html=True, reporter_class="django.views.debug.ExceptionReporter"
    )
    handler.addFilter(RedactResetTokens())
    handler.handle(logging.makeLogRecord({"msg": "failed", "request": request}))
    message = mailoutbox[0]
    assert "/reset/MQ/dikhrf.../" in message.body
    assert RAW[:32] not in message.subject + message.body + str(message.alternatives)
    assert request.path == path


def test_an_error_mail_to_the_admins_has_no_token(settings, mailoutbox):
    settings.ADMINS = admins("admin@example.com")
    request = RequestFactory().post(
        f"/reset-password?token={RAW}",
        {"token": RAW},
        HTTP_REFERER=f"https://www.example.com/?token={RAW}",
    )
    assert request.POST["token"] == RAW
    handler = AdminEmailHandler(include_html=True)
    handler.addFilter(RedactResetTokens())
    record = logging.makeLogRecord(
        {"msg": "failed %s", "args": (RAW,), "levelname": "ERROR", "request": request}
    )
    handler.handle(record)
    message = mailoutbox[0]
    assert RAW not in message.subject + message.body + str(message.alternatives)
    assert request.POST["token"] == request.GET["token"] == RAW


def test_a_query_that_cannot_be_read_is_no_error_of_the_log():
    request = RequestFactory().get("/reset-password?" + "a&" * 1100)
    record = logging.makeLogRecord({"msg": "Bad Request", "request": request})
    assert RedactResetTokens().filter(record)
