"""The development page of sample mails."""

import pytest
from django.conf import settings
from django.urls import reverse

pytestmark = pytest.mark.django_db


def test_the_page_lists_every_mail_in_every_language(client):
    page = client.get(reverse("mail_samples")).text
    for code, _ in settings.LANGUAGES:
        for kind in ("reset", "changed"):
            assert reverse("mail_sample_body", args=[kind, code, "html"]) in page


@pytest.mark.parametrize("code", [code for code, _ in settings.LANGUAGES])
def test_each_body_is_in_its_language_and_nothing_is_sent(client, code, mailoutbox):
    html = client.get(reverse("mail_sample_body", args=["reset", code, "html"])).text
    text = client.get(reverse("mail_sample_body", args=["reset", code, "text"])).text
    assert f'lang="{code}"' in html
    assert "0" * 64 in html
    assert "0" * 64 in text
    assert mailoutbox == []


@pytest.mark.parametrize(
    "path", ["/mails/samples/other/en.html", "/mails/samples/reset/xx.html"]
)
def test_an_unknown_mail_is_not_found(client, path):
    assert client.get(path).status_code == 404
