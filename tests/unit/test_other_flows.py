"""The check names each reset flow that stays reachable beside this one, and how to take
it away; where other patterns shadow it, there is nothing to say.
"""

import pytest
from django.contrib.auth import views as auth
from django.core.checks import run_checks
from django.http import HttpResponse
from django.urls import clear_url_caches, include, path, re_path
from django.views.decorators.csrf import csrf_exempt
from django.views.generic import RedirectView, TemplateView, View

from password_reset.api import RequestEndpoint
from password_reset.legacy import LegacyLinkView

# Django 6.1 asks the database about generated columns whenever it checks models.
pytestmark = pytest.mark.django_db

OURS = path("", include("password_reset.urls"))
CONTRIB = path("accounts/", include("django.contrib.auth.urls"))
BACK = RedirectView.as_view(pattern_name="password_reset")


def view_of(module, name, base=View):
    """Return a view that calls itself another package's."""
    return type(name, (base,), {"__module__": module}).as_view()


def action_of(module, **actions):
    """Return a view that calls itself an action of another package's view set."""

    def view(request):
        return HttpResponse()

    view.cls, view.actions = type("UserViewSet", (), {"__module__": module}), actions
    return view


ALLAUTH = [
    path("password/reset/", view_of("allauth.account.views", "PasswordResetView")),
    re_path(
        r"^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        view_of("allauth.account.views", "PasswordResetFromKeyView"),
    ),
    path(
        "password/reset/done/",
        view_of("allauth.account.views", "PasswordResetDoneView"),
    ),
]
HEADLESS = [
    path(
        "app/v1/auth/password/request",
        view_of("allauth.headless.account.views", "RequestPasswordResetView"),
    )
]
DJOSER = [
    re_path(
        r"^users/reset_password/$", action_of("djoser.views", post="reset_password")
    ),
    re_path(
        r"^users/reset_password\.(?P<format>[a-z0-9]+)/?$",
        action_of("djoser.views", post="reset_password"),
    ),
    re_path(r"^users/set_password/$", action_of("djoser.views", post="set_password")),
]
DJ_REST_AUTH = [
    re_path(r"password/reset/?$", view_of("dj_rest_auth.views", "PasswordResetView")),
    re_path(r"login/?$", view_of("dj_rest_auth.views", "LoginView")),
]
REST_PASSWORDRESET = [
    path("confirm/", view_of("django_rest_passwordreset.views", "ResetPasswordConfirm"))
]
WAGTAIL = [
    path(
        "password_reset/",
        view_of(
            "wagtail.admin.views.account", "PasswordResetView", auth.PasswordResetView
        ),
    )
]
OSCAR = [
    path(
        "password-reset/",
        auth.PasswordResetView.as_view(
            template_name="oscar/registration/password_reset_form.html"
        ),
    ),
    re_path(
        r"^dashboard/users/(?P<pk>-?\d+)/password-reset/$",
        view_of("oscar.apps.dashboard.users.views", "PasswordResetView"),
    ),
]
#: Each package: its patterns below "old/", and a line of the recipe.
PACKAGES = {
    "django.contrib.auth": (
        [path("", include("django.contrib.auth.urls"))],
        'path("old/login/", LoginView.as_view(), name="login"),',
    ),
    "django-allauth": (
        ALLAUTH,
        're_path(r"^old/password/reset/key/", LegacyLinkView.as_view()),',
    ),
    "django-allauth (headless)": (HEADLESS, r'r"^old/\w+/v1/auth/password/",'),
    "djoser": (
        DJOSER,
        're_path(r"^old/users/reset_password/?$", RequestEndpoint.as_view()),',
    ),
    "dj-rest-auth": (
        DJ_REST_AUTH,
        're_path(r"^old/password/reset/?$", RequestEndpoint.as_view()),',
    ),
    "django-rest-passwordreset": (
        REST_PASSWORDRESET,
        'path("old/", RequestEndpoint.as_view()),',
    ),
    "Wagtail": (WAGTAIL, "WAGTAIL_PASSWORD_RESET_ENABLED = False"),
    "django-oscar": (OSCAR, r'r"^old/(?:dashboard/users/\d+/)?password-reset/",'),
}


#: What the lines of a recipe are written with.
IN_RECIPES = {
    **vars(auth),
    "LegacyLinkView": LegacyLinkView,
    "RedirectView": RedirectView,
    "RequestEndpoint": RequestEndpoint,
    "csrf_exempt": csrf_exempt,
    "include": include,
    "path": path,
    "re_path": re_path,
}


@pytest.fixture
def host(settings):
    """Give the site a URLconf; return what the check then says."""

    def say(*patterns):
        settings.ROOT_URLCONF = type("urls", (), {"urlpatterns": list(patterns)})
        clear_url_caches()
        return [one for one in run_checks() if one.id == "password_reset.W013"]

    yield say
    clear_url_caches()


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_is_named_with_its_recipe(host, package):
    patterns, line = PACKAGES[package]
    (warning,) = host(OURS, path("old/", include(patterns)))
    assert f"The password reset of {package} stays reachable: /old/" in warning.msg
    assert line in warning.hint


@pytest.mark.parametrize("package", PACKAGES)
def test_a_finding_is_read_without_scrolling(host, package):
    (warning,) = host(OURS, path("old/", include(PACKAGES[package][0])))
    assert len(warning.msg) < 200
    assert all(len(line) < 160 for line in warning.hint.splitlines())


@pytest.mark.parametrize("package", PACKAGES)
def test_the_recipe_of_a_package_silences_it(host, package):
    include_of_package = path("old/", include(PACKAGES[package][0]))
    (warning,) = host(OURS, include_of_package)
    sentence, _, lines = warning.hint.partition("\n")
    recipe = eval(f"[{lines}\n]", IN_RECIPES)
    stays = [] if "place" in sentence else [include_of_package]
    assert not host(OURS, *recipe, *stays)


def test_packages_side_by_side_have_a_line_each(host):
    assert len(host(CONTRIB, path("old/", include(ALLAUTH)), OURS)) == 2


def test_a_redirect_after_a_package_shadows_nothing(host):
    assert host(CONTRIB, re_path(r"^accounts/.*reset", BACK))


def test_a_shadow_over_one_view_leaves_the_other_to_be_named(host):
    (warning,) = host(path("old/password/reset/", BACK), path("old/", include(ALLAUTH)))
    assert warning.msg.endswith(": /old/password/reset/key/<uidb36>-<key>/.")


def test_a_shadow_without_the_slash_leaves_the_path_with_one(host):
    assert host(path("old/password/reset", BACK), path("old/", include(DJ_REST_AUTH)))
    assert host(path("old/password/reset/", BACK), path("old/", include(DJ_REST_AUTH)))


def test_a_shadow_without_the_format_leaves_the_path_with_one(host):
    (warning,) = host(
        path("old/users/reset_password/", BACK), path("old/", include(DJOSER))
    )
    assert warning.msg.endswith(": /old/users/reset_password.<format>.")


def test_pages_that_only_say_what_happened_are_no_flow(host):
    assert not host(
        path("old/password/reset/", BACK),
        re_path(r"^old/password/reset/key/", LegacyLinkView.as_view()),
        path("old/", include(ALLAUTH)),
    )


def test_our_own_pages_are_no_other_flow(host):
    assert not host(
        OURS,
        path("", include("password_reset.legacy_urls")),
        path("", include("password_reset.well_known_urls")),
    )


def test_a_view_of_the_host_s_own_is_nobody_else_s(host):
    assert not host(path("password_reset/", TemplateView.as_view(template_name="x")))


def test_a_subclass_of_django_s_view_is_still_django_s_flow(host):
    view = view_of("shop.views", "PasswordResetView", auth.PasswordResetView)
    assert host(OURS, path("forgotten", view))


def test_a_path_with_a_uuid_is_found(host):
    assert host(path("<uuid:shop>/", include("django.contrib.auth.urls")))


def test_a_script_prefix_changes_nothing(host, settings):
    settings.FORCE_SCRIPT_NAME = "/shop"
    assert host(OURS, CONTRIB)


def test_the_admin_s_reset_of_django_s_docs_does_not_hide_where_the_include_is(host):
    (warning,) = host(
        path("admin/password_reset/", auth.PasswordResetView.as_view()), CONTRIB, OURS
    )
    assert 'path("accounts/login/", LoginView.as_view()' in warning.hint


@pytest.mark.parametrize(
    ("switches", "findings"),
    [
        ({"WAGTAIL_PASSWORD_RESET_ENABLED": False}, 0),
        ({"WAGTAIL_PASSWORD_MANAGEMENT_ENABLED": False}, 0),
        ({"WAGTAIL_PASSWORD_RESET_ENABLED": True}, 1),
        (
            {
                "WAGTAIL_PASSWORD_RESET_ENABLED": True,
                "WAGTAIL_PASSWORD_MANAGEMENT_ENABLED": False,
            },
            1,
        ),
    ],
)
def test_wagtail_s_own_switches_are_believed(host, settings, switches, findings):
    for name, value in switches.items():
        setattr(settings, name, value)
    assert len(host(OURS, path("cms/", include(WAGTAIL)))) == findings
