"""The environment that the demo site reads: one table, and ``python -m project.env`` to
check it before a start.

Needs no settings. Each variable may also be given as the path of a file, under its name
plus ``_FILE`` (Docker and systemd secrets); an empty variable counts as absent.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import environ

from . import parsers
from .consistency import DEVELOPMENT_SECRET, LOOPBACK, contradictions, deployed, remarks
from .parsers import Values, Variable


def _by(provider: str) -> Any:
    return lambda values: values["EMAIL_PROVIDER"] == provider


def _with_a_mail_server(values: Values) -> bool:
    """Only a relay on this machine, or a catcher outside production, may do without a
    log-in.
    """
    if values["ENVIRONMENT"] != "production" or values["EMAIL_PROVIDER"] != "smtp":
        return False
    return not values["SMTP_SECURE"] and values["SMTP_HOST"] not in LOOPBACK


VARIABLES = (
    Variable(
        "ENVIRONMENT",
        parsers.choice("development", "staging", "production"),
        "production",
        "development",
    ),
    Variable("PORT", parsers.integer(1, 65535), "8000", 8000),
    Variable("APP_NAME", parsers.text, "YourApp", "Resetkit demo"),
    Variable("SUPPORT_EMAIL", parsers.address, "help@yourapp.com"),
    Variable("SUPPORT_URL", parsers.endpoint, "https://yourapp.com/help"),
    Variable("API_URL", parsers.site, "https://api.yourapp.com", needed=deployed),
    Variable("WEB_URL", parsers.site, "https://yourapp.com", needed=deployed),
    Variable("TRUSTED_PROXIES", parsers.networks, "127.0.0.1,10.0.0.0/8", []),
    Variable(
        "DATABASE_URL",
        parsers.database,
        "postgresql://user:password@host:5432/dbname",
        needed=deployed,
    ),
    Variable("DATABASE_SSL", parsers.boolean, "true", None, needed=deployed),
    Variable("DATABASE_SSL_CA", parsers.text, "/etc/ssl/certs/database-ca.pem"),
    Variable("DATABASE_POOL_MIN", parsers.integer(0, 1000), "2", 2),
    Variable("DATABASE_POOL_MAX", parsers.integer(1, 1000), "10", 10),
    Variable(
        "EMAIL_PROVIDER", parsers.choice("console", "smtp", "ses", "sendgrid"), "smtp"
    ),
    Variable("SMTP_HOST", parsers.text, "smtp.gmail.com", needed=_by("smtp")),
    Variable("SMTP_PORT", parsers.integer(1, 65535), "587"),
    Variable("SMTP_SECURE", parsers.boolean, "false", False),
    Variable(
        "SMTP_USER", parsers.text, "your-email@example.com", needed=_with_a_mail_server
    ),
    Variable(
        "SMTP_PASSWORD", parsers.text, "your-app-password", needed=_with_a_mail_server
    ),
    Variable(
        "SMTP_FROM",
        parsers.address,
        "noreply@yourapp.com",
        "noreply@localhost.localdomain",
        needed=deployed,
    ),
    Variable("SMTP_FROM_NAME", parsers.text, "YourApp Team"),
    Variable(
        "SENDGRID_API_KEY", parsers.text, "SG.your-api-key", needed=_by("sendgrid")
    ),
    Variable("SENDGRID_API_URL", parsers.endpoint, "https://api.eu.sendgrid.com/v3/"),
    Variable("AWS_REGION", parsers.text, "eu-central-1", needed=_by("ses")),
    Variable("AWS_ACCESS_KEY_ID", parsers.text, "your-access-key-id"),
    Variable("AWS_SECRET_ACCESS_KEY", parsers.text, "your-secret-access-key"),
    Variable(
        "AWS_ENDPOINT_URL", parsers.endpoint, "https://email.eu-central-1.amazonaws.com"
    ),
    Variable(
        "ANYMAIL_WEBHOOK_SECRET",
        parsers.credentials(16),
        "mail:$(openssl rand -hex 16)",
    ),
    Variable("SENDGRID_WEBHOOK_KEY", parsers.public_key, "MFkwEwYHKoZIzj0CAQYIKoZI…"),
    Variable(
        "AWS_SNS_TOPIC_ARN",
        parsers.text,
        "arn:aws:sns:eu-central-1:123456789012:mail",
    ),
    Variable("REDIS_URL", parsers.redis, "redis://localhost:6379", needed=deployed),
    Variable("REDIS_PASSWORD", parsers.text, "your-redis-password"),
    Variable(
        "REDIS_SENTINELS",
        parsers.hosts,
        "10.0.0.1:26379,10.0.0.2:26379,10.0.0.3:26379",
        [],
    ),
    Variable("REDIS_SENTINEL_PASSWORD", parsers.text, "your-sentinel-password"),
    Variable("REDIS_CLUSTER_NODES", parsers.hosts, "10.0.0.2:6379,10.0.0.3:6379", []),
    Variable("REDIS_DB", parsers.integer(0, 1000), "0", None),
    Variable(
        "SESSION_SECRET",
        parsers.secret(32),
        "$(openssl rand -hex 32)",
        DEVELOPMENT_SECRET,
        needed=deployed,
    ),
    Variable(
        "SESSION_SECRET_FALLBACKS", parsers.listing, "the-secret-before-this-one", []
    ),
    Variable("METRICS_TOKEN", parsers.secret(16), "$(openssl rand -hex 16)"),
    Variable("PROMETHEUS_MULTIPROC_DIR", parsers.text, "/run/yourapp/metrics"),
    Variable(
        "LOG_LEVEL",
        parsers.choice("error", "warn", "warning", "info", "debug"),
        "info",
        "info",
    ),
    Variable("LOG_FORMAT", parsers.choice("json", "pretty"), "json"),
    Variable("FEATURE_PASSWORD_RESET", parsers.boolean, "true", True),
)
BY_NAME = {variable.name: variable for variable in VARIABLES}


@dataclass(frozen=True)
class Problem:
    """A variable that has to be corrected, what is wrong with it, and an example."""

    name: str
    fault: str

    def __str__(self) -> str:
        example = BY_NAME[self.name].example
        return f"{self.name}: {self.fault}. Example: {self.name}={example}"


@dataclass
class Environment:
    """The values of all variables, with the problems and remarks about them."""

    values: dict[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def add(self, problem: Problem) -> None:
        """Add a problem, unless its variable has one already."""
        if problem.name not in {known.name for known in self.problems}:
            self.problems.append(problem)


def read(source: Mapping[str, str] = os.environ) -> Environment:
    """Read and validate all variables at once."""
    result = Environment()
    given = {variable.name: _read(variable, source, result) for variable in VARIABLES}
    _fill_in(result.values, given)
    for variable in VARIABLES:
        if not given[variable.name] and variable.needed(result.values):
            result.add(Problem(variable.name, "is missing"))
    for name, fault in contradictions(result.values, given):
        result.add(Problem(name, fault))
    order = list(BY_NAME)
    result.problems.sort(key=lambda problem: order.index(problem.name))
    result.remarks += remarks(result.values)
    return result


def _read(variable: Variable, source: Mapping[str, str], result: Environment) -> bool:
    """Store the value of a variable, or its default; return whether one was given."""
    raw, value = "", variable.default
    try:
        raw = (
            environ.FileAwareMapping(source, cache=False).get(variable.name, "").strip()
        )
        value = variable.parse(raw) if raw else value
    except (OSError, UnicodeError):
        result.add(
            Problem(
                variable.name,
                f"cannot be read from the file that {variable.name}_FILE names",
            )
        )
    except ValueError as error:
        result.add(Problem(variable.name, str(error)))
    result.values[variable.name] = value
    return bool(raw)


def _fill_in(values: dict[str, Any], given: Mapping[str, bool]) -> None:
    """Derive the defaults that depend on another variable."""
    local = f"http://127.0.0.1:{values['PORT']}"
    values["WEB_URL"] = values["WEB_URL"] or local
    values["API_URL"] = values["API_URL"] or values["WEB_URL"]
    values["DATABASE_URL"] = values["DATABASE_URL"] or parsers.database(
        "sqlite:///db.sqlite3"
    )
    # A mail server that is configured is used; otherwise emails go to the console.
    values["EMAIL_PROVIDER"] = values["EMAIL_PROVIDER"] or (
        "smtp" if deployed(values) or values["SMTP_HOST"] else "console"
    )
    if not deployed(values):
        values["SUPPORT_EMAIL"] = values["SUPPORT_EMAIL"] or "help@example.com"
    values["SMTP_PORT"] = values["SMTP_PORT"] or (465 if values["SMTP_SECURE"] else 587)
    values["SMTP_FROM_NAME"] = values["SMTP_FROM_NAME"] or values["APP_NAME"]
    values["LOG_FORMAT"] = values["LOG_FORMAT"] or (
        "json" if deployed(values) else "pretty"
    )


def main(arguments: list[str]) -> int:
    """Check the environment, plus the variables of a file if one is named, and print
    every problem.
    """
    for path in arguments:
        if not Path(path).is_file():
            print(f"{path}: no such file", file=sys.stderr)
            return 1
        environ.Env.read_env(path)
    result = read()
    for remark in result.remarks:
        print(f"Remark: {remark}", file=sys.stderr)
    if not result.problems:
        print(
            f"The environment is complete ({result.values['ENVIRONMENT']}, "
            f"{len(VARIABLES)} variables checked)."
        )
        return 0
    print(f"The environment has {len(result.problems)} problem(s):", file=sys.stderr)
    for problem in result.problems:
        print(f"  {problem}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
