"""A field that a host adds to a form of the flow stands on its page, with its errors."""

import pytest
from django import forms
from django.core import mail
from django.urls import include, path

from password_reset.forms import PasswordResetForm, SetPasswordForm
from password_reset.views import PasswordResetConfirmView, PasswordResetView
from tests.tools.factories import NEW_PASSWORD
from tests.tools.walk import look, token_in

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls("tests.flow.test_host_fields"),
]


class CompanyForm(PasswordResetForm):
    company = forms.CharField(label="Company <code>", help_text="As on your invoice")
    note = forms.CharField(label="Note", required=False, widget=forms.Textarea)
    campaign = forms.CharField(
        required=False, widget=forms.HiddenInput, initial="spring"
    )


class PinForm(SetPasswordForm):
    pin = forms.CharField(label="PIN")


urlpatterns = [
    path("forgot-password", PasswordResetView.as_view(form_class=CompanyForm)),
    path("reset-password", PasswordResetConfirmView.as_view(form_class=PinForm)),
    path("", include("password_reset.urls")),
]


def tag(html, name):
    [found] = [part for part in html.split("<") if f'name="{name}"' in part]
    return found


def test_the_first_form_shows_it_with_its_label_and_help(client):
    html = client.get("/forgot-password").content.decode()
    assert "Company &lt;code&gt;" in html
    assert ' id="id_company_helptext">As on your invoice' in html
    assert 'aria-describedby="id_company_helptext"' in tag(html, "company")
    assert 'value="spring"' in tag(html, "campaign")


def test_what_is_required_and_what_is_not_is_marked(client):
    html = client.get("/forgot-password").content.decode()
    assert " required" in tag(html, "company")
    assert " required" not in tag(html, "note")
    assert html.count(">optional<") == 1


def test_its_error_stands_above_it_and_nothing_is_sent(client, mailoutbox):
    answer = client.post("/forgot-password", {"email": "ada@example.com"})
    html = answer.content.decode()
    assert answer.status_code == 200
    assert html.index("This field is required.") < html.index('name="company"')
    assert 'aria-invalid="true"' in tag(html, "company")
    assert not mailoutbox


def test_filled_in_it_is_no_obstacle(client):
    answer = client.post(
        "/forgot-password", {"email": "ada@example.com", "company": "Numbers"}
    )
    assert answer.status_code == 302


def test_the_second_form_shows_it_too(client, user):
    client.post("/forgot-password", {"email": user.email, "company": "Numbers"})
    token = token_in(mail.outbox[-1].body)
    assert " required" in tag(look(client, token).content.decode(), "pin")
    passwords = {"new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD}
    answer = client.post("/reset-password", {"token": token, **passwords})
    assert "This field is required." in answer.content.decode()
    answer = client.post("/reset-password", {"token": token, "pin": "1", **passwords})
    assert answer.status_code == 302
