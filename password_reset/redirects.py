"""Where somebody was before the flow: a path of this site, and nothing else.

It is checked on the way in and once more on the way out, since a row or a cookie may be
older than the site's present hosts and pages.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urljoin, urlsplit, urlunsplit

from django.contrib.auth import REDIRECT_FIELD_NAME
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, QueryDict
from django.utils.encoding import iri_to_uri
from django.utils.http import url_has_allowed_host_and_scheme

from .conf import conf
from .pages import leads_back

__all__ = ["FIELD", "LENGTH", "PREFILL_FIELD", "next_of", "safe_path", "with_next"]

#: Django's own name, as at log-in.
FIELD = REDIRECT_FIELD_NAME
#: The button of a log-in form that leads to the first page: its value is the name of
#: the field that holds the address.
PREFILL_FIELD = "prefill"
#: Characters of a path with its query, percent-encoded; a longer one is dropped.
LENGTH = 512


def next_of(request: HttpRequest) -> str:
    """Return the path that a request carries as ``next``, as a field or in its query;
    nothing for none, and for one that is not safe.
    """
    url = request.POST.get(FIELD, request.GET.get(FIELD, ""))
    if not url:
        return ""
    return safe_path(url, _hosts(request), require_https=request.is_secure())


def safe_path(
    url: str, hosts: Iterable[str] = (), *, require_https: bool = False
) -> str:
    """Return the path, query and fragment of a URL of this site, percent-encoded;
    nothing for any other. Of this site are paths, and URLs of the base URL's host and
    of these.

    Nothing too where it is too long, holds a backslash, a space or a control character,
    or leads back into the flow or to the log-in page.
    """
    if not url.isprintable() or "\\" in url or " " in url:
        return ""
    own = urlsplit(conf.base_url).netloc
    if not url_has_allowed_host_and_scheme(url, {own, *hosts}, require_https):
        return ""
    path = urlunsplit(("", "", *urlsplit(iri_to_uri(url))[2:]))
    # Without its host //evil.example would be what was a path before.
    is_path = path.startswith("/") and url_has_allowed_host_and_scheme(path, None)
    return path if is_path and len(path) <= LENGTH and not leads_back(path) else ""


def with_next(
    login_url: str | None, path: str, base_url: str | None = None
) -> str | None:
    """Return a log-in page's URL that leads on to a path; a page of another host gets
    the whole URL, of the site or of a brand's base URL.
    """
    if not login_url or not path:
        return login_url
    parts = urlsplit(login_url)
    query = QueryDict(parts.query, mutable=True)
    whole = urljoin(base_url or conf.base_url, path)
    query[FIELD] = whole if parts.netloc else path
    return urlunsplit(parts._replace(query=query.urlencode(safe="/")))


def _hosts(request: HttpRequest) -> set[str]:
    try:
        return {request.get_host()}
    except DisallowedHost:
        return set()
