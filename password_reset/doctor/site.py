"""The site as its visitors meet it: link, encryption, headers, cookies, proxies."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie
from urllib.parse import urlsplit

from django.conf import settings

from password_reset.conf import conf
from password_reset.pages import Page, is_included, path_of

from .findings import TIMEOUT, Finding, Patient, WebError, fault, good, note, warning
from .web import NOBODY, Answer, diagnose, get

#: So long before its end somebody should have renewed a certificate.
RENEWED = timedelta(days=14)
#: What the pages of the flow say, which something in front may take away.
OF_PAGES = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "strict-origin",
    "Content-Security-Policy": "default-src",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
}


def check_web(patient: Patient) -> Iterator[Finding]:
    """The web process answers, and is of this release and key."""
    if not patient.base_url:
        yield fault(
            "No address of the site is known.", "Set PASSWORD_RESET_BASE_URL (E001)."
        )
        return
    if not is_included():
        yield note(
            "password_reset.urls is not included, so what the web processes see was "
            "not examined."
        )
        return
    try:
        said = patient.diagnosis.said
    except WebError as error:
        yield fault(
            f"{patient.base_url} is not this site as it is set up here: {error}.",
            "Start the web processes; compare PASSWORD_RESET_BASE_URL, SECRET_KEY and "
            "the release with theirs.",
        )
        return
    if not said["enabled"]:
        yield warning(
            "The flow is switched off in the web processes.",
            "Set PASSWORD_RESET_ENABLED to True when it is wanted again.",
        )
    yield good(f"The site answers at {patient.base_url}.")


def check_link(patient: Patient) -> Iterator[Finding]:
    """A page opens the link of an email."""
    if template := conf.link_template:
        url = template.replace("{token}", "")
    else:
        url = f"{patient.base_url}/{path_of(Page.CONFIRM).lstrip('/')}"
    try:
        answer = get(url, TIMEOUT)
    except WebError as error:
        yield fault(f"No link opens: {url}: {error}.", "Start what answers there.")
        return
    # The page of this app without a link in its address is no error.
    if answer.status != 200:
        yield fault(
            f"No link opens: {url} answers {answer.status}.",
            "Set PASSWORD_RESET_BASE_URL (or LINK_TEMPLATE) to where the page is, and "
            "let no proxy take it for itself.",
        )
        return
    yield good(f"The links in emails open at {url}.")


def check_https(patient: Patient) -> Iterator[Finding]:
    """Nobody on the way reads a link, and the certificate lasts."""
    if not patient.base_url.startswith("https:"):
        judge = note if settings.DEBUG else _unencrypted
        yield judge(f"{patient.base_url} is not encrypted.")
        return
    answer = patient.diagnosis.answer
    ends = answer.certificate_ends if answer else None
    if ends and ends - datetime.now(UTC) < RENEWED:
        yield warning(
            f"The certificate ends at {ends:%Y-%m-%d %H:%M} UTC.",
            "Renew it, and find out why that was not done by itself.",
        )
    if not patient.diagnosis.said["is_secure"]:
        yield fault(
            "The site does not know that its visitors come over HTTPS.",
            "Let the proxy send X-Forwarded-Proto, and set SECURE_PROXY_SSL_HEADER.",
        )
        return
    yield good("Visitors come over HTTPS, by a certificate that is trusted here.")


def check_plain_http(patient: Patient) -> Iterator[Finding]:
    """Whoever types the address without https is led there."""
    parts = urlsplit(patient.base_url)
    if parts.scheme != "https" or parts.port not in {None, 443}:
        return
    try:
        answer = get(f"http://{parts.hostname}/", TIMEOUT)
    except WebError:
        yield good("Nothing answers without encryption.")
        return
    if not answer.headers.get("Location", "").startswith("https:"):
        yield fault(
            f"http://{parts.hostname}/ answers {answer.status} instead of leading to "
            "https.",
            "Redirect in the proxy, or set SECURE_SSL_REDIRECT = True.",
        )


def check_headers(patient: Patient) -> Iterator[Finding]:
    """The pages' headers arrive."""
    headers = patient.get(path_of(Page.CONFIRM)).headers
    wanted = dict(OF_PAGES)
    if patient.base_url.startswith("https:"):
        wanted["Strict-Transport-Security"] = "max-age"
    missing = [
        name
        for name, part in wanted.items()
        if not any(part in value for value in headers.get_all(name, []))
    ]
    # What guards the token is the app's own; the rest a host may have decided upon.
    worse = {"Cache-Control", "Referrer-Policy"} & set(missing)
    if missing:
        judge = fault if worse else warning
        yield judge(
            f"The page with the form of a new password lacks {', '.join(missing)}.",
            "Let no proxy remove or replace them; SecurityMiddleware and "
            "SECURE_HSTS_SECONDS set what Django sends.",
        )
        return
    yield good("The pages arrive with the headers that guard them.")


def check_cookies(patient: Patient) -> Iterator[Finding]:
    """Cookies travel encrypted, and not from other sites."""
    if not patient.base_url.startswith("https:"):
        return
    answer = patient.get(path_of(Page.REQUEST))
    open_ones = [
        name
        for name, secure, same_site in _cookies(answer)
        if not (secure and same_site)
    ]
    if open_ones:
        yield fault(
            f"These cookies lack Secure or SameSite: {', '.join(open_ones)}.",
            "Set SESSION_COOKIE_SECURE and CSRF_COOKIE_SECURE to True, and leave "
            "…_COOKIE_SAMESITE on 'Lax' or 'Strict'.",
        )
        return
    yield good("Cookies are for HTTPS and this site alone.")


def check_proxies(patient: Patient) -> Iterator[Finding]:
    """The site sees each visitor's own address, and believes no invented one."""
    said = patient.diagnosis.said
    if said["is_forwarded"] and not said["peer_is_trusted"]:
        peer = said["peer"] or "unix"
        yield fault(
            f"A proxy at {peer} forwards visitors, but is not named: all of them "
            "share one limit.",
            f"Add {peer} to PASSWORD_RESET_TRUSTED_PROXIES.",
        )
        return
    # Whoever comes from a trusted network may name any address: so does this question.
    if not said["address_is_trusted"] and _believes_anybody(patient):
        yield fault(
            "The site believes whoever names an address: the limits hold nobody.",
            "Name in PASSWORD_RESET_TRUSTED_PROXIES no network that visitors come "
            "from, and let the proxy write X-Forwarded-For anew.",
        )
        return
    if said["address"] is None:
        yield warning(
            "The site does not know its visitors' addresses: they share one limit.",
            "Let the proxy send X-Forwarded-For, and put 'unix' into TRUSTED_PROXIES.",
        )
        return
    yield good(f"The site sees {said['address']} as the address of this machine.")
    if said["address_is_trusted"]:
        yield note(
            "This machine counts as a proxy itself, so whether visitors can invent an "
            "address shows only from another one."
        )


def _unencrypted(text: str) -> Finding:
    remedy = "Serve the site over HTTPS and write its address with https (W002)."
    return fault(text, remedy)


def _cookies(answer: Answer) -> Iterator[tuple[str, bool, bool]]:
    for line in answer.headers.get_all("Set-Cookie", []):
        for name, morsel in SimpleCookie(line).items():
            same_site = str(morsel["samesite"]).lower() in {"lax", "strict"}
            yield name, bool(morsel["secure"]), same_site


def _believes_anybody(patient: Patient) -> bool:
    said = diagnose(patient.base_url, TIMEOUT, forged=True).said
    return bool(said["address"] == NOBODY)
