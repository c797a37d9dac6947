"""Whether each brand can be told apart and reached."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from itertools import groupby
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, router

from password_reset import brands
from password_reset.brands import OPTIONS, Brand, BrandSettings
from password_reset.conf import conf
from password_reset.models import PasswordResetRequest
from password_reset.visitors import accepts


def check_options(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """E002: an option of a brand has the wrong type or shape."""
    problems = {
        problem: None
        for own in _settings()
        for name in OPTIONS
        if name in own.options and (problem := _problem(own, OPTIONS[name]))
    }
    return [Error(problem, id="password_reset.E002") for problem in problems]


def check_option_names(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """E030: a brand has an option that nothing reads."""
    return [
        _unknown(own.key, str(name))
        for own in _settings()
        for name in own.options
        if name not in OPTIONS
    ]


def check_hosts(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """E031: two brands have the same host, so nobody knows whose a request is."""
    if conf_brand_of() is not None:
        return []
    by_host = sorted(present(), key=lambda brand: brand.host)
    groups = (list(group) for _host, group in groupby(by_host, lambda one: one.host))
    return [
        Error(
            f"The host {group[0].host} is of several brands: "
            f"{', '.join(map(called, group))}.",
            hint="Give each brand a BASE_URL of its own in PASSWORD_RESET_BRANDS; or "
            "set PASSWORD_RESET_BRAND_OF, where something else tells them apart.",
            id="password_reset.E031",
        )
        for group in groups
        if len(group) > 1
    ]


def check_brand_of(
    app_configs: Any, databases: Any = None, **kwargs: Any
) -> list[CheckMessage]:
    """E032: the links of a brand lead to a host that is another brand's, so they open
    nothing. With the database, which the host's function may ask.
    """
    chooser = conf_brand_of()
    usable = router.db_for_write(PasswordResetRequest) in (databases or ())
    if chooser is None or not usable:
        return []
    try:
        found = [(one, chooser(one.host) or brands.DEFAULT) for one in present()]
    except DatabaseError:  # not migrated yet
        return []
    return [
        Error(
            f"The links of {called(brand)} lead to {brand.host}, for which "
            f"PASSWORD_RESET_BRAND_OF returns {key!r}: they open nothing there.",
            hint="Let it return the key of the brand for the host of its BASE_URL.",
            id="password_reset.E032",
        )
        for brand, key in found
        if key != brand.key
    ]


def check_secure(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W030: the links of a brand show their token to everybody on the way."""
    return [
        Warning(
            f"The links of {called(brand)} are not encrypted: its BASE_URL does not "
            "begin with https.",
            hint="Serve the site over HTTPS and write its address with https.",
            id="password_reset.W030",
        )
        for brand in present()
        if brand.key and not settings.DEBUG and not brand.base_url.startswith("https:")
    ]


def check_allowed(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W035: the links of a brand lead to a host that this site refuses."""
    return [
        Warning(
            f"ALLOWED_HOSTS does not have {brand.host}, to which the links of "
            f"{called(brand)} lead.",
            hint=f"Add {brand.host!r} to ALLOWED_HOSTS.",
            id="password_reset.W035",
        )
        for brand in present()
        if brand.key
        and not brand.link_template
        and not settings.DEBUG
        and not accepts(brand.host)
    ]


def conf_brand_of() -> Any:
    """Return the host's function; ``None`` where it has none that can be used."""
    try:
        return conf.brand_of
    except ImproperlyConfigured:  # E002 says so
        return None


def _settings() -> Iterator[BrandSettings]:
    try:
        options = conf.brands
    except ImproperlyConfigured:  # E002 says so
        return
    for key, values in options.items():
        yield BrandSettings(key, values)


def present() -> list[Brand]:
    """Return the brands, with the default one, that can be read; none where there is
    only that.
    """
    keys = [own.key for own in _settings()]
    found = []
    for key in (brands.DEFAULT, *keys) if keys else ():
        try:
            found.append(brands.get(key))
        except ImproperlyConfigured:  # E001 or E002 says so
            continue
    return found


def called(brand: Brand) -> str:
    return f"the brand {brand.key!r}" if brand.key else "the default brand"


def inherits(brand: Brand, option: str) -> bool:
    return option not in conf.brands.get(brand.key, {})


def _problem(own: BrandSettings, name: str) -> str:
    try:
        getattr(own, name)
    except ImproperlyConfigured as error:
        return str(error)
    return ""


def _unknown(key: str, name: str) -> CheckMessage:
    nearest = get_close_matches(name.upper(), OPTIONS, n=1)
    return Error(
        f"PASSWORD_RESET_BRANDS[{key!r}] has {name!r}, which is no option of a brand.",
        hint=f"Did you mean {nearest[0]}?" if nearest else "See docs/settings.md.",
        id="password_reset.E030",
    )
