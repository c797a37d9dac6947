"""The two forms that people fill in."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from django import forms
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.forms import SetPasswordForm as DjangoSetPasswordForm
from django.contrib.auth.password_validation import MinimumLengthValidator, get_default_password_validators
from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator
from django.utils.deconstruct import deconstructible
from django.utils.translation import gettext_lazy as _

#: RFC 5321 4.5.3.1.3: a path is at most 256 octets, two of which are its brackets.
EMAIL_LENGTH = 254


@deconstructible
class MailboxValidator(EmailValidator):
    """Accept what Django does and, as RFC 6531 allows, letters beyond ASCII before the @."""

    message = _("Enter an email address such as name@example.com.")
    user_regex = re.compile(
        r"[-!#$%&'*+/=?^_`{}|~0-9A-Za-z\u00a1-\U0010ffff]+(\.[-!#$%&'*+/=?^_`{}|~0-9A-Za-z\u00a1-\U0010ffff]+)*\Z"
    )

    def __call__(self, value: str | None) -> None:
        super().__call__(value)
        # Some later hand may normalise: what is valid must be so in that form too (next-auth GHSA-7rqj).
        super().__call__(unicodedata.normalize("NFKC", value or ""))


class MailboxField(forms.EmailField):
    """One address of one mailbox."""

    default_validators = [MailboxValidator()]

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("max_length", EMAIL_LENGTH)
        super().__init__(**kwargs)


class PasswordResetForm(forms.Form):
    """Ask for an address. It knows of no user, so it can tell of none."""

    email = MailboxField(
        label=_("Email address"),
        error_messages={"required": _("Enter your email address.")},
        widget=forms.EmailInput(attrs={"autocomplete": "email", "autocapitalize": "none", "spellcheck": "false"}),
    )

    def __init__(self, data: Any = None, *args: Any, **kwargs: Any) -> None:
        self.repeated = data is not None and hasattr(data, "getlist") and len(data.getlist("email")) > 1
        super().__init__(data, *args, **kwargs)

    def clean_email(self) -> str:
        """Refuse a key that comes twice (GitLab CVE-2023-7028): which of the two is meant?"""
        if self.repeated:
            raise ValidationError(_("Enter one email address."), code="repeated")
        email: str = self.cleaned_data["email"]
        return email


class SetPasswordForm(DjangoSetPasswordForm):  # type: ignore[type-arg]
    """Django's form, for its fields and the comparison of the two; the service validates and saves."""

    token = forms.CharField(widget=forms.HiddenInput, required=False)

    def __init__(self, user: AbstractBaseUser, *args: Any, **kwargs: Any) -> None:
        super().__init__(user, *args, **kwargs)
        length = minimum_length()
        for name in ("new_password1", "new_password2"):
            self.fields[name].widget.attrs.update(_password_attributes(length))

    def validate_password_for_user(self, user: AbstractBaseUser, *args: Any, **kwargs: Any) -> None:
        """Leave the validators to the service, so that one which asks a remote list asks it once."""


def minimum_length() -> int | None:
    """Return the shortest password, in characters, that the site's validators accept; ``None`` for no such rule."""
    lengths = [
        validator.min_length
        for validator in get_default_password_validators()
        if isinstance(validator, MinimumLengthValidator)
    ]
    return max(lengths, default=None)


def _password_attributes(length: int | None) -> dict[str, Any]:
    if length is None:
        return {"autocomplete": "new-password"}
    return {"autocomplete": "new-password", "minlength": length, "passwordrules": f"minlength: {length};"}
