"""The environment that the demo site reads: one table, and ``python -m project.env`` to check it before a start.

Needs no settings. Each variable may also be given as the path of a file, under its name plus ``_FILE``
(Docker and systemd secrets); an empty variable counts as absent.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ

from . import variables as kind
from .variables import Values, Variable

POSTGRESQL = "django.db.backends.postgresql"
DEVELOPMENT_SECRET = "development only: anybody can read this in the public source code"  # noqa: S105
PLACEHOLDERS = ("change-me", "changeme", "your-", "example", "secret-here", "development only")
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def deployed(values: Values) -> bool:
    """Tell whether strangers reach this site."""
    return bool(values["ENVIRONMENT"] != "development")


def _by(provider: str) -> Any:
    return lambda values: values["EMAIL_PROVIDER"] == provider


def _with_a_mail_server(values: Values) -> bool:
    """Only a relay on this machine, or a catcher outside production, may do without a log-in."""
    if values["ENVIRONMENT"] != "production" or values["EMAIL_PROVIDER"] != "smtp":
        return False
    return not values["SMTP_SECURE"] and values["SMTP_HOST"] not in LOOPBACK


VARIABLES = (
    Variable("ENVIRONMENT", kind.choice("development", "staging", "production"), "production", "development"),
    Variable("PORT", kind.integer(1, 65535), "8000", 8000),
    Variable("APP_NAME", kind.text, "YourApp", "Resetkit demo"),
    Variable("API_URL", kind.site, "https://api.yourapp.com", needed=deployed),
    Variable("WEB_URL", kind.site, "https://yourapp.com", needed=deployed),
    Variable("TRUSTED_PROXIES", kind.networks, "127.0.0.1,10.0.0.0/8", []),
    Variable("DATABASE_URL", kind.database, "postgresql://user:password@host:5432/dbname", needed=deployed),
    Variable("DATABASE_SSL", kind.boolean, "true", None, needed=deployed),
    Variable("DATABASE_SSL_CA", kind.text, "/etc/ssl/certs/database-ca.pem"),
    Variable("DATABASE_POOL_MIN", kind.integer(0, 1000), "2", 2),
    Variable("DATABASE_POOL_MAX", kind.integer(1, 1000), "10", 10),
    Variable("EMAIL_PROVIDER", kind.choice("console", "smtp", "ses", "sendgrid"), "smtp"),
    Variable("SMTP_HOST", kind.text, "smtp.gmail.com", needed=_by("smtp")),
    Variable("SMTP_PORT", kind.integer(1, 65535), "587"),
    Variable("SMTP_SECURE", kind.boolean, "false", False),
    Variable("SMTP_USER", kind.text, "your-email@example.com", needed=_with_a_mail_server),
    Variable("SMTP_PASSWORD", kind.text, "your-app-password", needed=_with_a_mail_server),
    Variable("SMTP_FROM", kind.address, "noreply@yourapp.com", "noreply@localhost.localdomain", needed=deployed),
    Variable("SMTP_FROM_NAME", kind.text, "YourApp Team"),
    Variable("SENDGRID_API_KEY", kind.text, "SG.your-api-key", needed=_by("sendgrid")),
    Variable("SENDGRID_API_URL", kind.endpoint, "https://api.eu.sendgrid.com/v3/"),
    Variable("AWS_REGION", kind.text, "eu-central-1", needed=_by("ses")),
    Variable("AWS_ACCESS_KEY_ID", kind.text, "your-access-key-id"),
    Variable("AWS_SECRET_ACCESS_KEY", kind.text, "your-secret-access-key"),
    Variable("AWS_ENDPOINT_URL", kind.endpoint, "https://email.eu-central-1.amazonaws.com"),
    Variable("REDIS_URL", kind.redis, "redis://localhost:6379", needed=deployed),
    Variable("REDIS_PASSWORD", kind.text, "your-redis-password"),
    Variable("REDIS_DB", kind.integer(0, 1000), "0", None),
    Variable("SESSION_SECRET", kind.secret(32), "$(openssl rand -hex 32)", DEVELOPMENT_SECRET, needed=deployed),
    Variable("SESSION_SECRET_FALLBACKS", kind.listing, "the-secret-before-this-one", []),
    Variable("METRICS_TOKEN", kind.secret(16), "$(openssl rand -hex 16)"),
    Variable("PROMETHEUS_MULTIPROC_DIR", kind.text, "/run/yourapp/metrics"),
    Variable("LOG_LEVEL", kind.choice("error", "warn", "warning", "info", "debug"), "info", "info"),
    Variable("LOG_FORMAT", kind.choice("json", "pretty"), "json"),
    Variable("FEATURE_PASSWORD_RESET", kind.boolean, "true", True),
)
BY_NAME = {variable.name: variable for variable in VARIABLES}


@dataclass(frozen=True)
class Problem:
    """Something to put right: which variable, what is wrong with it, and how a right one looks."""

    name: str
    fault: str

    def __str__(self) -> str:
        return f"{self.name}: {self.fault}. Example: {self.name}={BY_NAME[self.name].example}"


@dataclass
class Environment:
    """The values of all variables, and what is to be said about them."""

    values: dict[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def add(self, problem: Problem) -> None:
        """Note a problem, unless its variable has one already."""
        if problem.name not in {known.name for known in self.problems}:
            self.problems.append(problem)


def read(source: Mapping[str, str] = os.environ) -> Environment:
    """Read and judge all variables at once."""
    result = Environment()
    given = {variable.name: _read(variable, source, result) for variable in VARIABLES}
    _fill_in(result.values, given)
    for variable in VARIABLES:
        if not given[variable.name] and variable.needed(result.values):
            result.add(Problem(variable.name, "is missing"))
    for problem in _contradictions(result.values, given):
        result.add(problem)
    order = list(BY_NAME)
    result.problems.sort(key=lambda problem: order.index(problem.name))
    result.remarks += _remarks(result.values)
    return result


def _read(variable: Variable, source: Mapping[str, str], result: Environment) -> bool:
    """Store the value of a variable, or its default; tell whether a text was given."""
    raw, value = "", variable.default
    try:
        raw = environ.FileAwareMapping(source, cache=False).get(variable.name, "").strip()
        value = variable.parse(raw) if raw else value
    except (OSError, UnicodeError):
        result.add(Problem(variable.name, f"cannot be read from the file that {variable.name}_FILE names"))
    except ValueError as error:
        result.add(Problem(variable.name, str(error)))
    result.values[variable.name] = value
    return bool(raw)


def _fill_in(values: dict[str, Any], given: Mapping[str, bool]) -> None:
    """Derive the defaults that depend on another variable."""
    local = f"http://127.0.0.1:{values['PORT']}"
    values["WEB_URL"] = values["WEB_URL"] or local
    values["API_URL"] = values["API_URL"] or values["WEB_URL"]
    values["DATABASE_URL"] = values["DATABASE_URL"] or kind.database("sqlite:///db.sqlite3")
    # Whoever names a mail server wants it used; with nothing named, mail goes to the console.
    values["EMAIL_PROVIDER"] = values["EMAIL_PROVIDER"] or (
        "smtp" if deployed(values) or values["SMTP_HOST"] else "console"
    )
    values["SMTP_PORT"] = values["SMTP_PORT"] or (465 if values["SMTP_SECURE"] else 587)
    values["SMTP_FROM_NAME"] = values["SMTP_FROM_NAME"] or values["APP_NAME"]
    values["LOG_FORMAT"] = values["LOG_FORMAT"] or ("json" if deployed(values) else "pretty")


def _contradictions(values: Values, given: Mapping[str, bool]) -> Iterator[Problem]:
    if values["DATABASE_POOL_MIN"] > values["DATABASE_POOL_MAX"]:
        yield Problem("DATABASE_POOL_MIN", "must not be greater than DATABASE_POOL_MAX")
    if values["DATABASE_SSL_CA"] and not Path(values["DATABASE_SSL_CA"]).is_file():
        yield Problem("DATABASE_SSL_CA", "must be the path of a file that can be read here")
    if bool(values["SMTP_USER"]) != bool(values["SMTP_PASSWORD"]):
        yield Problem("SMTP_PASSWORD" if values["SMTP_USER"] else "SMTP_USER", "is missing: the two go together")
    if given["AWS_ACCESS_KEY_ID"] != given["AWS_SECRET_ACCESS_KEY"]:
        missing = "AWS_SECRET_ACCESS_KEY" if given["AWS_ACCESS_KEY_ID"] else "AWS_ACCESS_KEY_ID"
        yield Problem(missing, "is missing: the two go together, or neither is given and the instance's role is used")
    yield from _about_redis(values, given)
    if deployed(values):
        yield from _in_the_open(values)


def _about_redis(values: Values, given: Mapping[str, bool]) -> Iterator[Problem]:
    parts = urlsplit(values["REDIS_URL"])
    if given["REDIS_DB"] and parts.scheme != "unix" and parts.path.strip("/") not in {"", str(values["REDIS_DB"])}:
        yield Problem("REDIS_DB", "names another database than REDIS_URL does")
    if given["REDIS_PASSWORD"] and parts.password:
        yield Problem("REDIS_PASSWORD", "stands in REDIS_URL too: keep one of them")


def _in_the_open(values: Values) -> Iterator[Problem]:
    for name in ("API_URL", "WEB_URL"):
        if not values[name].startswith("https://"):
            yield Problem(name, "must begin with https:// where strangers reach the site")
    if values["DATABASE_URL"]["ENGINE"] != POSTGRESQL:
        yield Problem("DATABASE_URL", "must be a PostgreSQL database where strangers reach the site")
    if values["EMAIL_PROVIDER"] == "console":
        yield Problem("EMAIL_PROVIDER", "must send mail: the console shows links to whoever reads the log")
    if kind.one_of(values["SESSION_SECRET"], PLACEHOLDERS):
        yield Problem("SESSION_SECRET", "is a placeholder, not a secret")
    if values["METRICS_TOKEN"] and kind.one_of(values["METRICS_TOKEN"], PLACEHOLDERS):
        yield Problem("METRICS_TOKEN", "is a placeholder, not a secret")


def _remarks(values: Values) -> Iterator[str]:
    if not deployed(values):
        return
    if values["DATABASE_SSL"] is False:
        yield "DATABASE_SSL=false: passwords cross the network in clear unless the database is on this machine."
    if not values["TRUSTED_PROXIES"]:
        yield "TRUSTED_PROXIES is empty: behind a proxy all visitors would share one limit of requests."
    if not values["METRICS_TOKEN"]:
        yield "METRICS_TOKEN is empty: /metrics answers on this machine only."


def main(arguments: list[str]) -> int:
    """Check the environment, plus the variables of a file if one is named, and print every problem."""
    for path in arguments:
        if not Path(path).is_file():
            print(f"{path}: no such file", file=sys.stderr)
            return 1
        environ.Env.read_env(path)
    result = read()
    for remark in result.remarks:
        print(f"Remark: {remark}", file=sys.stderr)
    if not result.problems:
        print(f"The environment is complete ({result.values['ENVIRONMENT']}, {len(VARIABLES)} variables checked).")
        return 0
    print(f"The environment has {len(result.problems)} problem(s):", file=sys.stderr)
    for problem in result.problems:
        print(f"  {problem}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
