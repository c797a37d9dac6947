"""The settings of this app: one typed property each, read on access."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta, tzinfo
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.core import mail
from django.core.exceptions import (
    FieldDoesNotExist,
    ImproperlyConfigured,
    ValidationError,
)
from django.core.validators import validate_email
from django.utils.functional import Promise
from django.utils.module_loading import import_string

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

#: Their stubs know neither ``is_overridden`` nor what other versions have.
settings: Any = django_settings

PREFIX = "PASSWORD_RESET_"
DEVELOPMENT_URL = "http://127.0.0.1:8000"
#: A Unix-socket peer has no address: REMOTE_ADDR is empty.
UNIX_SOCKET = "unix"
BRAND_KEY = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
RATE = re.compile(r"([1-9][0-9]{0,6})/([1-9][0-9]{0,6})?([smhd])")
UNSET = object()
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

type_user_finder = Callable[[str], Iterable["AbstractBaseUser"]]
#: Makes a ``challenge.Challenge``.
type_challenge = Callable[[], Any]
#: Makes a ``second_factor.SecondFactor``.
type_second_factor = Callable[[], Any]
type_login_providers = Callable[["AbstractBaseUser"], Iterable[str]]
type_previous_address = Callable[["AbstractBaseUser"], str | None]
type_time_zone_of = Callable[["AbstractBaseUser"], tzinfo | str | None]
#: What a brand is chosen by: a host name that the site accepts.
type_brand_of = Callable[[str], str | None]
type_mail_hook = Callable[..., Any]
#: What an account without a password is answered.
WITHOUT_PASSWORD = ("explain", "invite", "silent")
Network = IPv4Network | IPv6Network


_network = lru_cache(maxsize=64)(ip_network)


def seconds_of(rate: str) -> int:
    """Return the length of a rate's window."""
    match = RATE.fullmatch(rate)
    return int(match[2] or 1) * SECONDS[match[3]] if match else 0


def _times(rate: str, factor: float) -> str:
    """Return a rate of so many times the number, rounded up."""
    number, _slash, period = rate.partition("/")
    return f"{math.ceil(int(number) * factor)}/{period}"


class Settings:
    """Read the ``PASSWORD_RESET_*`` settings of the host.

    Every property raises ``ImproperlyConfigured``, naming the setting, when the host's
    value has the wrong type or shape.
    """

    @property
    def base_url(self) -> str:
        """Scheme and host that every link in an email begins with, without a trailing
        slash.
        """
        default = DEVELOPMENT_URL if settings.DEBUG else None
        url = self._text("BASE_URL", default).rstrip("/")
        parts = urlsplit(url)
        if (
            parts.scheme not in {"http", "https"}
            or not parts.hostname
            or parts.query
            or parts.fragment
        ):
            raise self._wrong(
                "BASE_URL", "an absolute http(s) URL such as https://example.com"
            )
        return url

    @property
    def link_template(self) -> str | None:
        """Link of a single-page client with one ``{token}``; ``None`` for this app's
        own page.
        """
        template = self._get("LINK_TEMPLATE", None)
        if template is None:
            return None
        if (
            not isinstance(template, str)
            or template.count("{token}") != 1
            or template.count("{") > 1
        ):
            raise self._wrong(
                "LINK_TEMPLATE",
                "a URL with {token} in it, exactly once and no other braces",
            )
        return template

    @property
    def enabled(self) -> bool:
        """Whether the flow is switched on."""
        return self._flag("ENABLED", True)

    @property
    def codes(self) -> bool:
        """Whether emails also carry a code, to type where the request was made."""
        return self._flag("CODES", False)

    @property
    def token_lifetime(self) -> timedelta:
        """How long a link works from the moment it is made."""
        return self._duration(
            "TOKEN_LIFETIME", timedelta(hours=1), minimum=timedelta(seconds=1)
        )

    @property
    def invitation_lifetime(self) -> timedelta:
        """How long the link of an invitation works from the moment it is made."""
        return self._duration(
            "INVITATION_LIFETIME", timedelta(days=7), minimum=timedelta(seconds=1)
        )

    @property
    def forced_reset_lifetime(self) -> timedelta:
        """How long the link works that goes to people whose password the site has
        ended: nobody waits for that email.
        """
        return self._duration(
            "FORCED_RESET_LIFETIME", timedelta(days=1), minimum=timedelta(seconds=1)
        )

    @property
    def request_rate_per_ip(self) -> tuple[str, ...]:
        """Requests accepted from one client network, as windows such as ``3/h``."""
        return self._rates("REQUEST_RATE_PER_IP", "3/h")

    @property
    def request_rate_per_ipv4_24(self) -> tuple[str, ...]:
        """Requests accepted from one IPv4 /24; twenty times those of an address."""
        return self._rates("REQUEST_RATE_PER_IPV4_24", self._times(20))

    @property
    def request_rate_per_ipv6_56(self) -> tuple[str, ...]:
        """Requests accepted from one IPv6 /56; four times those of a /64."""
        return self._rates("REQUEST_RATE_PER_IPV6_56", self._times(4))

    @property
    def request_rate_per_ipv6_48(self) -> tuple[str, ...]:
        """Requests accepted from one IPv6 /48; twenty times those of a /64."""
        return self._rates("REQUEST_RATE_PER_IPV6_48", self._times(20))

    @property
    def request_rate_per_email(self) -> tuple[str, ...]:
        """Emails that anybody may ask for to one address; several windows, since 3 an
        hour alone is 72 a day.
        """
        return self._rates("REQUEST_RATE_PER_EMAIL", "3/h 10/d")

    @property
    def request_rate_per_ip_and_email(self) -> tuple[str, ...]:
        """Requests of one network for one address: its share of the address' emails.

        By default all of the shortest window and half of each longer one.
        """
        rates = sorted(self.request_rate_per_email, key=seconds_of)
        shares = rates[:1] + [_times(rate, 0.5) for rate in rates[1:]]
        return self._rates("REQUEST_RATE_PER_IP_AND_EMAIL", " ".join(shares) or None)

    @property
    def request_rate_reserved(self) -> tuple[str, ...]:
        """Emails to one address beyond those of ``request_rate_per_email``, kept for
        networks that have not asked for it today.
        """
        return self._rates("REQUEST_RATE_RESERVED", "2/h 5/d")

    @property
    def request_rate_per_device(self) -> tuple[str, ...]:
        """Requests from the browsers that have logged in to one account before."""
        return self._rates("REQUEST_RATE_PER_DEVICE", self._like_email())

    @property
    def staff_rate_per_email(self) -> tuple[str, ...]:
        """Emails to one address that staff may send."""
        return self._rates("STAFF_RATE_PER_EMAIL", self._like_email())

    @property
    def challenge_rate_per_ip(self) -> tuple[str, ...]:
        """Soft limit: requests of one client network without a proof; none by
        default.
        """
        return self._rates("CHALLENGE_RATE_PER_IP", None)

    @property
    def challenge_rate_per_site(self) -> tuple[str, ...]:
        """Soft limit: requests of everybody without a proof; none by default."""
        return self._rates("CHALLENGE_RATE_PER_SITE", None)

    @property
    def device_cookie_age(self) -> timedelta:
        """How long after a log-in a browser is recognised."""
        return self._duration(
            "DEVICE_COOKIE_AGE", timedelta(days=90), minimum=timedelta(seconds=1)
        )

    @property
    def confirm_rate_per_ip(self) -> tuple[str, ...]:
        """Attempts at spending a link from one client network."""
        return self._rates("CONFIRM_RATE_PER_IP", "5/m")

    @property
    def trusted_proxies(self) -> tuple[Network | str, ...]:
        """Networks whose ``X-Forwarded-For`` is believed; ``unix`` stands for a
        Unix-socket peer.
        """
        entries = self._get("TRUSTED_PROXIES", ())
        if isinstance(entries, str) or not isinstance(entries, Sequence):
            raise self._wrong(
                "TRUSTED_PROXIES", "a list of networks such as ['10.0.0.0/8', 'unix']"
            )
        try:
            return tuple(
                entry if entry == UNIX_SOCKET else _network(entry) for entry in entries
            )
        except (TypeError, ValueError) as error:
            raise self._wrong(
                "TRUSTED_PROXIES", f"a list of networks ({error})"
            ) from error

    @property
    def challenge(self) -> type_challenge | None:
        """What makes the proofs that a form asks for above a soft limit; ``None`` for
        refusals alone.
        """
        maker = self._get("CHALLENGE", None)
        if maker is None:
            return None
        found: type_challenge = self._callable("CHALLENGE", maker)
        return found

    @property
    def second_factor(self) -> type_second_factor | None:
        """What makes the adapter of the second factor that a reset asks for; ``None``
        where the link alone is enough.
        """
        maker = self._get("SECOND_FACTOR", None)
        if maker is None:
            return None
        found: type_second_factor = self._callable("SECOND_FACTOR", maker)
        return found

    @property
    def second_factor_rate(self) -> tuple[str, ...]:
        """Codes of a second factor that are taken for one account, whatever the
        link.
        """
        return self._rates("SECOND_FACTOR_RATE", "5/h 10/d")

    @property
    def change_password_url(self) -> str | None:
        """URL, path or URL name of the host's page to change a password, as
        ``LOGIN_URL`` is one.
        """
        target = self._get("CHANGE_PASSWORD_URL", None)
        if target is None:
            return None
        if not isinstance(target, str | Promise) or not str(target):
            raise self._wrong(
                "CHANGE_PASSWORD_URL", "a URL, a path or the name of a URL pattern"
            )
        return str(target)

    @property
    def app_name(self) -> str:
        """Name of the site in pages and emails; the host of the base URL by default."""
        return self._text("APP_NAME", urlsplit(self.base_url).hostname)

    @property
    def brand_color(self) -> str:
        """Colour of the head and button of emails, as ``#rrggbb``."""
        color = self._text("BRAND_COLOR", "#14504f")
        if not COLOUR.fullmatch(color):
            raise self._wrong("BRAND_COLOR", "a colour such as '#14504f'")
        return color

    @property
    def from_email(self) -> str:
        """Sender of the emails."""
        return self._text("FROM_EMAIL", settings.DEFAULT_FROM_EMAIL)

    @property
    def support_url(self) -> str | None:
        """Page of the site where people find help; pages and emails link to it."""
        url = self._optional_text("SUPPORT_URL")
        if url and not _is_web_address(url):
            raise self._wrong(
                "SUPPORT_URL",
                "an absolute http(s) URL such as https://example.com/help",
            )
        return url

    @property
    def support_email(self) -> str | None:
        """Address at which people find help; pages and emails name it."""
        address = self._optional_text("SUPPORT_EMAIL")
        if address:
            try:
                validate_email(address)
            except ValidationError as error:
                raise self._wrong(
                    "SUPPORT_EMAIL", "an address such as 'help@example.com'"
                ) from error
        return address

    @property
    def brands(self) -> Mapping[str, Mapping[str, Any]]:
        """Options of the brands beside the default one, by key. Each option has the
        name of the flat setting that stands in for it.
        """
        brands = self._get("BRANDS", {})
        if not isinstance(brands, Mapping) or not all(
            isinstance(key, str)
            and BRAND_KEY.fullmatch(key)
            and isinstance(options, Mapping)
            for key, options in brands.items()
        ):
            raise self._wrong(
                "BRANDS",
                "a dict of dicts, whose keys have up to 32 of a-z, 0-9, - and _",
            )
        return brands

    @property
    def brand_of(self) -> type_brand_of | None:
        """Callable that returns the key of the brand of a host name; ``None`` for the
        brand whose base URL has that host.
        """
        found: type_brand_of | None = self._optional_callable("BRAND_OF")
        return found

    @property
    def mail_context(self) -> type_mail_hook | None:
        """Callable that returns what else the templates of emails get."""
        found: type_mail_hook | None = self._optional_callable("MAIL_CONTEXT")
        return found

    @property
    def mail_message(self) -> type_mail_hook | None:
        """Callable that has the last touch on an email."""
        found: type_mail_hook | None = self._optional_callable("MAIL_MESSAGE")
        return found

    @property
    def token_retention(self) -> timedelta:
        """How long a dead token's row is kept before the purge takes it."""
        return self._duration("TOKEN_RETENTION", timedelta(0))

    @property
    def request_retention(self) -> timedelta:
        """How long a settled request is kept for support to read."""
        return self._duration("REQUEST_RETENTION", timedelta(days=30))

    @property
    def unmailed_retention(self) -> timedelta:
        """How long a settled request that mailed nobody is kept: anybody can make
        those.
        """
        return self._duration("UNMAILED_RETENTION", timedelta(days=3))

    @property
    def task_backend(self) -> str | None:
        """Alias in ``TASKS`` that wakes a worker; ``None`` where none is woken by it:
        cron, a loop or the embedded worker does the work.
        """
        alias = self._get(
            "TASK_BACKEND", None if self.has_embedded_worker() else "default"
        )
        if alias is not None and (not isinstance(alias, str) or not alias):
            raise self._wrong("TASK_BACKEND", "an alias of TASKS, or None")
        return alias

    @property
    def user_finder(self) -> type_user_finder:
        """Callable that maps an address to the users whose password may be reset."""
        finder = self._get("USER_FINDER", "password_reset.users.find_users")
        found: type_user_finder = self._callable("USER_FINDER", finder)
        return found

    @property
    def accounts_without_password(self) -> str:
        """What the owner of an account without a usable password is sent: how to log in
        (``explain``), a link that sets a first password (``invite``), or nothing
        (``silent``).
        """
        value = self._get("ACCOUNTS_WITHOUT_PASSWORD", WITHOUT_PASSWORD[0])
        if value not in WITHOUT_PASSWORD:
            raise self._wrong(
                "ACCOUNTS_WITHOUT_PASSWORD", "'explain', 'invite' or 'silent'"
            )
        return str(value)

    @property
    def login_providers(self) -> type_login_providers:
        """Callable that names by what a user without a password logs in."""
        found: type_login_providers = self._callable(
            "LOGIN_PROVIDERS",
            self._get("LOGIN_PROVIDERS", "password_reset.providers.social_accounts"),
        )
        return found

    @property
    def previous_address(self) -> type_previous_address | None:
        """Callable that returns the address that a user had before a recent change;
        ``None`` where the host keeps none.
        """
        hook = self._get("PREVIOUS_ADDRESS", None)
        if hook is None:
            return None
        found: type_previous_address = self._callable("PREVIOUS_ADDRESS", hook)
        return found

    @property
    def login_field(self) -> str | None:
        """Field of the user model that holds what people type to log in; ``None`` for
        its ``USERNAME_FIELD``.
        """
        name = self._optional_text("LOGIN_FIELD")
        if name:
            try:
                get_user_model()._meta.get_field(name)
            except FieldDoesNotExist as error:
                raise self._wrong(
                    "LOGIN_FIELD", "a field of the user model, such as 'email'"
                ) from error
        return name

    @property
    def time_zone_of(self) -> type_time_zone_of | None:
        """Callable that names the time zone of a user, for the times in emails;
        ``None`` where all are told the site's.
        """
        hook = self._get("TIME_ZONE_OF", None)
        if hook is None:
            return None
        found: type_time_zone_of = self._callable("TIME_ZONE_OF", hook)
        return found

    @property
    def revokers(self) -> tuple[str | Callable[[Any], int], ...]:
        """What else a reset ends, beside the built-in revokers: dotted paths or model
        labels.
        """
        entries = self._get("REVOKERS", ())
        if isinstance(entries, str) or not isinstance(entries, Sequence):
            raise self._wrong("REVOKERS", "a list of dotted paths or model labels")
        return tuple(entries)

    def has_embedded_worker(self) -> bool:
        """Whether a thread of the web process does the work: the host chose nothing.

        Tests are the exception, since Django's default back end fills their outbox.
        """
        chosen = map(settings.is_overridden, ("TASKS", f"{PREFIX}TASK_BACKEND"))
        return not any(chosen) and not hasattr(mail, "outbox")

    def _get(self, name: str, default: Any) -> Any:
        return getattr(settings, PREFIX + name, default)

    def _text(self, name: str, default: str | None) -> str:
        value = self._get(name, None) or default
        if not isinstance(value, str) or not value:
            raise self._wrong(name, "a text that is not empty")
        return value

    def _optional_text(self, name: str) -> str | None:
        return None if self._get(name, None) is None else self._text(name, None)

    def _flag(self, name: str, default: bool) -> bool:
        value = self._get(name, default)
        if not isinstance(value, bool):
            raise self._wrong(name, "True or False")
        return value

    def _duration(
        self, name: str, default: timedelta, minimum: timedelta = timedelta(0)
    ) -> timedelta:
        value = self._get(name, default)
        if not isinstance(value, timedelta) or value < minimum:
            raise self._wrong(
                name, f"a timedelta of at least {minimum.total_seconds():g} seconds"
            )
        return value

    def _times(self, factor: int) -> str | None:
        """Return so many times ``request_rate_per_ip``, as a default for wider
        networks: who raises the one means the others too.
        """
        rates = [_times(rate, factor) for rate in self.request_rate_per_ip]
        return " ".join(rates) or None

    def _like_email(self) -> str | None:
        return " ".join(self.request_rate_per_email) or None

    def _rates(self, name: str, default: str | None) -> tuple[str, ...]:
        value = self._get(name, UNSET)
        if value is UNSET:
            return tuple((default or "").split())
        if value is None:
            return ()
        rates = tuple(value.split()) if isinstance(value, str) else ()
        if not rates or not all(RATE.fullmatch(rate) for rate in rates):
            raise self._wrong(
                name, "windows such as '3/h 10/d' (s, m, h or d), or None for no limit"
            )
        return rates

    def _callable(self, name: str, value: Any) -> Any:
        try:
            found = import_string(value) if isinstance(value, str) else value
        except ImportError as error:
            raise self._wrong(name, f"importable ({error})") from error
        if not callable(found):
            raise self._wrong(name, "a callable or a dotted path to one")
        return found

    def _optional_callable(self, name: str) -> Any:
        value = self._get(name, None)
        return None if value is None else self._callable(name, value)

    def _wrong(self, name: str, expected: str) -> ImproperlyConfigured:
        return ImproperlyConfigured(f"{PREFIX}{name} must be {expected}.")


def _is_web_address(url: str) -> bool:
    parts = urlsplit(url)
    known = parts.scheme in {"http", "https"} and bool(parts.hostname)
    return known and url.isprintable() and " " not in url


conf = Settings()
