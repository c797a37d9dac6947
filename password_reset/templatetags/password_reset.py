"""What the templates of pages and emails use: durations in words, readable colours,
isolated left-to-right text.
"""

from __future__ import annotations

from datetime import datetime

from django import template
from django.urls import NoReverseMatch
from django.utils.dateformat import format as date_format
from django.utils.translation import get_language_bidi

from password_reset.conf import conf
from password_reset.durations import in_words, rounded_up
from password_reset.pages import Page, path_of
from password_reset.redirects import PREFILL_FIELD, with_next

register = template.Library()
register.filter(in_words)
register.filter(rounded_up)

FIRST_STRONG_ISOLATE, POP_ISOLATE = "\u2068", "\u2069"


@register.simple_tag
def app_name() -> str:
    """Return the name of the site."""
    return conf.app_name


@register.simple_tag
def support_url() -> str:
    """Return where people find help, or nothing."""
    return conf.support_url or ""


@register.simple_tag
def support_email() -> str:
    """Return the address at which people find help, or nothing."""
    return conf.support_email or ""


@register.simple_tag
def flow_url(page: str, next_url: str = "") -> str:
    """Return the path of a page of the flow, such as ``request`` or ``confirm``; where
    its visitor was goes with it.

    Empty where the host does not include it. Unlike ``{% url %}`` it never leads to
    another package's view of the same name.
    """
    try:
        return with_next(path_of(Page(page)), next_url) or ""
    except NoReverseMatch:
        return ""


@register.inclusion_tag("password_reset/forgot_button.html")
def forgot_password_button(
    field: str = "username", form: str = "", css_class: str = ""
) -> dict[str, str]:
    """Print the button of a log-in form that leads to the form for a forgotten password
    and takes along what is in a field of it, in no URL.

    Without JavaScript it sends the log-in form there. ``form`` is that form's id, where
    the button stands outside. Let it come after the form's own button: Enter presses
    the first. Prints nothing where the host does not include the flow.
    """
    return {
        "url": flow_url("request"),
        "name": PREFILL_FIELD,
        "field": field,
        "form": form,
        "css_class": css_class,
    }


@register.filter
def readable_on(colour: str) -> str:
    """Return black or white, whichever contrasts more with ``#rrggbb`` (WCAG 2 relative
    luminance).
    """
    channels = [
        int(colour.lstrip("#")[start : start + 2], 16) / 255 for start in (0, 2, 4)
    ]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in channels
    ]
    luminance = sum(
        weight * part
        for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True)
    )
    return "#000000" if luminance > 0.179 else "#ffffff"


@register.filter(expects_localtime=True)
def zone_name(moment: datetime) -> str:
    """Return the short name of a moment's time zone, such as ``CET``, or ``UTC+05:45``
    where the zone has none.
    """
    name = date_format(moment, "T")
    if name[:1] not in {"+", "-"}:
        return name
    return f"UTC{name[:3]}" + (f":{name[3:]}" if name[3:] else "")


@register.filter
def isolated(text: str) -> str:
    """Return a text that cannot disturb a right-to-left sentence around it, such as an
    address or a browser's name.
    """
    return (
        f"{FIRST_STRONG_ISOLATE}{text}{POP_ISOLATE}"
        if text and get_language_bidi()
        else text
    )
