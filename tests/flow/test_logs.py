"""The log, read where operators read it: in the output of the running site."""

import json
import logging
import sys
import urllib.error
import urllib.request
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from project import logs
from tests.tools.processes import Process, Processes
from tests.tools.servers import wait_until

TOKEN = "0123456789abcdef" * 4
CONFIG = ("--config", "python:project.gunicorn")


def written(record: logging.LogRecord, formatter: logging.Formatter) -> str:
    """Return what the console would show of a record."""
    return formatter.format(record)


def record(message: str, *args: object, **extra: Any) -> logging.LogRecord:
    found = logging.getLogger("password_reset").makeRecord(
        "password_reset", 20, "", 0, message, args, None
    )
    vars(found).update(extra)
    return found


def visit(url: str, **headers: str) -> Any:
    request = urllib.request.Request(
        url, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )
    try:
        return urllib.request.urlopen(request, timeout=10)
    except urllib.error.HTTPError as error:
        return error


def ask_for_a_link(site: Process, email: str, **headers: str) -> None:
    body = json.dumps({"email": email}).encode()
    headers = {"Content-Type": "application/json"} | headers
    request = urllib.request.Request(
        f"{site.url}/api/auth/request-password-reset", body, headers
    )
    urllib.request.urlopen(request, timeout=10).close()


def lines(site: Process, message: str) -> list[dict[str, Any]]:
    """Return the JSON lines with a message, as soon as there is one."""
    wait_until(lambda: message in site.log, lambda: site.log)
    found = [json.loads(line) for line in site.log.splitlines() if line.startswith("{")]
    return [line for line in found if line["message"] == message]


def test_json_is_one_object_a_line_with_the_fields() -> None:
    line = written(
        record("Password reset requested", email="a@example.com", ip=None), logs.Json()
    )
    found = json.loads(line)
    assert "\n" not in line
    assert (found["message"], found["level"], found["logger"]) == (
        "Password reset requested",
        "INFO",
        "password_reset",
    )
    assert (found["email"], found["ip"]) == ("a@example.com", None)


@pytest.mark.parametrize("style", [logs.Json, logs.Pretty])
@pytest.mark.parametrize("character", ["\x7f", "\x85", "\x9b", "\u2028", "\u202e"])
def test_no_line_has_a_character_that_viewers_obey(
    style: type[logging.Formatter], character: str
) -> None:
    said = record(f"a{character}b", email=f"a{character}b")
    try:
        raise ValueError(f"a{character}b")
    except ValueError:
        said.exc_info = sys.exc_info()
    assert not set(written(said, style())) & {character}


def test_pretty_lines_cannot_be_forged() -> None:
    line = written(
        record("hello %s", "\n2026 INFO forged", userAgent="a\r\nb"), logs.Pretty()
    )
    assert "\n" not in line
    assert "\r" not in line
    assert "hello \\n2026 INFO forged" in line


@pytest.mark.parametrize("style", [logs.Json, logs.Pretty])
def test_a_request_object_is_not_written_out(
    style: type[logging.Formatter], rf: Any
) -> None:
    request = rf.get("/reset-password", {"token": TOKEN})
    assert TOKEN not in written(
        record("Not Found", request=request, status_code=404), style()
    )


@pytest.mark.parametrize("level", ["error", "warn", "info", "debug"])
def test_the_guides_levels_are_understood(level: str) -> None:
    assert logs.config("json", level)["root"]["level"] == {"warn": "WARNING"}.get(
        level, level.upper()
    )


def test_every_handler_takes_tokens_out() -> None:
    handlers = logs.config("json", "info")["handlers"].values()
    assert all("tokens" in handler["filters"] for handler in handlers)


def test_the_access_log_is_json_without_query_and_referer(processes: Processes) -> None:
    site = processes.gunicorn(options=CONFIG, LOG_FORMAT="json")
    visit(
        f"{site.url}/reset-password?token={TOKEN}",
        Referer=f"{site.url}/reset-password?token={TOKEN}",
    )
    (line,) = lines(site, "GET /reset-password 404")
    assert (line["method"], line["path"], line["status"]) == (
        "GET",
        "/reset-password",
        404,
    )
    assert line["logger"] == "gunicorn.access"
    assert TOKEN not in site.log


def test_a_token_in_the_path_or_the_browsers_name_is_cut(processes: Processes) -> None:
    site = processes.gunicorn(options=CONFIG, LOG_FORMAT="json")
    visit(f"{site.url}/reset-password/{TOKEN}", User_Agent=f"Mozilla {TOKEN}")
    lines(site, f"GET /reset-password/{TOKEN[:8]}... 404")
    assert TOKEN not in site.log


@pytest.mark.parametrize("style", ["json", "pretty"])
def test_the_development_server_writes_no_token(
    processes: Processes, style: str
) -> None:
    site = processes.runserver(LOG_FORMAT=style)
    visit(f"{site.url}/reset-password?token={TOKEN}")
    site.wait_for_log(f"token={TOKEN[:8]}...")
    assert TOKEN not in site.log


def test_a_proxys_request_id_goes_through_the_whole_log(processes: Processes) -> None:
    site = processes.gunicorn(options=CONFIG, LOG_FORMAT="json")
    ask_for_a_link(
        site,
        "a@example.com",
        **{"X-Request-ID": "from-the-proxy-1", "User-Agent": "curl/8"},
    )
    (event,) = lines(site, "Password reset requested")
    (access,) = lines(site, "POST /api/auth/request-password-reset 202")
    assert event["requestId"] == access["requestId"] == "from-the-proxy-1"
    assert (event["email"], event["ip"], event["userAgent"]) == (
        "a@example.com",
        "127.0.0.1",
        "curl/8",
    )


def test_the_worker_names_the_row_that_the_request_made(processes: Processes) -> None:
    get_user_model().objects.create_user(
        "a@example.com", "correct horse battery staple"
    )
    database_queue = {
        "DJANGO_SETTINGS_MODULE": "project.settings",
        "LOG_FORMAT": "json",
    }
    site = processes.gunicorn(options=CONFIG, **database_queue)
    ask_for_a_link(site, "a@example.com")
    (event,) = lines(site, "Password reset requested")
    worker = processes.db_worker(**database_queue)
    (attempt,) = lines(worker, "Password reset mail attempted")
    assert attempt["reset_request"] == event["reset_request"]


@pytest.mark.django_db
def test_an_id_comes_back_in_the_answer(client: Client) -> None:
    assert (
        client.get("/", headers={"X-Request-ID": "from-the-proxy-1"})["X-Request-ID"]
        == "from-the-proxy-1"
    )


@pytest.mark.parametrize(
    "proposed", ["", "short", TOKEN, "a b c d e f g h", "x" * 49, "é" * 12]
)
def test_an_id_that_could_do_harm_is_replaced(client: Client, proposed: str) -> None:
    answer = client.get("/health/live", HTTP_X_REQUEST_ID=proposed)["X-Request-ID"]
    assert answer != proposed
    assert len(answer) == 32
