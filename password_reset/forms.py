"""The forms that people fill in."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.forms import SetPasswordForm as DjangoSetPasswordForm
from django.contrib.auth.password_validation import (
    CommonPasswordValidator,
    MinimumLengthValidator,
    NumericPasswordValidator,
    UserAttributeSimilarityValidator,
    get_default_password_validators,
)
from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator
from django.utils.deconstruct import deconstructible
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from . import codes, factors, second_factor
from .users import must_reset

#: RFC 5321 4.5.3.1.3: a path is at most 256 octets, two of which are its brackets.
EMAIL_LENGTH = 254
#: Django's own validators, for which the page has shorter words. A host's subclass
#: keeps its own.
RULE_KINDS = {
    MinimumLengthValidator: "length",
    UserAttributeSimilarityValidator: "similar",
    CommonPasswordValidator: "common",
    NumericPasswordValidator: "numeric",
}
#: The codes of their errors, by which a refused password marks its rules.
RULE_CODES = {
    "password_too_short": "length",
    "password_too_similar": "similar",
    "password_too_common": "common",
    "password_entirely_numeric": "numeric",
}
#: What the page's script can judge while somebody types.
JUDGED_KINDS = {"length", "numeric"}

CODE_SHAPE = _("The code has eight letters, such as BCDF-GHJK.")
NO_MORE_TRIES = _(
    "No code works here any more. Open the link in the email, or ask for another one."
)
FACTOR_MISSING = _("Enter your verification code.")
FACTOR_WRONG = _("This code is not right, too old, or used already. Enter another one.")


@deconstructible
class MailboxValidator(EmailValidator):
    """Accept what Django does and, as RFC 6531 allows, letters beyond ASCII before the
    @.
    """

    message = _("Enter an email address such as name@example.com.")
    user_regex = re.compile(
        r"[-!#$%&'*+/=?^_`{}|~0-9A-Za-z\u00a1-\U0010ffff]+(\.[-!#$%&'*+/=?^_`{}|~0-9A-Za-z\u00a1-\U0010ffff]+)*\Z"
    )

    def __call__(self, value: str | None) -> None:
        # Control, format and separator characters forge a line of a log or turn the
        # order of letters round; no mailbox has them.
        if not (value or "").isprintable():
            raise ValidationError(self.message, code=self.code)
        super().__call__(value)
        # Later code may normalise: what is valid must be so in that form too
        # (next-auth GHSA-7rqj).
        super().__call__(unicodedata.normalize("NFKC", value or ""))


class MailboxField(forms.EmailField):
    """One address of one mailbox."""

    default_validators = [MailboxValidator()]

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("max_length", EMAIL_LENGTH)
        super().__init__(**kwargs)


class PasswordResetForm(forms.Form):
    """Ask for an address. It looks no user up, so it reveals none."""

    email = MailboxField(
        label=_("Email address"),
        error_messages={"required": _("Enter your email address.")},
        widget=forms.EmailInput(
            attrs={
                "autocomplete": "email",
                "inputmode": "email",
                "autocapitalize": "none",
                "spellcheck": "false",
                "dir": "ltr",
            }
        ),
    )

    def __init__(self, data: Any = None, *args: Any, **kwargs: Any) -> None:
        self.repeated = (
            data is not None
            and hasattr(data, "getlist")
            and len(data.getlist("email")) > 1
        )
        super().__init__(data, *args, **kwargs)

    def clean_email(self) -> str:
        """Refuse a key that comes twice (GitLab CVE-2023-7028): which of the two is
        meant?
        """
        if self.repeated:
            raise ValidationError(_("Enter one email address."), code="repeated")
        email: str = self.cleaned_data["email"]
        return email


class CodeForm(forms.Form):
    """Type the code of an email; ``cleaned_data["code"]`` is its letters alone."""

    code = forms.CharField(
        label=_("Code from the email"),
        max_length=64,
        error_messages={
            "required": _("Enter the code from the email."),
            "max_length": CODE_SHAPE,
        },
        widget=forms.TextInput(
            attrs={
                "autocomplete": "one-time-code",
                "autocapitalize": "characters",
                "spellcheck": "false",
                "dir": "ltr",
            }
        ),
    )

    def __init__(self, data: Any = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(data, *args, **kwargs)
        if data is not None:
            # The page has no script for its form, and a field in error has the focus.
            self.fields["code"].widget.attrs["autofocus"] = True

    def clean_code(self) -> str:
        """Refuse what is no code at all: it counts as no try."""
        letters = codes.clean(self.cleaned_data["code"])
        if letters is None:
            raise ValidationError(CODE_SHAPE, code="shape")
        return letters

    def refuse(self, tries_left: int) -> None:
        """Say that the code opens nothing. The number of tries that are left is the
        same whether or not anybody has the address.
        """
        message = ngettext(
            "This is not the code in the newest email. You have %(count)d try left.",
            "This is not the code in the newest email. You have %(count)d tries left.",
            tries_left,
        )
        self.add_error(
            "code", message % {"count": tries_left} if tries_left else NO_MORE_TRIES
        )


class SecondFactorField(forms.CharField):
    """A code of an app, or a recovery code, which may have letters."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            label=_("Verification code"),
            max_length=factors.MAX_LENGTH,
            error_messages={"max_length": FACTOR_WRONG},
            widget=forms.TextInput(
                attrs={
                    "autocomplete": "one-time-code",
                    "inputmode": "text",
                    "autocapitalize": "none",
                    "spellcheck": "false",
                    "dir": "ltr",
                }
            ),
            **kwargs,
        )

    def validate(self, value: Any) -> None:
        """Leave a blank to ``SetPasswordForm.complain_of_code``, which says so beside
        whatever is wrong with the password.
        """


class SetPasswordForm(DjangoSetPasswordForm):  # type: ignore[type-arg]
    """Django's form, for its fields and the comparison of the two; the service
    validates and saves.
    """

    error_messages = {
        "password_mismatch": _(
            "The two passwords are not the same. Both fields are empty again."
        ),
        "password_once": _(
            "Enter the new password twice. Both fields are empty again."
        ),
        "password_again": _(
            "Enter the new password in both fields once more. They are empty again."
        ),
    }

    token = forms.CharField(widget=forms.HiddenInput, required=False)

    def __init__(self, user: AbstractBaseUser, *args: Any, **kwargs: Any) -> None:
        super().__init__(user, *args, **kwargs)
        first, second = self.fields["new_password1"], self.fields["new_password2"]
        attributes = _password_attributes(minimum_length())
        for field in (first, second):
            field.widget.attrs.update(attributes)
        first.label, second.label = _("New password"), _("New password once more")
        first.error_messages["required"] = _("Enter a new password.")
        # The page has the rules as a list; any text here makes Django name that list in
        # aria-describedby.
        first.help_text, second.help_text = " ", ""

    def validate_passwords(self, *args: Any, **kwargs: Any) -> None:
        """Put what is wrong with the second field on the first: both come back empty,
        and that one has to be filled in first.
        """
        super().validate_passwords(*args, **kwargs)
        differ = self.has_error("new_password2", "password_mismatch")
        code = "password_mismatch" if differ else "password_once"
        if self.errors.pop("new_password2", None) and not self.has_error(
            "new_password1"
        ):
            message = self.error_messages[code]
            self.add_error("new_password1", ValidationError(message, code=code))

    def validate_password_for_user(
        self, user: AbstractBaseUser, *args: Any, **kwargs: Any
    ) -> None:
        """Leave the validators to the service, so that one which asks a remote list
        asks it once.
        """

    def ask_second_factor(self, hint: str | None) -> None:
        """Add the field for a code, where there is something to type."""
        if hint is not None:
            self.fields["second_factor"] = SecondFactorField(help_text=hint)

    @property
    def typed_code(self) -> str:
        """The code as typed; nothing where none is asked."""
        code: str = self.cleaned_data.get("second_factor", "")
        return code

    def refuse_code(self) -> None:
        """Say that the code is missing or not right. The passwords come back empty, so
        they have to be typed again, and first.
        """
        if "second_factor" not in self.fields:
            # It was set up while the form was open.
            self.ask_second_factor(str(second_factor.HINT))
        if self.data.get(self.add_prefix("second_factor"), "").strip():
            self.add_error("second_factor", FACTOR_WRONG)
        if not self.has_error("new_password1"):
            message = self.error_messages["password_again"]
            error = ValidationError(message, code="password_again")
            self.add_error("new_password1", error)

    def complain_of_code(self) -> None:
        """Say that the code is missing, whatever else is wrong."""
        asked = "second_factor" in self.fields and not self.has_error("second_factor")
        if asked and not self.typed_code.strip():
            self.add_error("second_factor", FACTOR_MISSING)

    def refuse(self, error: ValidationError) -> None:
        """Add what the site's validators say, in the words of the page's rules."""
        rules = {rule.kind: rule for rule in password_rules() if rule.kind}
        for each in error.error_list:
            rule = rules.get(RULE_CODES.get(each.code or "", ""))
            said = ValidationError(rule.words, code=each.code) if rule else each
            self.add_error("new_password1", said)

    @property
    def is_first(self) -> bool:
        """Whether the account has never had a password of its own."""
        return not (self.user.has_usable_password() or must_reset(self.user))

    def rules(self) -> list[PasswordRule]:
        """Return the site's rules, with those marked that the password broke."""
        errors = self.errors.as_data().get("new_password1", [])
        return password_rules(RULE_CODES.get(error.code or "") for error in errors)


@dataclass(frozen=True)
class PasswordRule:
    """What one validator asks, in its own words and, for one of Django's, as a kind
    that the page knows.
    """

    kind: str
    text: str
    minimum: int | None = None
    is_broken: bool = False

    @property
    def is_judged(self) -> bool:
        """Return whether the page can judge it; otherwise saving does."""
        return self.kind in JUDGED_KINDS

    @property
    def words(self) -> str:
        """Return the rule in the page's words, the same before and after a refusal."""
        if self.kind == "length":
            return _length_in_words(self.minimum or 0)
        return {
            "numeric": gettext("Not only digits"),
            "similar": gettext("Nothing like your name or your email address"),
            "common": gettext("Not a password that many people use"),
        }.get(self.kind, self.text)


def password_rules(broken: Iterable[str | None] = ()) -> list[PasswordRule]:
    """Return what the site asks of a password, one rule for each validator that has
    words for it; those that the page can judge come first.
    """
    kinds = set(broken)
    rules = [
        _rule_of(validator, kinds) for validator in get_default_password_validators()
    ]
    return sorted(
        (rule for rule in rules if rule.text), key=lambda rule: not rule.is_judged
    )


def _rule_of(validator: Any, broken: set[str | None]) -> PasswordRule:
    kind = RULE_KINDS.get(type(validator), "")
    return PasswordRule(
        kind=kind,
        text=validator.get_help_text(),
        minimum=getattr(validator, "min_length", None),
        is_broken=kind in broken,
    )


def _length_in_words(minimum: int) -> str:
    return ngettext(
        "At least %(counter)s character", "At least %(counter)s characters", minimum
    ) % {"counter": minimum}


def minimum_length() -> int | None:
    """Return the shortest password, in characters, that the site's validators accept;
    ``None`` for no such rule.
    """
    lengths = [
        validator.min_length
        for validator in get_default_password_validators()
        if isinstance(validator, MinimumLengthValidator)
    ]
    return max(lengths, default=None)


def _password_attributes(length: int | None) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        "autocomplete": "new-password",
        "autocapitalize": "none",
        "spellcheck": "false",
    }
    if length is not None:
        attributes |= {"minlength": length, "passwordrules": f"minlength: {length};"}
    return attributes
