"""The check of the environment, run as an operator runs it: in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from project import consistency, env
from tests import ROOT

SECRET = "9f0c6b1d52e84a7795d3bb0f41c2ae68" * 2
COMPLETE = {
    "ENVIRONMENT": "production",
    "API_URL": "https://api.acme.dev",
    "WEB_URL": "https://acme.dev",
    "DATABASE_URL": "postgresql://yourapp_user:p%40ss@db.internal:5432/yourapp",
    "DATABASE_SSL": "true",
    "SMTP_HOST": "smtp.gmail.com",
    "SMTP_USER": "someone@acme.dev",
    "SMTP_PASSWORD": "abcd efgh ijkl mnop",
    "SMTP_FROM": "noreply@acme.dev",
    "REDIS_URL": "redis://redis.internal:6379",
    "SESSION_SECRET": SECRET,
    "METRICS_TOKEN": SECRET[::-1],
    "TRUSTED_PROXIES": "127.0.0.1, 10.0.0.0/8, unix",
}


def check(
    environment: dict[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "project.env", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True
    )


def problems(**changes: str) -> list[str]:
    return [str(problem) for problem in env.read(COMPLETE | changes).problems]


def test_an_empty_environment_is_a_working_development_site() -> None:
    result = check({})
    assert (result.returncode, result.stderr) == (0, "")
    assert "development" in result.stdout


def test_production_without_anything_names_every_missing_variable() -> None:
    result = check({"ENVIRONMENT": "production"})
    missing = {
        line.split(":")[0].strip()
        for line in result.stderr.splitlines()
        if "is missing" in line
    }
    assert result.returncode == 1
    assert missing == set(COMPLETE) - {
        "ENVIRONMENT",
        "METRICS_TOKEN",
        "TRUSTED_PROXIES",
    }


def test_each_problem_comes_with_an_example() -> None:
    lines = [
        line
        for line in check({"ENVIRONMENT": "staging"}).stderr.splitlines()
        if "is missing" in line
    ]
    assert lines
    assert all(
        "Example: " in line and "=" in line.split("Example: ")[1] for line in lines
    )


def test_the_example_is_refused_for_each_value_that_must_be_replaced() -> None:
    result = check({}, "deploy/env.production.example")
    named = {line.split(":")[0].strip() for line in result.stderr.splitlines()[1:]}
    assert result.returncode == 1
    assert named >= {
        "APP_NAME",
        "SUPPORT_EMAIL",
        "SUPPORT_URL",
        "SMTP_FROM_NAME",
        "API_URL",
        "WEB_URL",
        "DATABASE_URL",
        "SMTP_USER",
        "SMTP_PASSWORD",
        "SMTP_FROM",
        "REDIS_PASSWORD",
        "SESSION_SECRET",
        "METRICS_TOKEN",
    }


def test_a_complete_production_environment_passes_without_a_remark() -> None:
    result = check(COMPLETE)
    assert (result.returncode, result.stderr) == (0, "")


def test_the_check_needs_no_settings() -> None:
    assert (
        check(COMPLETE | {"DJANGO_SETTINGS_MODULE": "nowhere.settings"}).returncode == 0
    )


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("ENVIRONMENT", "prod", "one of development, staging, production"),
        ("API_URL", "http://api.yourapp.com", "must begin with https://"),
        ("WEB_URL", "yourapp.com", "must be http(s)://host"),
        ("WEB_URL", "https://yourapp.com/shop", "without a path"),
        ("WEB_URL", "https://yourapp.com:99999", "must be http(s)://host"),
        ("DATABASE_URL", "mysql://host/name", "must be postgresql://"),
        ("DATABASE_URL", "postgresql://user:pa/ss@host:port/", "must be postgresql://"),
        (
            "DATABASE_URL",
            "sqlite:///production.sqlite3",
            "must be a PostgreSQL database",
        ),
        ("DATABASE_SSL", "ture", "must be true or false"),
        ("DATABASE_SSL_CA", "/nowhere/ca.pem", "must be the path of a file"),
        ("DATABASE_POOL_MIN", "20", "must not be greater than DATABASE_POOL_MAX"),
        ("DATABASE_POOL_MAX", "ten", "must be a whole number from 1"),
        ("EMAIL_PROVIDER", "pigeon", "one of console, smtp, ses, sendgrid"),
        ("EMAIL_PROVIDER", "console", "must send mail"),
        ("SMTP_PORT", "70000", "must be a whole number from 1 to 65535"),
        ("SMTP_FROM", "YourApp", "must be one e-mail address"),
        ("SMTP_FROM", "a@b.example\nBcc: c@d.example", "must be one e-mail address"),
        ("SMTP_FROM_NAME", "Team\nBcc: c@d.example", "must be one line"),
        ("SMTP_USER", "", "is missing"),
        ("REDIS_URL", "localhost:6379", "must be redis://"),
        ("REDIS_URL", "redis://localhost:6379/zero", "number of a database"),
        ("SESSION_SECRET", "too-short", "at least 32 random characters"),
        ("SESSION_SECRET", "a" * 64, "at least 32 random characters"),
        ("SESSION_SECRET", "your-super-secret-session-secret-here", "is a placeholder"),
        (
            "SESSION_SECRET",
            consistency.DEVELOPMENT_SECRET,
            "at least 32 random characters",
        ),
        ("DATABASE_URL", "postgresql://user:change-me@host/name", "has a placeholder"),
        ("SMTP_PASSWORD", "your-app-password", "is a placeholder"),
        ("SMTP_USER", "your-email@example.com", "is a placeholder"),
        ("REDIS_URL", "redis://:change-me@redis:6379", "has a placeholder"),
        ("REDIS_URL", "redis://:change%2Dme@redis:6379", "has a placeholder"),
        ("DATABASE_URL", "postgresql://user:password@host/name", "has a placeholder"),
        ("SESSION_SECRET_FALLBACKS", f"change-me,{SECRET}", "is a placeholder"),
        ("WEB_URL", "https://yourapp.com", "is the example's"),
        ("API_URL", "https://api.example.com", "is the example's"),
        ("SMTP_FROM", "noreply@yourapp.com", "is the example's"),
        ("APP_NAME", "YourApp", "is the example's"),
        ("SMTP_FROM_NAME", "YourApp Team", "is the example's"),
        ("SUPPORT_EMAIL", "help@yourapp.com", "is the example's"),
        ("SUPPORT_URL", "https://yourapp.com/help", "is the example's"),
        ("SMTP_HOST", "smtp.example.com", "is the example's"),
        ("DATABASE_URL", "postgresql://u:p@db.yourapp.com/n", "is the example's"),
        ("REDIS_URL", "redis://redis.example.org", "is the example's"),
        ("METRICS_TOKEN", "token", "at least 16 random characters"),
        ("TRUSTED_PROXIES", "10.0.0.0/8,everybody", "must be networks"),
        ("LOG_LEVEL", "loud", "one of error, warn"),
        ("LOG_FORMAT", "xml", "one of json, pretty"),
        ("FEATURE_PASSWORD_RESET", "maybe", "must be true or false"),
    ],
)
def test_a_fault_is_named(name: str, value: str, words: str) -> None:
    (problem,) = problems(**{name: value})
    assert problem.startswith(f"{name}: ")
    assert words in problem


@pytest.mark.parametrize(
    ("provider", "missing"),
    [
        ("sendgrid", {"SENDGRID_API_KEY"}),
        ("ses", {"AWS_REGION"}),
    ],
)
def test_a_provider_asks_for_its_own_variables(
    provider: str, missing: set[str]
) -> None:
    found = env.read(
        COMPLETE | {"EMAIL_PROVIDER": provider, "SMTP_USER": "", "SMTP_PASSWORD": ""}
    ).problems
    assert {problem.name for problem in found} == missing


def test_an_access_key_needs_its_other_half() -> None:
    (problem,) = problems(
        EMAIL_PROVIDER="ses", AWS_REGION="eu-central-1", AWS_ACCESS_KEY_ID="AKIA"
    )
    assert problem.startswith("AWS_SECRET_ACCESS_KEY: is missing")


def test_a_relay_on_this_machine_needs_no_log_in() -> None:
    assert problems(SMTP_HOST="localhost", SMTP_USER="", SMTP_PASSWORD="") == []


def test_a_catcher_elsewhere_will_do_for_staging() -> None:
    assert (
        problems(
            ENVIRONMENT="staging", SMTP_HOST="mail", SMTP_USER="", SMTP_PASSWORD=""
        )
        == []
    )


def test_a_second_redis_password_is_a_contradiction() -> None:
    (problem,) = problems(REDIS_URL="redis://:one@localhost:6379", REDIS_PASSWORD="two")
    assert problem.startswith("REDIS_PASSWORD: stands in REDIS_URL too")


def test_two_redis_databases_are_a_contradiction() -> None:
    (problem,) = problems(REDIS_URL="redis://localhost:6379/1", REDIS_DB="2")
    assert problem.startswith("REDIS_DB: names another database")


def test_an_open_line_to_the_database_is_allowed_but_remarked_on() -> None:
    found = env.read(COMPLETE | {"DATABASE_SSL": "false"})
    assert found.problems == []
    assert any(remark.startswith("DATABASE_SSL=false") for remark in found.remarks)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SESSION_SECRET", "hunter2-hunter2"),
        ("SESSION_SECRET", "your-hunter2-hunter2-hunter2-hunter2"),
        ("METRICS_TOKEN", "hunter2"),
        ("DATABASE_URL", "postgresql://user:hunter2@host:port/name"),
        ("DATABASE_URL", "mysql://user:hunter2@host/name"),
        ("REDIS_URL", "http://:hunter2@host"),
        ("REDIS_URL", "redis://:hunter2@host/name"),
        ("SMTP_PASSWORD", "hunter2\x07"),
        ("SENDGRID_API_KEY", "hunter2\x07"),
        ("AWS_SECRET_ACCESS_KEY", "hunter2"),
        ("WEB_URL", "https://user:hunter2@yourapp.com"),
    ],
)
def test_a_secret_is_never_printed(name: str, value: str) -> None:
    result = check(COMPLETE | {name: value})
    assert result.returncode == 1
    assert "hunter2" not in result.stdout + result.stderr


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET + "\n")
    given = {
        name: value for name, value in COMPLETE.items() if name != "SESSION_SECRET"
    }
    found = env.read(given | {"SESSION_SECRET_FILE": str(tmp_path / "secret")})
    assert (found.problems, found.values["SESSION_SECRET"]) == ([], SECRET)


def test_a_secret_file_that_is_not_there_is_a_problem() -> None:
    (problem,) = problems(SESSION_SECRET_FILE="/nowhere/secret")
    assert problem.startswith("SESSION_SECRET: cannot be read")


def test_a_dollar_in_a_password_is_a_dollar() -> None:
    assert (
        env.read(COMPLETE | {"SMTP_PASSWORD": "$HOME"}).values["SMTP_PASSWORD"]
        == "$HOME"
    )


def test_a_file_can_be_checked_before_it_is_used(tmp_path: Path) -> None:
    file = tmp_path / ".env.production"
    file.write_text("".join(f"{name}={value}\n" for name, value in COMPLETE.items()))
    assert check({}, str(file)).returncode == 0
    file.write_text("ENVIRONMENT=production\n")
    assert check({}, str(file)).returncode == 1


def test_a_file_that_is_not_there_is_said_so() -> None:
    result = check({}, "/nowhere/.env")
    assert (result.returncode, "no such file" in result.stderr) == (1, True)


def test_the_site_does_not_start_in_a_faulty_environment() -> None:
    command = [sys.executable, "manage.py", "check"]
    environment = {
        "PATH": os.environ["PATH"],
        "ENVIRONMENT": "production",
        "WEB_URL": "http://yourapp.com",
    }
    result = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert result.returncode != 0
    assert "WEB_URL: must begin with https://" in result.stderr
    assert "SESSION_SECRET: is missing" in result.stderr
