"""Where the pages of the flow are, whatever else the host includes.

Names such as ``password_reset`` belong to Django's own flow too, and ``reverse`` takes
the last include that has one. So pages are found by their view, never by a name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from functools import lru_cache
from typing import Any
from urllib.parse import unquote, urlsplit

from django.conf import global_settings, settings
from django.shortcuts import resolve_url
from django.urls import (
    NoReverseMatch,
    Resolver404,
    ResolverMatch,
    URLPattern,
    URLResolver,
    get_resolver,
    get_script_prefix,
    get_urlconf,
    resolve,
    reverse,
)
from django.utils import translation

from .brands import Brand
from .conf import conf

#: What is answered here is answered everywhere: a catch-all, such as Wagtail's or that
#: of flatpages, which says only when it is asked whether there is a page.
NO_PAGE = "/no-site-has/this-page/"


class Page(StrEnum):
    """The pages that others lead to; a view says which one it is as ``flow_page``."""

    REQUEST = "request"
    DONE = "done"
    CODE = "code"
    CONFIRM = "confirm"
    COMPLETE = "complete"
    DISOWN = "disown"
    STYLE = "style"
    DOCTOR = "doctor"


def path_of(page: Page) -> str:
    """Return the path of a page, with the script prefix.

    Raises ``NoReverseMatch`` where the host does not include it.
    """
    target = _target(get_resolver(get_urlconf()), page)
    if target is None:
        raise NoReverseMatch(f"No view of password reset shows the page {page!r}.")
    return reverse(target)


def is_included() -> bool:
    """Return whether the host includes the pages at all."""
    return _target(get_resolver(get_urlconf()), Page.REQUEST) is not None


def login_url(brand: Brand | None = None) -> str | None:
    """Return where to log in, or ``None`` where the site has no such page.

    A path that the host has set is trusted: a web server or a single-page client may
    answer it. Django's default is a page that many sites do not have, and where only a
    catch-all pattern answers it, nobody knows.
    """
    own = brand.login_url if brand else None
    try:
        url = resolve_url(own or settings.LOGIN_URL)
    except NoReverseMatch:
        return None
    is_default = not own and settings.LOGIN_URL == global_settings.LOGIN_URL
    return url if not is_default or is_answered(url) else None


def change_password_url() -> str:
    """Return where to change a password: the host's page, or ours for a forgotten one.

    Raises ``NoReverseMatch`` where neither is there.
    """
    target = conf.change_password_url
    return resolve_url(target) if target else path_of(Page.REQUEST)


def is_answered(path: str) -> bool:
    """Return whether a pattern of this site answers a path, and not just every path."""
    match = _match_of(path)
    if match is None:
        return False
    anywhere = _match_of(NO_PAGE)
    return anywhere is None or anywhere.route != match.route


def leads_back(path: str) -> bool:
    """Return whether a path, with its query, is of the flow or of the log-in page, in
    any language: who has a new password has no more business there.
    """
    bare = _inner(unquote(urlsplit(path).path))
    # Where URLs begin with a language, each resolves in that one alone.
    own = translation.get_language_from_path(bare) or settings.LANGUAGE_CODE
    return any(_leads_back(bare, each) for each in (own, translation.get_language()))


def _leads_back(bare: str, language: str | None) -> bool:
    with translation.override(language):
        log_in = _inner(unquote(urlsplit(login_url() or "").path))
        view = getattr(_match_of(bare), "func", None)
    is_flow = hasattr(getattr(view, "view_class", None), "flow_page")
    return is_flow or (log_in != "/" and bare.rstrip("/") == log_in.rstrip("/"))


def _inner(path: str) -> str:
    """Return a path without the script prefix."""
    return f"/{path.removeprefix(get_script_prefix()).removeprefix('/')}"


def _match_of(path: str) -> ResolverMatch | None:
    try:
        return resolve(_inner(path))
    except Resolver404:
        return None


@lru_cache(maxsize=64)
def _target(resolver: URLResolver, page: Page) -> Callable[..., Any] | str | None:
    """Return what ``reverse`` needs: the view, or its name in a namespace."""
    return next(_targets(resolver, page, ()), None)


def _targets(
    resolver: URLResolver, page: Page, namespaces: tuple[str, ...]
) -> Iterator[Callable[..., Any] | str]:
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            inner = (
                (*namespaces, pattern.namespace) if pattern.namespace else namespaces
            )
            yield from _targets(pattern, page, inner)
        elif isinstance(pattern, URLPattern) and _shows(pattern, page):
            # A view in a namespace is known to reverse by its name alone.
            named = ":".join((*namespaces, pattern.name or ""))
            yield named if namespaces else pattern.callback


def _shows(pattern: URLPattern, page: Page) -> bool:
    view = getattr(pattern.callback, "view_class", None)
    return getattr(view, "flow_page", None) == page
