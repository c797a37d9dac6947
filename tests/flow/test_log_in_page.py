"""The button of a log-in form takes the typed address along, in no URL."""

import re

import pytest
from django.core import mail
from django.template import Context, Template
from django.test import Client

from password_reset import metrics
from password_reset.models import PasswordResetRequest
from tests.tools.factories import OLD_PASSWORD

pytestmark = pytest.mark.django_db

FORM = "/forgot-password"
BUTTON = re.compile(r"<button[^>]*formaction[^>]*>")


def press(client, typed, field="username", **more):
    """Send a log-in form by its button, as a browser without JavaScript does."""
    form = {field: typed, "password": OLD_PASSWORD, "next": "", "prefill": field}
    return client.post(FORM, form | more)


def value_in(page):
    return page.context["form"]["email"].value()


@pytest.mark.parametrize("field", ["username", "email", "login", "auth-username"])
def test_the_form_comes_with_the_address(client, field):
    page = press(client, " ada@example.com ", field)
    assert (page.status_code, value_in(page)) == (200, "ada@example.com")
    assert 'value="ada@example.com"' in page.text
    assert not page.context["form"].errors


def test_nothing_is_counted_or_sent(client, settings):
    settings.PASSWORD_RESET_REQUEST_RATE_PER_IP = "1/h"
    before = metrics.requests_total.labels(status="accepted")._value.get()
    for _ in range(5):
        assert press(client, "ada@example.com").status_code == 200
    assert press(client, "", email="ada@example.com").status_code == 200
    assert not PasswordResetRequest.objects.exists()
    assert not mail.outbox
    assert metrics.requests_total.labels(status="accepted")._value.get() == before
    assert client.post(FORM, {"email": "ada@example.com"}).status_code == 302


@pytest.mark.parametrize(
    "typed", ["", "ada", "a@b\x00", "a@\nb", "@" * 255, "ada\u202e@example.com"]
)
def test_what_is_no_address_is_not_shown(client, typed):
    page = press(client, typed)
    assert (page.status_code, value_in(page)) == (200, None)


def test_markup_stays_text(client):
    page = press(client, '"><script>alert(1)</script>@x')
    assert "<script>alert" not in page.text


@pytest.mark.parametrize(
    "name", ["password", "csrfmiddlewaretoken", "nothing", "", "prefill"]
)
def test_no_password_comes_back(client, name):
    page = press(client, "ada@example.com", prefill=name)
    assert page.status_code == 200
    assert OLD_PASSWORD not in page.text


def test_another_site_cannot_fill_it(client):
    assert press(Client(enforce_csrf_checks=True), "ada@example.com").status_code == 403


def test_the_address_is_kept_nowhere(client, caplog):
    caplog.set_level("DEBUG")
    page = press(client, "ada@example.com")
    assert "ada@" not in caplog.text
    assert OLD_PASSWORD not in caplog.text
    assert not client.session.keys()
    assert "ada" not in str(page.headers) + str(page.cookies)


def test_where_somebody_was_comes_along(client):
    page = press(client, "ada@example.com", next="/orders/7")
    assert page.context["next"] == "/orders/7"
    page = press(client, "ada@example.com", next="//evil.example")
    assert page.context["next"] == ""


@pytest.mark.parametrize("path", ["/login", "/admin/login/?next=/admin/"])
def test_the_demo_s_log_in_pages_have_it(client, path):
    page = client.get(path).text
    [button] = BUTTON.findall(page)
    assert f'formaction="{FORM}"' in button
    assert 'name="prefill" value="username"' in button
    assert "formnovalidate" in button
    [form] = re.findall(r'form="([\w-]+)"', button)
    assert f'id="{form}"' in page
    # Enter presses the first one of a form.
    assert page.index(button) > page.index("</form>", page.index(f'id="{form}"'))


def test_its_page_s_own_token_is_accepted(ada):
    client = Client(enforce_csrf_checks=True)
    token = client.get("/login").context["csrf_token"]
    page = press(client, ada.email, csrfmiddlewaretoken=str(token))
    assert (page.status_code, value_in(page)) == (200, ada.email)


def test_a_site_without_the_flow_has_no_button(settings):
    settings.ROOT_URLCONF = "password_reset.well_known_urls"
    tag = Template("{% load password_reset %}{% forgot_password_button %}")
    assert not tag.render(Context()).strip()
