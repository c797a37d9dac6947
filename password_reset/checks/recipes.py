"""Other packages with a reset flow of their own, and how to take it away.

``docs/migrating.md`` says more of each; what stands here was tried on the package.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from textwrap import indent

from django.conf import settings


@dataclass(frozen=True)
class Package:
    """A package: its reset views, and a recipe that takes them away."""

    name: str
    #: Modules of its views.
    modules: frozenset[str]
    #: Where its reset views begin: a regular expression below the include's prefix.
    root: str
    recipe: str
    #: Lines of a URLconf, with ``{prefix}`` for the include's prefix.
    lines: str = ""
    #: Folder of the templates that it gives to another package's views.
    templates: str = ""
    #: Settings that switch its views off; the first that is set decides.
    switches: tuple[str, ...] = ()

    def is_off(self) -> bool:
        """Return whether the host has switched this package's flow off."""
        switch = next((name for name in self.switches if hasattr(settings, name)), "")
        return not getattr(settings, switch, True)

    def hint(self, paths: list[str]) -> str:
        """Return the recipe for the include under which paths were found."""
        # The last: the admin's reset of Django's docs stands before other includes.
        found = [match for path in paths if (match := re.search(self.root, path))]
        prefix = found[-1].string[: found[-1].start()] if found else ""
        lines = self.lines.replace("{prefix}", prefix)
        return f"{self.recipe}\n{indent(lines, ' ' * 12)}".rstrip()


#: In this order: Wagtail and Oscar build on the views of django.contrib.auth.
PACKAGES = (
    Package(
        "Wagtail",
        frozenset({"wagtail.admin.views.account"}),
        r"password_reset/",
        "Set WAGTAIL_PASSWORD_RESET_ENABLED = False, and its log-in page shows no "
        "link; or lead that link here, before the include of wagtail.admin.urls:",
        """\
re_path(r"^{prefix}password_reset/confirm/", LegacyLinkView.as_view()),
re_path(
    r"^{prefix}password_reset/", RedirectView.as_view(pattern_name="password_reset")
),""",
        switches=(
            "WAGTAIL_PASSWORD_RESET_ENABLED",
            "WAGTAIL_PASSWORD_MANAGEMENT_ENABLED",
        ),
    ),
    Package(
        "django-oscar",
        frozenset({"oscar.apps.dashboard.users.views"}),
        r"password-reset/|dashboard/users/",
        "Put before the include of Oscar's URLs:",
        """\
re_path(r"^{prefix}password-reset/confirm/", LegacyLinkView.as_view()),
re_path(
    r"^{prefix}(?:dashboard/users/\\d+/)?password-reset/",
    RedirectView.as_view(pattern_name="password_reset"),
),""",
        templates="oscar/",
    ),
    Package(
        "django-allauth",
        frozenset({"allauth.account.views"}),
        r"password/reset/",
        "Put before the include of allauth.urls:",
        """\
re_path(r"^{prefix}password/reset/key/", LegacyLinkView.as_view()),
re_path(
    r"^{prefix}password/reset/", RedirectView.as_view(pattern_name="password_reset")
),""",
    ),
    Package(
        "django-allauth (headless)",
        frozenset({"allauth.headless.account.views"}),
        r"(?:browser|app)/v1/auth/password/",
        "Put before the include of allauth.headless.urls:",
        """\
re_path(
    r"^{prefix}\\w+/v1/auth/password/",
    csrf_exempt(RedirectView.as_view()),  # 410
),""",
    ),
    Package(
        "djoser",
        frozenset({"djoser.views"}),
        r"reset_password",
        "Put before the include of djoser.urls; clients go on asking at the first:",
        """\
re_path(r"^{prefix}reset_password/?$", RequestEndpoint.as_view()),
re_path(r"^{prefix}reset_password", csrf_exempt(RedirectView.as_view())),  # 410""",
    ),
    Package(
        "dj-rest-auth",
        frozenset({"dj_rest_auth.views"}),
        r"password/reset",
        "Put before the include of dj_rest_auth.urls; clients go on asking at the "
        "first:",
        """\
re_path(r"^{prefix}password/reset/?$", RequestEndpoint.as_view()),
re_path(r"^{prefix}password/reset", csrf_exempt(RedirectView.as_view())),  # 410""",
    ),
    Package(
        "django-rest-passwordreset",
        frozenset({"django_rest_passwordreset.views"}),
        r"(?:validate_token|confirm)/",
        "Remove the include of django_rest_passwordreset.urls, or its routes from your "
        "router. To let clients go on asking where they do, put in its place:",
        """\
path("{prefix}", RequestEndpoint.as_view()),""",
    ),
    Package(
        "django.contrib.auth",
        frozenset({"django.contrib.auth.views"}),
        r"password_reset/|reset/",
        "Remove these views. In place of the include of django.contrib.auth.urls list "
        "those that you need:",
        """\
path("{prefix}login/", LoginView.as_view(), name="login"),
path("{prefix}logout/", LogoutView.as_view(), name="logout"),
path("{prefix}password_change/", PasswordChangeView.as_view(), name="password_change"),
path(
    "{prefix}password_change/done/",
    PasswordChangeDoneView.as_view(),
    name="password_change_done",
),
path("{prefix}", include("password_reset.legacy_urls")),  # links already mailed""",
    ),
)
