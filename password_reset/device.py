"""The device cookie: a browser that has logged in before has a limit of its own, which
no stranger can use up (OWASP, "device cookies").

It holds a keyed digest of the address at log-in, signed and dated. It logs nobody in
and opens nothing: all that it is good for is asking for an email.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.signals import user_logged_in
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.utils.deprecation import MiddlewareMixin

from .conf import conf
from .counters import address_key
from .users import stored_email

__all__ = ["DeviceCookieMiddleware"]

COOKIE = "password_reset_device"
SALT = "password_reset.device"
#: Digits of the digest: no need for more, since the signature is what counts.
DIGITS = 32


class DeviceCookieMiddleware(MiddlewareMixin):
    """Recognise browsers that have logged in here, and give them a new cookie at each
    log-in.

    It reads neither session nor user. The cookie is set outside of whatever caches
    pages (check ``W020``).
    """

    def __init__(self, get_response: Any) -> None:
        super().__init__(get_response)
        user_logged_in.connect(remember, dispatch_uid="password_reset.device")

    def process_request(self, request: HttpRequest) -> None:
        """Note of which account this browser is known."""
        request.password_reset_device = read(request.COOKIES.get(COOKIE, ""))  # type: ignore[attr-defined]

    def process_response(
        self, request: HttpRequest, response: HttpResponse
    ) -> HttpResponse:
        """Set the cookie where somebody has logged in."""
        if email := getattr(request, "_password_reset_logged_in", ""):
            response.set_cookie(
                COOKIE,
                write(email),
                max_age=conf.device_cookie_age,
                path=settings.SESSION_COOKIE_PATH,
                domain=settings.SESSION_COOKIE_DOMAIN,
                secure=settings.SESSION_COOKIE_SECURE,
                httponly=True,
                samesite="Lax",
            )
        return response


def remember(sender: Any, request: Any, user: AbstractBaseUser, **kwargs: Any) -> None:
    """Note the address of whoever logs in by this request."""
    if request is not None:
        request._password_reset_logged_in = stored_email(user)


def write(email: str) -> str:
    """Return the cookie of a browser that has logged in under an address."""
    return signing.TimestampSigner(salt=SALT).sign(_digest(email))


def read(cookie: str) -> str:
    """Return the digest that a cookie holds; nothing for one that is forged, altered or
    too old.
    """
    signer = signing.TimestampSigner(salt=SALT)
    try:
        return signer.unsign(cookie, max_age=conf.device_cookie_age)
    except (signing.BadSignature, ValueError, OverflowError):
        return ""


def is_known_for(device: str, email: str) -> bool:
    """Return whether a browser has logged in under an address, in any of its spellings.

    Nothing is looked up, so it is the same for addresses that nobody has.
    """
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return any(
        constant_time_compare(device, _digest(email, secret=key)) for key in keys
    )


def _digest(email: str, *, secret: str | bytes | None = None) -> str:
    return address_key(f"device:{email.strip()}", secret=secret)[:DIGITS]
