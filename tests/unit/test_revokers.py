"""What a reset ends beside sessions, with the real packages."""

import pytest
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from django.urls import reverse
from knox.models import AuthToken
from rest_framework.authtoken.models import Token
from rest_framework_simplejwt.exceptions import TokenError as JwtError
from rest_framework_simplejwt.tokens import RefreshToken

from password_reset import revokers, services
from tests.tools.factories import NEW_PASSWORD, OLD_PASSWORD, UserFactory
from tests.tools.walk import mailed_token, spend

pytestmark = pytest.mark.django_db(transaction=True)

CALLS = []


def count_one(user):
    """A host's own revoker."""
    CALLS.append(user.pk)
    return 1


def fail(user):
    """A revoker whose service is down."""
    raise RuntimeError("the token service is down")


def reset(user):
    raw = mailed_token(Client(), user.email)
    return services.reset_password(raw, NEW_PASSWORD, ip_address=None, user_agent="")


def test_rest_framework_tokens_of_this_user_are_deleted_and_counted(user):
    other = Token.objects.create(user=UserFactory())
    Token.objects.create(user=user)
    assert reset(user).sessions_deleted == 1
    assert list(Token.objects.all()) == [other]


def test_every_refresh_token_is_on_simplejwt_s_blacklist_and_counted(user):
    refresh = [RefreshToken.for_user(user) for _ in range(2)]
    refresh[0].blacklist()
    assert reset(user).sessions_deleted == 1
    for token in refresh:
        with pytest.raises(JwtError):
            RefreshToken(str(token))


def test_a_model_label_ends_the_user_s_rows_of_that_model(user, settings):
    settings.PASSWORD_RESET_REVOKERS = ["knox.AuthToken"]
    AuthToken.objects.create(user)
    AuthToken.objects.create(other := UserFactory())
    assert reset(user).sessions_deleted == 1
    assert AuthToken.objects.get().user == other


def test_a_dotted_path_is_called_with_the_user_and_its_number_counts(user, settings):
    settings.PASSWORD_RESET_REVOKERS = ["tests.unit.test_revokers.count_one"]
    CALLS.clear()
    assert reset(user).sessions_deleted == 1
    assert [user.pk] == CALLS


def test_sessions_and_tokens_are_counted_together_in_answer_log_and_mail(
    user, mailoutbox, caplog
):
    for _ in range(2):
        Client().force_login(user)
    Token.objects.create(user=user)
    raw = mailed_token(Client(), user.email)
    answer = Client().post(
        reverse("password_reset_api:reset"),
        {"token": raw, "password": NEW_PASSWORD},
        content_type="application/json",
    )
    assert answer.json()["sessions_deleted"] == 3
    assert [
        record.sessionsDeleted
        for record in caplog.records
        if record.msg == "Password reset completed"
    ] == [3]
    assert "3" in mailoutbox[-1].body


def test_one_that_raises_rolls_the_reset_back_and_leaves_the_link_usable(
    user, settings
):
    settings.PASSWORD_RESET_REVOKERS = ["tests.unit.test_revokers.fail"]
    Token.objects.create(user=user)
    raw = mailed_token(Client(), user.email)
    answer = spend(Client(), raw)
    assert (answer.status_code, answer["Retry-After"]) == (503, "60")
    user.refresh_from_db()
    assert user.check_password(OLD_PASSWORD)
    assert Token.objects.filter(user=user).exists()
    settings.PASSWORD_RESET_REVOKERS = []
    assert spend(Client(), raw).status_code == 302


@pytest.mark.parametrize(
    "entry", ["nothing.here", "no dots", "knox.Nothing", "django.forms.Form", ""]
)
def test_an_entry_that_is_neither_is_refused_by_name(user, settings, entry):
    settings.PASSWORD_RESET_REVOKERS = [entry]
    with pytest.raises(ImproperlyConfigured, match="PASSWORD_RESET_REVOKERS"):
        list(revokers.revokers())


def test_packages_that_are_not_installed_are_left_alone(settings):
    names = ["rest_framework.authtoken", "rest_framework_simplejwt.token_blacklist"]
    with_them = len(list(revokers.revokers()))
    settings.INSTALLED_APPS = [
        name for name in settings.INSTALLED_APPS if name not in names
    ]
    assert not any(apps.is_installed(name) for name in names)
    assert (with_them, len(list(revokers.revokers()))) == (2, 0)
