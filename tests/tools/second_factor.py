"""People with a second factor of django-otp, and sites whose adapter does not work."""

from typing import Any

from django_otp.oath import TOTP
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

ADAPTER = "password_reset.second_factor.DjangoOTP"


def totp(user: Any, **fields: Any) -> TOTPDevice:
    """Give a user an authenticator app."""
    return TOTPDevice.objects.create(user=user, name="app", **fields)


def code_of(device: TOTPDevice) -> str:
    """Return what the app shows now."""
    return f"{TOTP(device.bin_key).token():06d}"


def wrong_code_of(device: TOTPDevice) -> str:
    """Return six digits that no step near now has."""
    near = TOTP(device.bin_key)
    taken = set()
    for near.drift in range(-3, 4):
        taken.add(near.token())
    return next(f"{code:06d}" for code in range(1_000_000) if code not in taken)


def recovery_codes(user: Any, *codes: str) -> StaticDevice:
    """Give a user recovery codes."""
    device = StaticDevice.objects.create(user=user, name="backup")
    for code in codes:
        device.token_set.create(token=code)
    return device


class Broken:
    """An adapter whose package does not answer."""

    def is_required(self, user: Any) -> bool:
        raise ConnectionError("of a person's device")

    def verify(self, user: Any, code: str) -> bool:
        raise AssertionError("never asked")


class BrokenLater(Broken):
    """Knows who has one, and fails with the code in its words."""

    def is_required(self, user: Any) -> bool:
        return True

    def verify(self, user: Any, code: str) -> bool:
        raise ValueError(f"cannot read {code!r}")


class Forgetful:
    """Forgets to return anything."""

    def is_required(self, user: Any) -> Any: ...

    def verify(self, user: Any, code: str) -> Any: ...


class TakesAll(BrokenLater):
    """Returns something that is not an answer."""

    def verify(self, user: Any, code: str) -> Any:
        return "no"
