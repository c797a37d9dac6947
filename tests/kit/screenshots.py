"""Take the pictures of README and docs: `make screenshots`. The same pages give the
same pictures (not so mails).
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import django
import time_machine

from tests import ROOT

PICTURES = ROOT / "docs" / "images"
MOMENT = datetime(2026, 11, 22, 9, 41, tzinfo=UTC)
WINDOWS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
)
DESKTOP = {"viewport": {"width": 960, "height": 600}, "user_agent": WINDOWS}
PHONE = {"viewport": {"width": 360, "height": 700}, "has_touch": True}
#: File, state, window.
PAGES: list[tuple[str, str, dict[str, Any]]] = [
    ("forgot", "form", DESKTOP),
    ("forgot-error", "form_with_an_error", DESKTOP),
    ("check-your-mail", "done", DESKTOP),
    ("new-password", "reset", DESKTOP),
    ("new-password-errors", "reset_with_errors", DESKTOP),
    ("second-factor", "second_factor", DESKTOP),
    ("second-factor-error", "second_factor_refused", DESKTOP),
    ("saved", "complete", DESKTOP),
    ("link-missing", "link_missing", DESKTOP),
    ("link-expired", "link_expired", DESKTOP),
    ("link-used", "link_used", DESKTOP),
    ("link-unknown", "link_unknown", DESKTOP),
    ("not-me", "not_me", DESKTOP),
    ("not-me-changed", "not_me_changed", DESKTOP),
    ("not-me-changed-done", "not_me_changed_done", DESKTOP),
    ("too-many", "rate_limited", DESKTOP),
    ("unavailable", "unavailable", DESKTOP),
    ("cookies-refused", "cookies_refused", DESKTOP),
    ("forgot-phone", "form", PHONE),
    ("new-password-phone-dark", "reset", PHONE | {"color_scheme": "dark"}),
    ("second-factor-phone-dark", "second_factor", PHONE | {"color_scheme": "dark"}),
    ("new-password-dark", "reset", DESKTOP | {"color_scheme": "dark"}),
    ("new-password-arabic", "reset", DESKTOP | {"locale": "ar"}),
]
STAFF = {"viewport": {"width": 1280, "height": 800}}
STAFF_PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
#: Of the admin: file, state of `admin_states`, window.
ADMIN_PAGES: list[tuple[str, str, dict[str, Any]]] = [
    ("admin-why", "explained", STAFF),
    ("admin-why-phone", "explained_given_up", STAFF_PHONE),
    ("admin-requests", "waiting_list", STAFF),
    ("admin-token", "token", STAFF),
    ("admin-user", "user_page", STAFF),
]
#: Pages whose top is all that matters.
CROPPED = {"admin-user"}
MAILS = {
    "mail-link": "reset",
    "mail-changed": "complete",
    "mail-explanation": "without_a_password",
}


@contextmanager
def demo(folder: Path) -> Iterator[None]:
    """Set Django up on an empty SQLite file, with the package's own pages and mail in
    memory.
    """
    os.environ |= {
        "DATABASE_URL": f"sqlite:///{folder}/demo.sqlite3",
        "DJANGO_ALLOW_ASYNC_UNSAFE": "true",
    }
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    os.environ["LOG_LEVEL"] = "error"
    django.setup()
    from django.core.management import call_command  # noqa: PLC0415 - needs settings
    from django.test.utils import override_settings, setup_test_environment  # noqa: PLC0415

    from tests.kit.browser import SITE  # noqa: PLC0415

    setup_test_environment()
    call_command("migrate", verbosity=0)
    own = {
        "ALLOWED_HOSTS": [SITE],
        "TEMPLATES": own_pages(),
        "PASSWORD_RESET_APP_NAME": "Example",
        "PASSWORD_RESET_BASE_URL": "https://www.example.com",
        "PASSWORD_RESET_REQUEST_RATE_PER_IP": None,
        "PASSWORD_RESET_CONFIRM_RATE_PER_IP": None,
        "CSRF_TRUSTED_ORIGINS": [],
    }
    with override_settings(**own), time_machine.travel(MOMENT):
        yield


def own_pages() -> list[dict[str, Any]]:
    from django.conf import settings  # noqa: PLC0415 - needs settings

    return [settings.TEMPLATES[0] | {"DIRS": []}]


def empty() -> None:
    """Begin without users and without requests, which know none."""
    from django.contrib.auth import get_user_model  # noqa: PLC0415

    from password_reset.models import (  # noqa: PLC0415
        PasswordResetDelivery,
        PasswordResetRequest,
    )

    for model in (get_user_model(), PasswordResetRequest, PasswordResetDelivery):
        model.objects.all().delete()


def take(
    name: str,
    state: str,
    options: dict[str, Any],
    browser: Any,
    url: str,
    *,
    module: str = "states",
) -> Any:
    """Bring a page into a state, take its picture and return its window."""
    from django.conf import settings  # noqa: PLC0415 - needs settings
    from django.test.utils import override_settings  # noqa: PLC0415

    from tests.kit.browser import Window  # noqa: PLC0415
    from tests.kit.states import Stage  # noqa: PLC0415
    from tests.tools.factories import UserFactory  # noqa: PLC0415

    states = import_module(f"tests.kit.{module}")
    window = Window(browser, url, reduced_motion="reduce", timezone_id="UTC", **options)
    window.page.clock.set_fixed_time(MOMENT)
    empty()
    user = UserFactory.create(email="ada@example.com", first_name="Ada")
    with override_settings(
        PASSWORD_RESET_ENABLED=True, PASSWORD_RESET_REQUEST_RATE_PER_EMAIL=None
    ):
        getattr(states, state)(Stage(window, user, settings))
    window.page.wait_for_load_state("networkidle")
    window.page.screenshot(
        path=PICTURES / f"{name}.png",
        full_page=name not in CROPPED,
        animations="disabled",
    )
    return window


def take_mail(name: str, state: str, browser: Any, url: str) -> None:
    """Take the picture of the newest mail of a state, as a mail program shows it."""
    from django.core import mail  # noqa: PLC0415 - needs settings

    window = take(name, state, DESKTOP, browser, url)
    page = (
        window.context.new_page()
    )  # without the policy of our pages, which takes no styles of a mail
    page.set_viewport_size({"width": 680, "height": 400})
    page.set_content(str(mail.outbox[-1].alternatives[0][0]))
    page.screenshot(path=PICTURES / f"{name}.png", full_page=True)
    window.close()


def main(names: list[str]) -> None:
    """Take the pictures that are named, or all."""
    known = {*(page[0] for page in PAGES + ADMIN_PAGES), *MAILS}
    if unknown := set(names) - known:
        sys.exit(f"No such picture: {', '.join(sorted(unknown))}")
    PICTURES.mkdir(exist_ok=True)
    with ExitStack() as stack:
        folder = Path(
            stack.enter_context(
                tempfile.TemporaryDirectory(prefix="pictures-of-reset-")
            )
        )
        stack.enter_context(demo(folder))
        from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only where it is asked for

        from tests.kit.browser import SITE, TlsServer, launch, site_application  # noqa: PLC0415
        from tests.kit.pieces import make_certificates  # noqa: PLC0415

        make_certificates(folder, "site", SITE)
        site = stack.enter_context(
            TlsServer(SITE, site_application(), folder / "site.pem")
        )
        browser = launch(stack.enter_context(sync_playwright()), folder / "site.pem")
        for name, state, options in PAGES:
            if not names or name in names:
                take(name, state, options, browser, site.url).close()
        for name, state, options in ADMIN_PAGES:
            if not names or name in names:
                module = "admin_states"
                window = take(name, state, options, browser, site.url, module=module)
                window.close()
        for name, state in MAILS.items():
            if not names or name in names:
                take_mail(name, state, browser, site.url)
    print(
        f"{len(names) or len(PAGES) + len(ADMIN_PAGES) + len(MAILS)} pictures in {PICTURES}"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
