"""The rules that the variables of the environment have to satisfy together."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from .parsers import Values, one_of

POSTGRESQL = "django.db.backends.postgresql"
DEVELOPMENT_SECRET = "development only: anybody can read this in the public source code"  # noqa: S105
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
#: The providers that report what became of an email.
WEBHOOKS = frozenset({"ses", "sendgrid"})
#: What examples have in place of a secret.
PLACEHOLDERS = ("change-me", "changeme", "your-", "secret-here", "development only")
SECRETS = (
    "SESSION_SECRET",
    "METRICS_TOKEN",
    "REDIS_PASSWORD",
    "REDIS_SENTINEL_PASSWORD",
    "SMTP_USER",
    "SMTP_PASSWORD",
    "SENDGRID_API_KEY",
    "ANYMAIL_WEBHOOK_SECRET",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
)

type_fault = tuple[str, str]


def deployed(values: Values) -> bool:
    """Return whether the site is reachable by strangers."""
    return bool(values["ENVIRONMENT"] != "development")


def contradictions(values: Values, given: Mapping[str, bool]) -> Iterator[type_fault]:
    """Yield each variable that does not fit the others, and why."""
    if values["DATABASE_POOL_MIN"] > values["DATABASE_POOL_MAX"]:
        yield "DATABASE_POOL_MIN", "must not be greater than DATABASE_POOL_MAX"
    if values["DATABASE_SSL_CA"] and not Path(values["DATABASE_SSL_CA"]).is_file():
        yield "DATABASE_SSL_CA", "must be the path of a file that can be read here"
    if bool(values["SMTP_USER"]) != bool(values["SMTP_PASSWORD"]):
        yield (
            "SMTP_PASSWORD" if values["SMTP_USER"] else "SMTP_USER",
            "is missing: the two go together",
        )
    if given["AWS_ACCESS_KEY_ID"] != given["AWS_SECRET_ACCESS_KEY"]:
        missing = (
            "AWS_SECRET_ACCESS_KEY"
            if given["AWS_ACCESS_KEY_ID"]
            else "AWS_ACCESS_KEY_ID"
        )
        yield (
            missing,
            (
                "is missing: the two go together, or neither is given and the "
                "instance's role is used"
            ),
        )
    if values["SENDGRID_WEBHOOK_KEY"] and not values["ANYMAIL_WEBHOOK_SECRET"]:
        yield "ANYMAIL_WEBHOOK_SECRET", "is missing: without it there is no webhook"
    yield from _about_redis(values, given)
    yield from _about_many_redis(values)
    if deployed(values):
        yield from _in_the_open(values)
        yield from _placeholders(values)


def _about_redis(values: Values, given: Mapping[str, bool]) -> Iterator[type_fault]:
    parts = urlsplit(values["REDIS_URL"])
    if (
        given["REDIS_DB"]
        and parts.scheme != "unix"
        and parts.path.strip("/") not in {"", str(values["REDIS_DB"])}
    ):
        yield "REDIS_DB", "names another database than REDIS_URL does"
    if given["REDIS_PASSWORD"] and parts.password:
        yield "REDIS_PASSWORD", "stands in REDIS_URL too: keep one of them"


def _about_many_redis(values: Values) -> Iterator[type_fault]:
    """Check the servers beside the one of ``REDIS_URL``."""
    url = urlsplit(values["REDIS_URL"])
    for name in ("REDIS_SENTINELS", "REDIS_CLUSTER_NODES"):
        if values[name] and url.scheme not in {"redis", "rediss"}:
            yield "REDIS_URL", f"must be redis:// or rediss:// beside {name}"
    if values["REDIS_SENTINELS"] and values["REDIS_CLUSTER_NODES"]:
        yield "REDIS_CLUSTER_NODES", "and REDIS_SENTINELS exclude each other"
    if values["REDIS_SENTINEL_PASSWORD"] and not values["REDIS_SENTINELS"]:
        yield "REDIS_SENTINELS", "is missing: REDIS_SENTINEL_PASSWORD is for them"
    number = url.path.strip("/") or values["REDIS_DB"]
    if values["REDIS_CLUSTER_NODES"] and int(number or 0):
        yield "REDIS_DB", "must be 0: a cluster has no other database"


def _in_the_open(values: Values) -> Iterator[type_fault]:
    for name in ("API_URL", "WEB_URL"):
        if not values[name].startswith("https://"):
            yield name, "must begin with https:// where strangers reach the site"
    if values["DATABASE_URL"]["ENGINE"] != POSTGRESQL:
        yield (
            "DATABASE_URL",
            "must be a PostgreSQL database where strangers reach the site",
        )
    if values["EMAIL_PROVIDER"] == "console":
        yield (
            "EMAIL_PROVIDER",
            "must send mail: the console shows links to whoever reads the log",
        )


def _placeholders(values: Values) -> Iterator[type_fault]:
    secrets = {name: values[name] for name in SECRETS}
    secrets["SESSION_SECRET_FALLBACKS"] = ",".join(values["SESSION_SECRET_FALLBACKS"])
    for name, value in secrets.items():
        if one_of(value, PLACEHOLDERS):
            yield name, "is a placeholder, not a secret"
    in_urls = {
        "DATABASE_URL": values["DATABASE_URL"].get("PASSWORD", ""),
        "REDIS_URL": unquote(urlsplit(values["REDIS_URL"]).password or ""),
    }
    for name, value in in_urls.items():
        if one_of(value, PLACEHOLDERS) or value == "password":
            yield name, "has a placeholder for a password"
    for name, value in _names(values).items():
        if re.search(r"\b(yourapp|example)\.(com|org|net)$|^YourApp\b", value):
            yield name, "is the example's, not your own"


def _names(values: Values) -> Mapping[str, str]:
    """Return what people see, or connect to, by the variable that has it."""
    names = ["API_URL", "WEB_URL", "SMTP_HOST", "SMTP_FROM"]
    if values["SMTP_FROM_NAME"] != values["APP_NAME"]:
        names.append("SMTP_FROM_NAME")
    hosts = ("SUPPORT_URL", "REDIS_URL")
    return (
        {name: values[name] or "" for name in (*names, "APP_NAME", "SUPPORT_EMAIL")}
        | {name: urlsplit(values[name] or "").hostname or "" for name in hosts}
        | {"DATABASE_URL": str(values["DATABASE_URL"].get("HOST", ""))}
    )


def remarks(values: Values) -> Iterator[str]:
    """Yield what is allowed, but not by oversight."""
    if not deployed(values):
        return
    if values["DATABASE_SSL"] is False:
        yield (
            "DATABASE_SSL=false: passwords cross the network in clear unless the "
            "database is on this machine."
        )
    if not values["TRUSTED_PROXIES"]:
        yield (
            "TRUSTED_PROXIES is empty: behind a proxy all visitors would share one "
            "limit of requests."
        )
    if values["EMAIL_PROVIDER"] in WEBHOOKS and not values["ANYMAIL_WEBHOOK_SECRET"]:
        yield (
            "ANYMAIL_WEBHOOK_SECRET is empty: nobody will know which emails bounced."
        )
    if not values["METRICS_TOKEN"]:
        yield "METRICS_TOKEN is empty: /metrics answers on this machine only."
