"""Django's settings for the database, the cache and the mail back end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import django

from . import redis_servers
from .consistency import POSTGRESQL
from .parsers import Values

#: Seconds. A mail server that does not respond must not block a worker for ever.
MAIL_TIMEOUT = 10

#: What an account may have switched on for all emails: Google's parameters in links,
#: and a footer with another link.
SENDGRID_REWRITES_NOTHING = {
    "tracking_settings": {
        "ganalytics": {"enable": False},
        "subscription_tracking": {"enable": False},
    }
}


def database(values: Values, base_dir: Path) -> dict[str, Any]:
    """Return the entry of ``DATABASES``."""
    config = dict(values["DATABASE_URL"])
    options = dict(config.get("OPTIONS", {}))
    if config["ENGINE"] == POSTGRESQL:
        pool = {
            "min_size": values["DATABASE_POOL_MIN"],
            "max_size": values["DATABASE_POOL_MAX"],
            "timeout": 10,
        }
        options |= {
            "pool": pool,
            "connect_timeout": 5,
            # Milliseconds: a server behind a dead network answers nothing at all.
            "tcp_user_timeout": 5000,
            **_database_tls(values),
        }
        return config | {
            "ENGINE": "project.postgresql",
            "OPTIONS": options,
            "CONN_MAX_AGE": 0,
            "CONN_HEALTH_CHECKS": True,
            # PgBouncer in transaction mode lends a connection for one transaction.
            "DISABLE_SERVER_SIDE_CURSORS": True,
        }
    if not config["NAME"].startswith(":memory:"):
        config["NAME"] = str(base_dir / config["NAME"])
    # Writers wait for each other. Transactions stay deferred, Django's default: the one
    # that spends a link begins with its write, so it never has to upgrade a read lock,
    # and readers need not wait.
    return config | {"OPTIONS": {"timeout": 20} | options}


def _database_tls(values: Values) -> dict[str, str]:
    if not values["DATABASE_SSL"]:
        return {}
    return {
        "sslmode": "verify-full",
        "sslrootcert": values["DATABASE_SSL_CA"] or "system",
    }


def cache(values: Values) -> dict[str, Any]:
    """Return the entry of ``CACHES``."""
    if not values["REDIS_URL"]:
        # Django keeps 300 entries: a counter would be forgotten before its time.
        return {
            "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
            "OPTIONS": {"MAX_ENTRIES": 100_000},
        }
    return redis_servers.cache(values)


def mail(values: Values) -> dict[str, Any]:
    """Return the settings of the mail back end, as this Django names them."""
    backend = _BACKENDS[values["EMAIL_PROVIDER"]]
    options = _smtp(values) if values["EMAIL_PROVIDER"] == "smtp" else {}
    settings: dict[str, Any] = {"ANYMAIL": _anymail(values)}
    if django.VERSION >= (6, 1):
        return settings | {
            "MAILERS": {"default": {"BACKEND": backend, "OPTIONS": options}}
        }
    old_names = {"username": "HOST_USER", "password": "HOST_PASSWORD"}
    settings |= {
        f"EMAIL_{old_names.get(name, name.upper())}": value
        for name, value in options.items()
    }
    return settings | {"EMAIL_BACKEND": backend, "EMAIL_TIMEOUT": MAIL_TIMEOUT}


_BACKENDS = {
    "console": "project.console_mail.EmailBackend",
    "smtp": "django.core.mail.backends.smtp.EmailBackend",
    "ses": "anymail.backends.amazon_ses.EmailBackend",
    "sendgrid": "anymail.backends.sendgrid.EmailBackend",
}


def _smtp(values: Values) -> dict[str, Any]:
    return {
        "host": values["SMTP_HOST"],
        "port": values["SMTP_PORT"],
        "username": values["SMTP_USER"],
        "password": values["SMTP_PASSWORD"],
        "use_ssl": values["SMTP_SECURE"],
        # A server without log-in is a mail catcher or a relay of one's own. A password
        # is only sent over TLS.
        "use_tls": bool(values["SMTP_USER"]) and not values["SMTP_SECURE"],
        "timeout": MAIL_TIMEOUT,
    }


def _anymail(values: Values) -> dict[str, Any]:
    """Return the settings of the providers with a web API."""
    settings: dict[str, Any] = {
        "REQUESTS_TIMEOUT": MAIL_TIMEOUT,
        "WEBHOOK_SECRET": values["ANYMAIL_WEBHOOK_SECRET"],
        "SENDGRID_API_KEY": values["SENDGRID_API_KEY"],
        # A tracked link is rewritten to lead through the provider, secret included.
        "SENDGRID_SEND_DEFAULTS": {
            "track_clicks": False,
            "track_opens": False,
            "esp_extra": SENDGRID_REWRITES_NOTHING,
        },
        "AMAZON_SES_CLIENT_PARAMS": {
            "region_name": values["AWS_REGION"] or None,
            # None lets boto3 find the role of the instance.
            "aws_access_key_id": values["AWS_ACCESS_KEY_ID"] or None,
            "aws_secret_access_key": values["AWS_SECRET_ACCESS_KEY"] or None,
            "endpoint_url": values["AWS_ENDPOINT_URL"] or None,
            "config": {
                "connect_timeout": MAIL_TIMEOUT,
                "read_timeout": MAIL_TIMEOUT,
                "retries": {"total_max_attempts": 1},
            },
        },
    }
    if key := values["SENDGRID_WEBHOOK_KEY"]:
        settings["SENDGRID_TRACKING_WEBHOOK_VERIFICATION_KEY"] = key
    if values["SENDGRID_API_URL"]:
        settings["SENDGRID_API_URL"] = values["SENDGRID_API_URL"]
    return settings
