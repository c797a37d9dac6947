"""Template engines, static files, and policies for what a page may load."""

from tests.hosts.host import NO_LOGIN_PAGE, Host
from tests.hosts.steps import CHECK, EVERYTHING
from tests.hosts.visit import Visit

JINJA = '{"BACKEND": "django.template.backends.jinja2.Jinja2", "APP_DIRS": True}'
#: Names with hashes are only used where DEBUG is off.
LIVE = """
DEBUG = False
PASSWORD_RESET_BASE_URL = "https://www.example.com"
ALLOWED_HOSTS = ["127.0.0.1"]
STATIC_ROOT = BASE_DIR / "collected"
"""
#: A site of one process without TLS, whose mails a test reads from files.
LIVE_CHECKS = (
    "password_reset.W004",
    "password_reset.W008",
    "password_reset.W011",
    "password_reset.W016",
)
SERVE_STATIC = """
from django.conf import settings
from django.urls import re_path
from django.views.static import serve
urlpatterns += [
    re_path("^static/(?P<path>.*)$", serve, {"document_root": settings.STATIC_ROOT})
]
"""


def names_have_hashes(visit: Visit) -> None:
    assets = visit.open("/forgot-password").assets()
    assert assets
    assert not [url for url in assets if url.rsplit("/")[-1].count(".") != 2]


def our_pages_keep_their_policy(visit: Visit) -> None:
    """The stricter of the two, once."""
    policy = visit.open("/forgot-password").response.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert policy.count("default-src") == 1


def the_site_has_its_own(visit: Visit) -> None:
    page = visit.browser.open(visit.host.login_page)
    assert page.response.headers["Content-Security-Policy"] == "default-src 'self'"


POLICY = (our_pages_keep_their_policy, the_site_has_its_own)

HOSTS = [
    Host(
        "manifest-static",
        (*EVERYTHING, (names_have_hashes,)),
        settings=LIVE
        + """
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"
    },
}
""",
        urls=SERVE_STATIC,
        checks=LIVE_CHECKS,
    ),
    Host(
        "whitenoise",
        (*EVERYTHING, (names_have_hashes,)),
        settings=LIVE
        + """
MIDDLEWARE.insert(1, "whitenoise.middleware.WhiteNoiseMiddleware")
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
""",
        checks=LIVE_CHECKS,
    ),
    Host(
        "csp-of-django",
        (*EVERYTHING, POLICY),
        settings="""
MIDDLEWARE += ["django.middleware.csp.ContentSecurityPolicyMiddleware"]
SECURE_CSP = {"default-src": ["'self'"]}
""",
        since="6.0",
    ),
    Host(
        "django-csp",
        (*EVERYTHING, POLICY),
        settings="""
INSTALLED_APPS += ["csp"]
MIDDLEWARE += ["csp.middleware.CSPMiddleware"]
CONTENT_SECURITY_POLICY = {"DIRECTIVES": {"default-src": ["'self'"]}}
""",
    ),
    # Our templates are Django's: the check says what to add.
    Host(
        "jinja2-only",
        (CHECK,),
        settings=f"TEMPLATES = [{JINJA}]",
        without=("contrib.admin", "admin.site", ".messages"),
        checks=("password_reset.E007", NO_LOGIN_PAGE),
        serves=False,
    ),
    Host("jinja2-first", EVERYTHING, settings=f"TEMPLATES.insert(0, {JINJA})"),
]
