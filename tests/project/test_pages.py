"""The demo's own pages."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from password_reset.models import UserSession
from project.models import User

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery staple"
LOGIN = {"username": "anna@example.com", "password": PASSWORD}


@pytest.fixture
def anna() -> User:
    return User.objects.create_user("anna@example.com", PASSWORD)


def test_the_home_page_leads_to_the_flow(client: Client) -> None:
    assert 'href="/forgot-password"' in client.get("/").content.decode()


def test_logging_in_leads_to_the_account(client: Client, anna: User) -> None:
    response = client.post("/login", LOGIN, follow=True)
    assert response.redirect_chain == [("/account", 302)]
    assert "anna@example.com" in response.content.decode()


def test_a_wrong_password_is_said_on_the_form(client: Client, anna: User) -> None:
    response = client.post("/login", LOGIN | {"password": "wrong"})
    assert response.status_code == 200
    assert "Please enter a correct" in response.content.decode()


def test_after_logging_in_people_are_where_they_wanted_to_be(
    client: Client, anna: User
) -> None:
    assert client.post("/login", LOGIN | {"next": "/admin/"})["Location"] == "/admin/"


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example/", "//evil.example/", "javascript:alert(1)"]
)
def test_nobody_is_sent_to_another_site(
    client: Client, anna: User, elsewhere: str
) -> None:
    assert client.post("/login", LOGIN | {"next": elsewhere})["Location"] == "/account"


def test_strangers_are_sent_to_the_log_in(client: Client) -> None:
    assert client.get("/account")["Location"] == "/login?next=/account"


def test_logging_out_takes_a_form(client: Client, anna: User) -> None:
    client.force_login(anna)
    assert client.get("/logout").status_code == 405
    assert client.post("/logout")["Location"] == "/"
    assert client.get("/account").status_code == 302


def test_the_account_shows_where_else_one_is_logged_in(
    client: Client, anna: User
) -> None:
    client.post("/login", LOGIN)
    assert "You are logged in nowhere else" in client.get("/account").content.decode()
    Client().post("/login", LOGIN)
    assert client.get("/account").content.decode().count("Elsewhere") == 1


def test_a_session_key_is_never_shown(client: Client, anna: User) -> None:
    client.post("/login", LOGIN)
    Client().post("/login", LOGIN)
    page = client.get("/account").content.decode()
    assert not any(
        key in page for key in UserSession.objects.values_list("session_key", flat=True)
    )


def test_sessions_of_other_people_are_not_shown(client: Client, anna: User) -> None:
    other = User.objects.create_user("otto@example.com", PASSWORD)
    UserSession.objects.create(
        user=other, session_key="k" * 32, created_at=timezone.now() - timedelta(days=1)
    )
    client.force_login(anna)
    assert "Elsewhere" not in client.get("/account").content.decode()


def test_password_managers_find_the_way(client: Client) -> None:
    assert client.get("/.well-known/change-password")["Location"] == "/forgot-password"


@pytest.mark.parametrize("path", ["/", "/login", "/forgot-password", "/nowhere"])
def test_pages_load_nothing_from_elsewhere(client: Client, path: str) -> None:
    response = client.get(path)
    assert response["Content-Security-Policy"].startswith(
        "default-src 'none'; style-src 'self'"
    )
    assert response["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize("path", ["/", "/login", "/account"])
def test_pages_keep_to_their_own_policy(client: Client, anna: User, path: str) -> None:
    if path == "/account":
        client.force_login(anna)
    page = client.get(path).content.decode()
    assert page.count("<h1>") == 1
    assert " style=" not in page
    assert "<script>" not in page


@pytest.mark.parametrize(("code", "direction"), [("ar", "rtl"), ("de", "ltr")])
def test_a_page_speaks_the_visitors_language(
    client: Client, code: str, direction: str
) -> None:
    page = client.get("/login", headers={"Accept-Language": code}).content.decode()
    assert f'<html lang="{code}" dir="{direction}">' in page


@pytest.mark.parametrize("path", ["/admin/project/user/", "/admin/project/user/add/"])
def test_users_can_be_managed(admin_client: Client, path: str) -> None:
    assert admin_client.get(path).status_code == 200


def test_a_user_is_made_in_the_admin(admin_client: Client) -> None:
    form = {
        "email": "new@example.com",
        "usable_password": "true",
        "password1": PASSWORD,
        "password2": PASSWORD,
    }
    admin_client.post("/admin/project/user/add/", form)
    assert User.objects.get(email="new@example.com").check_password(PASSWORD)
