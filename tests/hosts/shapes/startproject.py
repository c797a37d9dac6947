"""A new project and Django's own settings."""

from tests.hosts.host import ASGI, NO_LOGIN_PAGE, WSGI, Host
from tests.hosts.steps import CHECK, EVERYTHING, WITHOUT_ADMIN, ann_asks
from tests.hosts.visit import Visit
from tests.tools.servers import wait_until

#: What nginx does with `location /shop/ { proxy_pass http://site/; }`.
FRONT = """
from host.wsgi import application as site

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if not path.startswith("/shop/"):
        start_response("404 Not Found", [])
        return [b"another site"]
    return site(environ | {"PATH_INFO": path.removeprefix("/shop")}, start_response)
"""


def the_request_waits(visit: Visit) -> None:
    """It was tried, and stays due until there is a mail server."""
    tried = (
        "SELECT processed_at, failed_at, last_error <> '' FROM password_reset_requests"
        " WHERE attempts > 0"
    )
    wait_until(
        lambda: visit.project.query(tried) == [(None, None, 1)],
        lambda: str(visit.project.query("SELECT * FROM password_reset_requests")),
        20,
    )


def the_last_page_leads_to_the_log_in(visit: Visit) -> None:
    done = visit.open("/reset-password/done")
    assert f"{visit.project.url}{visit.host.login_page}" in done.links()


HOSTS = [
    # README's blocks and nothing else; no package but what the wheel asks for.
    Host(
        "fresh",
        (*EVERYTHING, (the_last_page_leads_to_the_log_in,)),
        alone=True,
        quick_hashes=False,
    ),
    # Django's default names a page that this site does not have.
    Host(
        "login-url-unset",
        EVERYTHING,
        settings="del LOGIN_URL",
        checks=(NO_LOGIN_PAGE,),
    ),
    # As healthchecks ships: nobody has said yet where mail goes.
    Host(
        "mailers-empty",
        (CHECK, (ann_asks, the_request_waits)),
        settings="MAILERS = {}",
        checks=("mail.W001", "password_reset.W017"),
        since="6.1",
        catch_mails=False,
    ),
    Host(
        "login-required",
        EVERYTHING,
        settings="""
MIDDLEWARE += ["django.contrib.auth.middleware.LoginRequiredMiddleware"]
""",
    ),
    Host(
        "script-name",
        EVERYTHING,
        settings="""
FORCE_SCRIPT_NAME = "/shop"
WSGI_APPLICATION = "host.front.application"
PASSWORD_RESET_BASE_URL = "https://www.example.com/shop"
""",
        urls="""
from django.contrib.staticfiles.views import serve
from django.urls import re_path
urlpatterns += [re_path("^static/(?P<path>.*)$", serve)]
""",
        files={"host/front.py": FRONT},
        server=(*WSGI, "--nostatic"),
        prefix="/shop",
        admin="/shop/admin/",
        login_page="/shop/admin/login/",
    ),
    Host(
        "use-tz-off",
        EVERYTHING,
        settings='USE_TZ = False\nTIME_ZONE = "America/New_York"',
    ),
    Host(
        "i18n-patterns",
        EVERYTHING,
        settings="""
MIDDLEWARE.insert(2, "django.middleware.locale.LocaleMiddleware")
""",
        urls="""
from django.conf.urls.i18n import i18n_patterns
urlpatterns = i18n_patterns(*urlpatterns)
""",
        prefix="/de",
        language="de",
        admin="/de/admin/",
        login_page="/de/admin/login/",
    ),
    Host("csrf-in-sessions", EVERYTHING, settings="CSRF_USE_SESSIONS = True"),
    Host(
        "no-sessions-messages-admin",
        WITHOUT_ADMIN,
        without=(
            "contrib.admin",
            "admin.site",
            ".sessions",
            ".messages",
            "AuthenticationMiddleware",
        ),
        checks=(NO_LOGIN_PAGE,),
        login_page="",
    ),
    Host(
        "asgi-uvicorn",
        EVERYTHING,
        urls="""
from django.contrib.staticfiles.urls import staticfiles_urlpatterns
urlpatterns += staticfiles_urlpatterns()
""",
        server=ASGI,
        strict=False,
    ),
]
