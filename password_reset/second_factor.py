"""Second factors that other packages keep: whether an account has one, and whether a
code is right.

``PASSWORD_RESET_SECOND_FACTOR`` names an adapter: one of these, or a class of the
host's with the same two methods.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any, Protocol

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from .users import is_own_mailbox

__all__ = ["AllauthMFA", "DjangoOTP", "SecondFactor", "Throttled"]

#: What to type, where an adapter has no ``hint`` of its own.
HINT = _("From your authenticator app. A recovery code works too.")
RECOVERY_CODE_ONLY = _(
    "One of your recovery codes: a security key does not work on this page."
)
NOTHING_TO_TYPE = _(
    "What protects your account does not work on this page. Ask us for help."
)


class Throttled(Exception):
    """The package takes no code of this account for ``retry_after`` seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"{retry_after} s")
        self.retry_after = retry_after


class SecondFactor(Protocol):
    """What ``PASSWORD_RESET_SECOND_FACTOR`` names makes one of these, for each request.

    It may also have ``hint(user)``, which returns what to type, and ``apps``, the apps
    that have to be installed. Whatever a method raises, nobody gets past it.
    """

    def is_required(self, user: AbstractBaseUser) -> bool:
        """Return whether a reset of this user's password asks for a code."""

    def verify(self, user: AbstractBaseUser, code: str) -> bool:
        """Return whether a code is right, and use it up.

        ``code`` is what was typed, normalised (NFKC) and without space around it. May
        raise ``Throttled``.
        """


class DjangoOTP:
    """Ask whoever has a confirmed device of django-otp.

    TOTP, HOTP, static tokens and whatever else needs no challenge can be typed. Who has
    only devices that would send something first is asked too, and staff have to help: a
    link must not open what a log-in keeps closed. An email device at the address of the
    account is none: the link has shown that mailbox already.
    """

    apps = ("django_otp",)

    def is_required(self, user: AbstractBaseUser) -> bool:
        """Return whether the user has a confirmed device."""
        return any(True for _device in _devices(user))

    def verify(self, user: AbstractBaseUser, code: str) -> bool:
        """Return whether a device takes the code, and use it up.

        django-otp locks the device, and throttles wrong codes here and at log-in
        together. Raises ``Throttled`` while it takes none.
        """
        verify_token = import_module("django_otp").verify_token
        asked = [one for one in _typed(_devices(user)) if _may_have(one, code)]
        allowed = [one for one in asked if one.verify_is_allowed()[0]]
        if asked and not allowed:
            raise Throttled(min(map(_wait, asked)))
        return any(
            verify_token(user, one.persistent_id, _spelling(one, code)) is not None
            for one in allowed
        )

    def hint(self, user: AbstractBaseUser) -> str | Promise:
        """Return what to type, or that nothing can be."""
        return HINT if _typed(_devices(user)) else NOTHING_TO_TYPE


class AllauthMFA:
    """Ask whom django-allauth asks at log-in: whoever has TOTP or a security key.

    A code of the app or a recovery code can be typed, a security key cannot. Who has
    nothing else is asked all the same, as above.
    """

    apps = ("allauth.mfa",)

    def is_required(self, user: AbstractBaseUser) -> bool:
        """Return what ``MFA_ADAPTER`` says of TOTP and WebAuthn."""
        kinds = _authenticator().Type
        enabled: bool = import_module("allauth.mfa.utils").is_mfa_enabled(
            user, [kinds.TOTP, kinds.WEBAUTHN]
        )
        return enabled

    def verify(self, user: AbstractBaseUser, code: str) -> bool:
        """Return whether one of the user's authenticators takes the code, and use it
        up.
        """
        for authenticator in self._typed(user):
            if authenticator.wrap().validate_code(code):
                authenticator.record_usage()
                return True
        return False

    def hint(self, user: AbstractBaseUser) -> str | Promise:
        """Return what to type, or that nothing can be."""
        kinds = {authenticator.type for authenticator in self._typed(user)}
        if _authenticator().Type.TOTP in kinds:
            return HINT
        return RECOVERY_CODE_ONLY if kinds else NOTHING_TO_TYPE

    def _typed(self, user: AbstractBaseUser) -> list[Any]:
        model = _authenticator()
        rows = model.objects.filter(user_id=user.pk).exclude(type=model.Type.WEBAUTHN)
        return list(rows)


def _authenticator() -> Any:
    return import_module("allauth.mfa.models").Authenticator


def _devices(user: AbstractBaseUser) -> Iterator[Any]:
    """Yield a user's confirmed devices that are more than the mailbox of the link."""
    for device in import_module("django_otp").devices_for_user(user):
        is_mail = device.model_label() == "otp_email.emaildevice"
        if not (is_mail and is_own_mailbox(user, device.email)):
            yield device


def _typed(devices: Iterator[Any]) -> list[Any]:
    """Return the devices whose codes need no challenge before."""
    return [device for device in devices if not device.is_interactive()]


def _may_have(device: Any, code: str) -> bool:
    """Return whether a code can be one of a device: a recovery code is no failure of
    the app, which would be throttled for it.
    """
    return not hasattr(device, "digits") or _compact(code).isdecimal()


def _spelling(device: Any, code: str) -> str:
    """Return a code as its device compares it: static tokens letter by letter, others
    without spaces and dashes.
    """
    if not hasattr(device, "token_set"):
        return _compact(code)
    spellings = [code, _compact(code), _compact(code).lower()]
    kept = device.token_set.filter(token__in=spellings).values_list("token", flat=True)
    return kept.first() or spellings[-1]


def _compact(code: str) -> str:
    return "".join(code.replace("-", "").split())


def _wait(device: Any) -> int:
    """Return the seconds until a throttled device takes a code again."""
    details = device.verify_is_allowed()[1] or {}
    until = details.get("locked_until")
    seconds = (until - timezone.now()).total_seconds() if until else 0
    return max(int(seconds) + 1, 1)
