"""What the templates of pages and emails use: durations in words, readable colours,
isolated left-to-right text.
"""

from __future__ import annotations

from datetime import datetime

from django import template
from django.forms import Form
from django.template import Context
from django.urls import NoReverseMatch
from django.utils.dateformat import format as date_format
from django.utils.translation import get_language_bidi

from password_reset import brands
from password_reset.brands import Brand
from password_reset.colours import readable_on
from password_reset.durations import in_words, rounded_up
from password_reset.pages import Page, path_of
from password_reset.redirects import PREFILL_FIELD, with_next
from password_reset.visitors import brand_of

register = template.Library()
register.filter(in_words)
register.filter(rounded_up)
register.filter(readable_on)

FIRST_STRONG_ISOLATE, POP_ISOLATE = "\u2068", "\u2069"


@register.simple_tag(takes_context=True)
def app_name(context: Context) -> str:
    """Return the name of the site, or of the brand that a page or email is of."""
    return _brand(context).name


@register.simple_tag(takes_context=True)
def support_url(context: Context) -> str:
    """Return where people find help, or nothing."""
    return _brand(context).support_url or ""


@register.simple_tag(takes_context=True)
def support_email(context: Context) -> str:
    """Return the address at which people find help, or nothing."""
    return _brand(context).support_email or ""


@register.simple_tag(takes_context=True)
def brand_style(context: Context) -> str:
    """Return the address of the brand's style sheet, which changes with its colours;
    nothing where it has none.
    """
    brand = _brand(context)
    address = flow_url(Page.STYLE) if brand.colors_pages else ""
    colors = f"{brand.color}{brand.color_dark or ''}".replace("#", "")
    return f"{address}?{colors}" if address else ""


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


@register.simple_tag
def colon() -> str:
    """Return what follows a label in the reader's language: a colon, in French after a
    no-break space. Django's catalogue has it, as the suffix of its labels.
    """
    return Form().label_suffix


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


def _brand(context: Context) -> Brand:
    """Return the brand of a page or email. The site's own pages, which may use these
    tags too, are of the brand of their host.
    """
    brand = context.get("brand")
    if isinstance(brand, Brand):
        return brand
    request = context.get("request")
    return brands.get(brands.DEFAULT) if request is None else brand_of(request)
