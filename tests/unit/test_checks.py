"""Every system check speaks up when it should, and only then."""

import importlib.metadata
import subprocess
import sys
from datetime import timedelta

import django
import pytest
from django.core.cache.backends.base import BaseCache
from django.core.checks import run_checks
from django.db import connection
from django.urls import clear_url_caches, include, path, re_path
from django.utils import timezone
from django.views.generic import RedirectView

from password_reset import urls as our_urls
from password_reset.models import PasswordResetRequest
from tests import ROOT

# Django 6.1 asks the database about generated columns whenever it checks models.
pytestmark = pytest.mark.django_db

CONSOLE = "django.core.mail.backends.console.EmailBackend"
SMTP = "django.core.mail.backends.smtp.EmailBackend"
TEMPLATES = "django.template.backends"
LOCAL = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}


def queues(*names):
    return {
        "default": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": list(names)}
    }


def mail_by(backend, timeout, host="smtp.example.com"):
    """Return the settings of a mail back end: MAILERS from Django 6.1 on, which then
    refuses the older names.
    """
    if django.VERSION >= (6, 1):
        options = {"timeout": timeout} | ({"host": host} if host else {})
        return {"MAILERS": {"default": {"BACKEND": backend, "OPTIONS": options}}}
    named = {"EMAIL_HOST": host} if host else {}
    return {"EMAIL_BACKEND": backend, "EMAIL_TIMEOUT": timeout, **named}


class NeedsAClient(BaseCache):
    """A cache that finds out late that its client is missing, as Django's Redis."""

    def __init__(self, location, params):
        super().__init__(params)

    @property
    def _cache(self):
        raise ModuleNotFoundError("No module named 'redis'")


class UsersElsewhere:
    """A router that keeps the users in a database of their own."""

    def db_for_write(self, model, **hints):
        return "people" if model._meta.label == "project.User" else None


#: What each check complains about: its id, and the settings of a careless production.
CARELESS = [
    ("E001", {"PASSWORD_RESET_BASE_URL": ""}),
    ("E002", {"PASSWORD_RESET_BASE_URL": "www.example.com"}),
    ("E002", {"PASSWORD_RESET_TOKEN_LIFETIME": 3600}),
    ("E002", {"PASSWORD_RESET_TOKEN_LIFETIME": timedelta(0)}),
    ("E002", {"PASSWORD_RESET_REQUEST_RATE_PER_IP": "3 per hour"}),
    ("E002", {"PASSWORD_RESET_TRUSTED_PROXIES": "10.0.0.0/8"}),
    ("E002", {"PASSWORD_RESET_TRUSTED_PROXIES": ["10.0.0.1/8"]}),
    ("E002", {"PASSWORD_RESET_ENABLED": "yes"}),
    ("E002", {"PASSWORD_RESET_LINK_TEMPLATE": "https://www.example.com/#reset"}),
    ("E002", {"PASSWORD_RESET_USER_FINDER": "no.such.finder"}),
    ("E002", {"PASSWORD_RESET_REVOKERS": "knox.AuthToken"}),
    ("E002", {"PASSWORD_RESET_TIME_ZONE_OF": "Europe/Berlin"}),
    ("E002", {"PASSWORD_RESET_LOGIN_FIELD": "nickname"}),
    (
        "E002",
        {
            "PASSWORD_RESET_CHALLENGE": "no.such.Challenge",
            "PASSWORD_RESET_CHALLENGE_RATE_PER_IP": "2/h",
        },
    ),
    ("E002", {"PASSWORD_RESET_SUPPORT_URL": "/help"}),
    ("E002", {"PASSWORD_RESET_SUPPORT_URL": "javascript:alert(1)"}),
    ("E002", {"PASSWORD_RESET_SUPPORT_URL": "https://a.example/ b"}),
    ("E002", {"PASSWORD_RESET_SUPPORT_EMAIL": "the help desk"}),
    ("E002", {"PASSWORD_RESET_SUPPORT_EMAIL": ["help@example.com"]}),
    ("E003", {"PASSWORD_RESET_TASK_BACKEND": "nobody"}),
    ("E006", {"ROOT_URLCONF": "django.contrib.auth.urls"}),
    ("E007", {"TEMPLATES": [{"BACKEND": f"{TEMPLATES}.dummy.TemplateStrings"}]}),
    ("E008", {"DATABASE_ROUTERS": [f"{__name__}.UsersElsewhere"]}),
    ("E009", {"CACHES": {"default": {"BACKEND": f"{__name__}.NeedsAClient"}}}),
    ("E009", {"RATELIMIT_USE_CACHE": "nobody"}),
    ("I001", {"TASKS": queues("low", "mail")}),
    ("W001", {"PASSWORD_RESET_TASK_BACKEND": "immediate"}),
    ("W002", {"PASSWORD_RESET_BASE_URL": "http://www.example.com"}),
    ("W004", {"CACHES": LOCAL}),
    ("W005", {"RATELIMIT_ENABLE": False}),
    ("W005", {"PASSWORD_RESET_REQUEST_RATE_PER_EMAIL": None}),
    ("W006", {"ALLOWED_HOSTS": ["*"]}),
    ("W007", {"SESSION_ENGINE": "django.contrib.sessions.backends.signed_cookies"}),
    ("W008", {"SESSION_COOKIE_SECURE": False}),
    ("W009", {"SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https")}),
    ("W010", mail_by(SMTP, None)),
    ("W011", mail_by(CONSOLE, None)),
    ("W011", {"ANYMAIL": {"DEBUG_API_REQUESTS": True}}),
    ("W013", {"ROOT_URLCONF": "django.contrib.auth.urls"}),
    ("W014", {"PASSWORD_RESET_TIMEOUT": 600}),
    ("W015", {"PASSWORD_RESET_TOKEN_LIFETIM": timedelta(hours=2)}),
    ("W016", {"DEFAULT_FROM_EMAIL": "webmaster@localhost"}),
    *([("W017", {"MAILERS": {}})] if django.VERSION >= (6, 1) else []),
    ("W019", {"FORCE_SCRIPT_NAME": "/app"}),
    (
        "W020",
        {
            "MIDDLEWARE": [
                "django.middleware.cache.UpdateCacheMiddleware",
                "password_reset.device.DeviceCookieMiddleware",
            ]
        },
    ),
    ("W023", {"PASSWORD_RESET_CHALLENGE": "password_reset.altcha.AltchaChallenge"}),
    ("W018", {"LOGIN_URL": "/accounts/login/"}),
]


home = RedirectView.as_view(url="/")
#: Patterns that answer every path, one of which Wagtail ends with.
CATCH_ALLS = [r"^((?:[\w\-]+/)*)$", r"^.*$"]


@pytest.fixture
def production(settings):
    """A host that does everything right."""
    settings.DEBUG = False
    settings.PASSWORD_RESET_BASE_URL = "https://www.example.com"
    settings.TASKS = {**TASKS, "immediate": settings.TASKS["default"]}
    settings.ALLOWED_HOSTS = ["www.example.com"]
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    for name, value in mail_by(SMTP, 10).items():
        setattr(settings, name, value)
    yield settings
    clear_url_caches()


def test_mailers_count_where_django_reads_them(production):
    production.MAILERS = {"default": {"BACKEND": CONSOLE}}
    assert ours() == ({"W011"} if django.VERSION >= (6, 1) else set())


def ours(databases=None, tags=None):
    """Return the ids of this app's findings, without the prefix."""
    return {
        message.id.removeprefix("password_reset.")
        for message in run_checks(databases=databases, tags=tags)
        if message.id.startswith("password_reset.")
    }


def test_a_careful_production_hears_nothing(production):
    assert ours() == set()


@pytest.mark.parametrize(("found", "changes"), CARELESS)
def test_a_careless_setting_is_named(production, found, changes):
    for name, value in changes.items():
        setattr(production, name, value)
    clear_url_caches()
    assert found in ours()


@pytest.mark.parametrize("catch_all", CATCH_ALLS)
@pytest.mark.parametrize(
    ("pages", "login_url", "found"),
    [
        ([], "/accounts/login/", {"W018"}),
        ([], "/cms/login/", set()),
        ([path("accounts/login/", home)], "/accounts/login/", set()),
        ([path("accounts/<slug:page>/", home)], "/accounts/login/", set()),
    ],
    ids=["the default", "a path of the host's own", "a pattern", "one for several"],
)
def test_a_catch_all_is_no_log_in_page(production, catch_all, pages, login_url, found):
    patterns = [*pages, path("", include(our_urls)), re_path(catch_all, home)]
    production.ROOT_URLCONF = type("urls", (), {"urlpatterns": patterns})
    production.LOGIN_URL = login_url
    clear_url_caches()
    assert ours() == found


@pytest.mark.parametrize(
    "changes",
    [changes for found, changes in CARELESS if found in {"W001", "W004", "W011"}],
)
def test_what_is_right_in_development_is_not_complained_about_there(
    production, changes
):
    production.DEBUG = True
    for name, value in changes.items():
        setattr(production, name, value)
    assert ours() == set()


def test_every_finding_has_a_sentence_and_a_way_out(production):
    production.PASSWORD_RESET_BASE_URL = ""
    message = next(one for one in run_checks() if one.id == "password_reset.E001")
    assert message.msg.endswith(".")
    assert message.hint


def test_a_wrong_value_is_reported_by_its_setting(production):
    production.PASSWORD_RESET_CONFIRM_RATE_PER_IP = "often"
    assert any("PASSWORD_RESET_CONFIRM_RATE_PER_IP" in one.msg for one in run_checks())


def test_a_host_with_no_mail_server_hears_where_mail_goes(tmp_path):
    apps = ["password_reset", "django.contrib.auth", "django.contrib.contenttypes"]
    (tmp_path / "host.py").write_text(f"SECRET_KEY = 'x'\nINSTALLED_APPS = {apps}\n")
    code = "import django; django.setup(); from password_reset.checks import mail; "
    code += "print([one.id for one in mail.check_mail_server(None)])"
    host = {"DJANGO_SETTINGS_MODULE": "host", "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", code]
    told = subprocess.check_output(command, cwd=ROOT, env=host, text=True)
    assert told.strip() == "['password_reset.I002']"


def test_a_misspelt_setting_hears_its_name(production):
    production.PASSWORD_RESET_BASEURL = "https://www.example.com"
    (found,) = [one for one in run_checks() if one.id == "password_reset.W015"]
    assert found.hint == "Did you mean PASSWORD_RESET_BASE_URL?"


class OneMethod:
    def is_required(self, user):
        return True


@pytest.mark.parametrize(
    ("adapter", "words"),
    [
        (
            "password_reset.second_factor.AllauthMFA",
            "'allauth.mfa' is not in INSTALLED",
        ),
        (OneMethod, "OneMethod has no method verify"),
        (lambda: None, "calling it returns None"),
        (lambda: 1 // 0, "calling it raises ZeroDivisionError"),
    ],
)
def test_a_second_factor_that_cannot_be_asked_is_an_error(production, adapter, words):
    production.PASSWORD_RESET_SECOND_FACTOR = adapter
    (found,) = [one for one in run_checks() if one.id == "password_reset.E010"]
    assert words in found.msg


def test_an_adapter_that_nobody_finds_is_a_wrong_setting(production):
    production.PASSWORD_RESET_SECOND_FACTOR = "password_reset.second_factor.Pigeon"
    assert ours() == {"E002"}


def test_the_adapter_of_an_installed_package_is_fine(production):
    production.PASSWORD_RESET_SECOND_FACTOR = "password_reset.second_factor.DjangoOTP"
    assert ours() == set()


@pytest.mark.sqlite
def test_requests_that_nobody_works_on_are_reported(production):
    row = PasswordResetRequest.objects.create(email="ada@example.com")
    assert ours(databases=["default"]) == set()
    PasswordResetRequest.objects.filter(pk=row.pk).update(
        created_at=timezone.now() - timedelta(minutes=6)
    )
    assert ours(databases=["default"]) == {"W003"}


def test_a_look_up_without_an_index_is_reported(production):
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX users_upper_email")
    assert ours(databases=["default"]) == {"W012"}


def test_a_host_with_a_finder_of_its_own_needs_no_such_index(production):
    production.PASSWORD_RESET_USER_FINDER = "password_reset.users.find_users"
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX users_upper_email")
    assert ours(databases=["default"]) == set()


def test_a_user_model_without_is_active_is_refused(production):
    production.AUTH_USER_MODEL = "auth.Group"
    assert ours(tags=["security"]) == {"E004"}


def test_the_old_package_of_the_same_name_is_reported(
    production, tmp_path, monkeypatch
):
    folder = tmp_path / "django_password_reset-2.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: django-password-reset\nVersion: 2.0\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert importlib.metadata.version("django-password-reset") == "2.0"
    assert "E005" in ours()


def test_a_host_that_includes_us_last_keeps_our_links(production):
    production.ROOT_URLCONF = type("urls", (), {"urlpatterns": BESIDE})
    clear_url_caches()
    assert ours() == {"W013"}


BESIDE = [
    path("old/", include("django.contrib.auth.urls")),
    path("", include(our_urls)),
]
