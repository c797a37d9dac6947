"""Steps of the flow that many tests walk, from outside: forms, mails, links."""

import json
import re
from typing import Any

from django.core import mail
from django.http import HttpResponse
from django.test import Client

from tests.tools.factories import NEW_PASSWORD

CODE = re.compile(r"\b[B-DF-HJ-NP-TV-XZ]{4}-[B-DF-HJ-NP-TV-XZ]{4}\b")
TOKEN = re.compile(r"token=([0-9a-f]{64})")


def ask(client: Client, email: str, **extra: str) -> HttpResponse:
    """Send the first form."""
    return client.post("/forgot-password", {"email": email}, **extra)


def token_in(text: str) -> str:
    """Return the token of the link in a mail's text."""
    return TOKEN.search(text)[1]


def code_in(text: str) -> str:
    """Return the code in a mail's text."""
    return CODE.search(text)[0]


def enter(client: Client, code: str, **extra: str) -> HttpResponse:
    """Type a code into the page on which it was asked for."""
    return client.post("/forgot-password/code", {"code": code}, **extra)


def mailed_token(client: Client, email: str) -> str:
    """Ask for a link and return the token of the mail that came."""
    ask(client, email)
    return token_in(mail.outbox[-1].body)


def look(client: Client, token: str, **extra: str) -> HttpResponse:
    """Open the link of a token."""
    return client.get("/reset-password", {"token": token}, **extra)


def spend(
    client: Client, token: str, password: str = NEW_PASSWORD, **extra: str
) -> HttpResponse:
    """Send the second form."""
    return client.post(
        "/reset-password",
        {"token": token, "new_password1": password, "new_password2": password},
        **extra,
    )


def call(
    client: Client,
    endpoint: str,
    body: object,
    media_type: str = "application/json",
    **extra: Any,
) -> HttpResponse:
    """Send JSON to an endpoint of the API; a text or bytes go as they are."""
    raw = body if isinstance(body, str | bytes) else json.dumps(body)
    # CONTENT_TYPE, since Django's client declares none for an empty body.
    return client.generic(
        "POST", f"/api/auth/{endpoint}", raw, CONTENT_TYPE=media_type, **extra
    )
