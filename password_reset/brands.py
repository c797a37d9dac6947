"""Brands: several sites in one process, each with its own name, address, sender and
look.

The flat settings are the default brand, whose key is empty. What a brand does not set
is the default's. A request only chooses among the brands of the settings: no text of
it reaches an email.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured
from django.db.models import Q
from django.utils.encoding import punycode

from .conf import COLOUR, PREFIX, Settings, conf

__all__ = ["DEFAULT", "Brand"]

logger = logging.getLogger("password_reset")

#: The key of the default brand.
DEFAULT = ""

#: Options without a flat setting.
OF_BRANDS_ALONE = frozenset({"BRAND_COLOR_DARK", "LOGIN_URL", "SITE_ID", "TEMPLATES"})


@dataclass(frozen=True)
class Brand:
    """All that views, templates and emails know of the site that they speak for."""

    #: Its key in ``PASSWORD_RESET_BRANDS``; empty for the default brand.
    key: str
    name: str
    #: Scheme and host, and a script prefix, without a trailing slash.
    base_url: str
    #: Sender of the emails.
    from_email: str
    #: Of the emails' head and button, as ``#rrggbb``.
    color: str
    support_url: str | None = None
    support_email: str | None = None
    #: Link of a single-page client with one ``{token}``.
    link_template: str | None = None
    #: Where to log in: a URL, a path or the name of a URL pattern; ``None`` for
    #: Django's ``LOGIN_URL``.
    login_url: str | None = None
    #: Folder whose templates come before those of the same name elsewhere.
    templates: str = ""
    #: Whether the brand has a colour of its own, which its pages show too.
    colors_pages: bool = False
    #: That of dark pages; ``None`` for a shade of the other.
    color_dark: str | None = None

    @property
    def host(self) -> str:
        """Host of the base URL, in small letters and ASCII, without a port."""
        return host_of(self.base_url)


class BrandSettings(Settings):
    """The settings of one brand: its own options before the flat ones, read and checked
    in the same way.
    """

    def __init__(self, key: str, options: Mapping[str, Any]) -> None:
        self.key, self.options = key, options

    @property
    def brand_color_dark(self) -> str | None:
        """Colour of the brand on dark pages, as ``#rrggbb``."""
        color = self._optional_text("BRAND_COLOR_DARK")
        if color is not None and not COLOUR.fullmatch(color):
            raise self._wrong("BRAND_COLOR_DARK", "a colour such as '#86d3c6'")
        return color

    @property
    def login_url(self) -> str | None:
        """URL, path or URL name of the brand's log-in page."""
        return self._optional_text("LOGIN_URL")

    @property
    def templates(self) -> str:
        """Folder of templates, relative to where the site's templates are."""
        folder = self._optional_text("TEMPLATES") or ""
        if folder.startswith("/") or ".." in folder.split("/"):
            raise self._wrong("TEMPLATES", "a folder among your templates: 'plum'")
        return folder.strip("/")

    @property
    def site_id(self) -> int | None:
        """Key of the brand's site in ``django.contrib.sites``."""
        value = self._get("SITE_ID", None)
        if value is not None and not isinstance(value, int):
            raise self._wrong("SITE_ID", "the number of a site")
        return value

    def _get(self, name: str, default: Any) -> Any:
        if name in self.options or name in OF_BRANDS_ALONE:
            return self.options.get(name, default)
        return super()._get(name, default)

    def _wrong(self, name: str, expected: str) -> ImproperlyConfigured:
        if name not in self.options:
            return super()._wrong(name, expected)
        place = f"{PREFIX}BRANDS[{self.key!r}][{name!r}]"
        return ImproperlyConfigured(f"{place} must be {expected}.")


#: What a brand may set, and the property that reads it.
OPTIONS = {
    "APP_NAME": "app_name",
    "BASE_URL": "base_url",
    "BRAND_COLOR": "brand_color",
    "BRAND_COLOR_DARK": "brand_color_dark",
    "FROM_EMAIL": "from_email",
    "LINK_TEMPLATE": "link_template",
    "LOGIN_URL": "login_url",
    "SITE_ID": "site_id",
    "SUPPORT_EMAIL": "support_email",
    "SUPPORT_URL": "support_url",
    "TEMPLATES": "templates",
}
#: Unknown keys that the log has named.
_named: set[str] = set()


def get(key: str) -> Brand:
    """Return the brand of a key, and the default brand for one that is unknown."""
    key = known(key)
    return _brand(key, conf.brands.get(key, {}))


def known(key: str) -> str:
    """Return a key as it counts. One that is unknown, such as that of a row whose brand
    has left the settings, is of the default brand, and a line in the log says so.
    """
    if not key or key in conf.brands:
        return key
    if key not in _named:  # once, however many rows are of it
        _named.add(key)
        logger.warning(
            "The brand %r is not in PASSWORD_RESET_BRANDS: it is the default brand", key
        )
    return DEFAULT


def key_of(host: str) -> str:
    """Return the key of the brand of a host name, which is one that the site accepts;
    that of the default brand for any other.
    """
    brands = conf.brands
    if not brands:
        return DEFAULT
    chooser = conf.brand_of
    try:
        key = chooser(host) if chooser else _by_base_url(host, brands)
    except Exception:
        logger.exception("PASSWORD_RESET_BRAND_OF failed: the default brand is used")
        key = DEFAULT
    return known(key) if isinstance(key, str) else DEFAULT


def belongs_to(key: str) -> Q:
    """Return the condition for rows of a brand. Those whose brand has left the settings
    belong to the default one.
    """
    brands = conf.brands
    if key in brands:
        return Q(brand=key)
    return ~Q(brand__in=list(brands)) if brands else Q()


def fields(key: str) -> dict[str, str]:
    """Return what a line of the log says of a brand: nothing of the default one."""
    return {"brand": key} if key else {}


def host_of(url: str) -> str:
    """Return the host of a URL in the form in which browsers name it."""
    return punycode(urlsplit(url).hostname or "")


def _by_base_url(host: str, brands: Mapping[str, Mapping[str, Any]]) -> str:
    for key, options in brands.items():
        url = options.get("BASE_URL")
        if url and host_of(str(url)) == host:
            return key
    return DEFAULT


def _brand(key: str, options: Mapping[str, Any]) -> Brand:
    own = BrandSettings(key, options)
    return Brand(
        key=key,
        name=own.app_name,
        base_url=own.base_url,
        from_email=own.from_email,
        color=own.brand_color,
        support_url=own.support_url,
        support_email=own.support_email,
        link_template=own.link_template,
        login_url=own.login_url,
        templates=own.templates,
        colors_pages=bool(options.get("BRAND_COLOR")),
        color_dark=own.brand_color_dark,
    )
