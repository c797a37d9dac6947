"""Settings of the demo site; what differs from place to place comes from the
environment (``project/env.py``).
"""

from __future__ import annotations

from email.utils import formataddr
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import django
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from . import env, logs, process_slots
from .backends import cache, database, mail
from .consistency import POSTGRESQL
from .consistency import deployed as is_deployed

BASE_DIR = Path(__file__).resolve().parent.parent

environment = env.read()
if environment.problems:
    raise ImproperlyConfigured(
        "\n".join(["The environment has problems:", *map(str, environment.problems)])
    )
values = environment.values
deployed = is_deployed(values)
# Before any app is imported: a metric belongs to its process from the moment it is
# made.
process_slots.share_between_processes(values)

ENVIRONMENT = values["ENVIRONMENT"]
DEBUG = not deployed
SECRET_KEY = values["SESSION_SECRET"]
SECRET_KEY_FALLBACKS = values["SESSION_SECRET_FALLBACKS"]
ALLOWED_HOSTS = sorted(
    {urlsplit(values[name]).hostname or "" for name in ("API_URL", "WEB_URL")}
)
if not deployed:
    ALLOWED_HOSTS += ["localhost", ".localhost", "127.0.0.1", "[::1]"]
ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"
AUTH_USER_MODEL = "project.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "project",
    "password_reset",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_prometheus",
    *(["django_tasks"] if django.VERSION < (6, 0) else []),
    "django_tasks_db",
]
MIDDLEWARE = [
    "project.middleware.RequestIdMiddleware",
    "project.middleware.ProbeMiddleware",
    "project.middleware.DatabaseAwayMiddleware",
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "project.middleware.ContentSecurityPolicyMiddleware",
    "password_reset.device.DeviceCookieMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "project.sign_in.SignInLimitMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# Database, cache, tasks and mail.
DATABASES = {"default": database(values, BASE_DIR)}
CACHES = {"default": cache(values)}
RATELIMIT_USE_CACHE = "default"
# The queue lives in the database, so with PostgreSQL a worker (`manage.py db_worker`)
# sends the emails; a development SQLite has no worker, and there the app's embedded
# worker does, as in any host without TASKS.
if values["DATABASE_URL"]["ENGINE"] == POSTGRESQL:
    TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
EMAIL_PROVIDER = values["EMAIL_PROVIDER"]
globals().update(mail(values))
# Where development keeps the emails that it prints on the console.
SENT_MAILS = BASE_DIR / ".mails"
DEFAULT_FROM_EMAIL = SERVER_EMAIL = formataddr(
    (values["SMTP_FROM_NAME"], values["SMTP_FROM"])
)
LOGGING = logs.config(values["LOG_FORMAT"], values["LOG_LEVEL"])
DEFAULT_EXCEPTION_REPORTER = "password_reset.reporting.RedactingReporter"

# Authentication.
# Log-ins that one network may try, at the site's form and the admin's.
SIGN_IN_RATE = "20/m"
LOGIN_URL, LOGIN_REDIRECT_URL, LOGOUT_REDIRECT_URL = "login", "account", "home"
# NIST SP 800-63B-4, 3.1.1.2: 15 characters where the password is all that guards an
# account, as it is here. In development Django's 8 are enough, for passwords that
# are typed to try the flow out.
PASSWORD_MIN_LENGTH = 15 if deployed else 8
_VALIDATION = "django.contrib.auth.password_validation."
AUTH_PASSWORD_VALIDATORS: list[dict[str, Any]] = [
    {
        "NAME": _VALIDATION + "UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ["email", "first_name", "last_name"]},
    },
    {
        "NAME": _VALIDATION + "MinimumLengthValidator",
        "OPTIONS": {"min_length": PASSWORD_MIN_LENGTH},
    },
    {"NAME": _VALIDATION + "CommonPasswordValidator"},
    {"NAME": _VALIDATION + "NumericPasswordValidator"},
    {"NAME": "password_reset.password_validation.ContextWordValidator"},
    {"NAME": "password_reset.password_validation.RepetitionValidator"},
]

# HTTPS only, where the site is reachable by strangers.
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = deployed
SECURE_HSTS_SECONDS = 365 * 24 * 60 * 60 if deployed else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = deployed
# Browsers' preload lists bind every other site of the domain, and for years: its
# owner's decision, not ours.
SILENCED_SYSTEM_CHECKS = ["security.W021"]
# A header that anybody can send, so believed only where a proxy stands in front and
# overwrites it.
SECURE_PROXY_SSL_HEADER = (
    ("HTTP_X_FORWARDED_PROTO", "https") if values["TRUSTED_PROXIES"] else None
)
CSRF_TRUSTED_ORIGINS = sorted({values["WEB_URL"], values["API_URL"]})

# The password reset flow.
PASSWORD_RESET_BASE_URL = values["WEB_URL"]
PASSWORD_RESET_APP_NAME = values["APP_NAME"]
PASSWORD_RESET_SUPPORT_EMAIL = values["SUPPORT_EMAIL"] or None
PASSWORD_RESET_SUPPORT_URL = values["SUPPORT_URL"] or None
PASSWORD_RESET_ENABLED = values["FEATURE_PASSWORD_RESET"]
PASSWORD_RESET_CODES = True
PASSWORD_RESET_TRUSTED_PROXIES = values["TRUSTED_PROXIES"]
# Somebody who tries the flow out asks more often than three times an hour. A deployed
# site has the package's own limits.
DEVELOPMENT_REQUESTS_AN_HOUR = 20
if not deployed:
    PASSWORD_RESET_REQUEST_RATE_PER_IP = f"{DEVELOPMENT_REQUESTS_AN_HOUR}/h"
    PASSWORD_RESET_REQUEST_RATE_PER_EMAIL = f"{DEVELOPMENT_REQUESTS_AN_HOUR}/h"
METRICS_TOKEN = values["METRICS_TOKEN"]
# The one topic whose notifications the webhook takes; empty: whoever has the secret.
AWS_SNS_TOPIC_ARN = values["AWS_SNS_TOPIC_ARN"]

# Language, time, files.
LANGUAGE_CODE = "en"
LANGUAGES = [
    ("en", _("English")),
    ("de", _("German")),
    ("fr", _("French")),
    ("es", _("Spanish")),
    ("pt-br", _("Brazilian Portuguese")),
    ("it", _("Italian")),
    ("nl", _("Dutch")),
    ("pl", _("Polish")),
    ("ja", _("Japanese")),
    ("zh-hans", _("Simplified Chinese")),
    ("ar", _("Arabic")),
]
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
_STATIC = "django.contrib.staticfiles.storage."
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    # Names with a digest of the content may be cached for ever; they need
    # `collectstatic`, so only where sites run.
    "staticfiles": {
        "BACKEND": _STATIC
        + ("ManifestStaticFilesStorage" if deployed else "StaticFilesStorage")
    },
}
