"""Whether the emails of each brand are believed, and its pages read."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import global_settings, settings
from django.core.checks import CheckMessage, Warning
from django.template import TemplateDoesNotExist
from django.template.loader import get_template

from password_reset import colours
from password_reset.brands import Brand

from .brands import called, inherits, present

TEMPLATES = Path(__file__).parent.parent / "templates"


def check_senders(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W031: the emails of a brand come from another one's address."""
    default = global_settings.DEFAULT_FROM_EMAIL
    return [
        Warning(
            f"The emails of {called(brand)} are sent from {brand.from_email}, the "
            "sender of the default brand.",
            hint="Set its FROM_EMAIL in PASSWORD_RESET_BRANDS, to an address of its "
            "own domain; or to this one, where that is meant.",
            id="password_reset.W031",
        )
        for brand in present()
        if not settings.DEBUG
        and (inherits(brand, "FROM_EMAIL") or brand.from_email == default)
        and brand.key
    ]


def check_colours(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W032: links and buttons in the colour of a brand cannot be read."""
    found = []
    for brand in present():
        surfaces = [("BRAND_COLOR", brand.color, colours.LIGHT_SURFACE, "light")]
        if brand.color_dark:
            dark = ("BRAND_COLOR_DARK", brand.color_dark, colours.DARK_SURFACE, "dark")
            surfaces.append(dark)
        if brand.colors_pages or brand.color_dark:
            found += [
                _unreadable(brand, *each)
                for each in surfaces
                if colours.contrast(each[1], each[2]) < colours.ENOUGH
            ]
    return found


def check_folders(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W033: the folder of a brand has no template that this app looks for."""
    return [
        Warning(
            f"No template of this app is in the folder {brand.templates!r} of "
            f"{called(brand)}.",
            hint="Put them beside your other templates, such as "
            f"'{brand.templates}/password_reset/base.html'.",
            id="password_reset.W033",
        )
        for brand in present()
        if brand.templates and not any(map(_exists, _names(brand.templates)))
    ]


def check_link_templates(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W034: the links of a brand lead to the single-page client of the default one."""
    return [
        Warning(
            f"The links of {called(brand)} lead to the page of the default brand's "
            f"client, {urlsplit(brand.link_template).netloc}, where they do not open.",
            hint="Set its LINK_TEMPLATE in PASSWORD_RESET_BRANDS: to a page of its "
            "own, or to None for the pages of this app.",
            id="password_reset.W034",
        )
        for brand in present()
        if brand.link_template and brand.key and inherits(brand, "LINK_TEMPLATE")
    ]


def _unreadable(
    brand: Brand, option: str, colour: str, surface: str, mode: str
) -> CheckMessage:
    found = colours.contrast(colour, surface)
    shade = colours.readable_shade(colour, surface)
    return Warning(
        f"{option} {colour} of {called(brand)} cannot be read on {mode} pages: its "
        f"contrast with {surface} is {found:.1f} to 1.",
        hint=f"4.5 to 1 is needed (WCAG 2, 1.4.3); {shade} has it.",
        id="password_reset.W032",
    )


def _names(folder: str) -> list[str]:
    files = (TEMPLATES / "password_reset").rglob("*.*")
    return [f"{folder}/{file.relative_to(TEMPLATES).as_posix()}" for file in files]


def _exists(name: str) -> bool:
    try:
        get_template(name)
    except TemplateDoesNotExist:
        return False
    return True
