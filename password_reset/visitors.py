"""Who is calling: address, browser and language of a request, and an address in
canonical form.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest
from django.http.request import split_domain_port, validate_host
from django.utils.translation import get_language
from ua_parser import parse

from . import brands
from .brands import Brand
from .conf import UNIX_SOCKET, conf

logger = logging.getLogger("password_reset")

USER_AGENT_LENGTH = 512
#: Where a request keeps the key of its brand.
BRAND = "_password_reset_brand"
#: ``192.0.2.1:4711`` and ``[2001:db8::1]:4711``, as some proxies write them.
WITH_PORT = re.compile(r"(?:\[(?P<v6>[^\]]+)\]|(?P<v4>[0-9.]+))(?::[0-9]+)?")
#: A household or a server owns a /64, so one client has 2**64 addresses (Better Auth
#: CVE-2026-45364).
IPV6_CLIENT_PREFIX = 64
#: What somebody may own beyond that, from narrow to wide: a rack or a whole office, a
#: line at home, a cheap block of a provider.
WIDER_PREFIXES = {4: (24,), 6: (56, 48)}

#: RFC 6052: IPv4 clients as a translator shows them.
NAT64 = IPv6Network("64:ff9b::/96")

#: What people use, under the names that ua-parser gives it.
BROWSERS = re.compile(
    r"Brave|Chrome( Mobile( WebView| iOS)?)?|Chromium|DuckDuckGo Mobile"
    r"|Edge( Mobile)?|Firefox( Mobile| iOS)?|(Mobile )?Safari|Opera( Mobile)?"
    r"|Samsung Internet|UC Browser|Vivaldi|Yandex Browser"
)
SYSTEMS = re.compile(
    r"Android|Chrome OS|Debian|Fedora|FreeBSD|Linux|Mac OS X|Ubuntu|Windows|iOS"
)

Address = IPv4Address | IPv6Address


@dataclass(frozen=True)
class Visitor:
    """What is known of a caller; plain values. All but the device fit a row."""

    ip_address: str | None
    user_agent: str
    language: str
    #: Of which account this browser is known: a keyed digest, or nothing.
    device: str = ""
    #: Key of the brand whose host was asked.
    brand: str = ""


def visitor_of(request: HttpRequest) -> Visitor:
    """Return who is calling."""
    address = client_address(request)
    return Visitor(
        ip_address=str(address) if address else None,
        user_agent=printable(
            request.META.get("HTTP_USER_AGENT", ""), USER_AGENT_LENGTH
        ),
        language=get_language() or "",
        device=getattr(request, "password_reset_device", ""),
        brand=brand_key(request),
    )


def brand_of(request: HttpRequest) -> Brand:
    """Return the brand of the host that was asked."""
    return brands.get(brand_key(request))


def brand_key(request: HttpRequest) -> str:
    """Return the key of the brand of the host that was asked, as far as
    ``ALLOWED_HOSTS`` accepts it; that of the default brand for any other. Found once
    for each request.
    """
    found: str | None = vars(request).get(BRAND)
    if found is None:
        found = vars(request)[BRAND] = brands.key_of(_host(request))
    return found


def accepts(host: str) -> bool:
    """Return whether ``ALLOWED_HOSTS`` has a host name."""
    return validate_host(host, settings.ALLOWED_HOSTS)


def _host(request: HttpRequest) -> str:
    try:
        return split_domain_port(request.get_host())[0]
    except DisallowedHost:
        return ""


def client_address(request: HttpRequest) -> Address | None:
    """Return the client's address: the first hop, seen from here, that no trusted proxy
    vouches for.

    ``X-Forwarded-For`` is read from right to left and only as far as the proxies of
    ``PASSWORD_RESET_TRUSTED_PROXIES`` reach; what stands further left anybody can
    write.
    """
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "")
    peer_text = request.META.get("REMOTE_ADDR", "")
    if not is_trusted(peer_text):
        _notice_unknown_proxy(peer_text, forwarded)
        return parse_address(peer_text)
    client = parse_address(peer_text)
    for hop in reversed(forwarded.split(",")):
        address = parse_address(hop)
        if address is None:
            return client
        client = address
        if not is_trusted(str(address)):
            return client
    return client


def parse_address(text: str) -> Address | None:
    """Return an address without port, zone or the wrapping of IPv4 in IPv6; ``None``
    for anything else.
    """
    return _parse_address(text.strip()[:64])


@lru_cache(maxsize=1024)  # each request asks several times for the same ones
def _parse_address(text: str) -> Address | None:
    if match := WITH_PORT.fullmatch(text):
        text = match["v6"] or match["v4"]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return _unwrapped(address) if isinstance(address, IPv6Address) else address


def _unwrapped(address: IPv6Address) -> Address:
    """Return the IPv4 address in a mapped or translated one: all of those lie in one
    /64 (Better Auth).
    """
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address


def client_network(text: str | None) -> str:
    """Return what a limit counts: an IPv4 address, an IPv6 /64, or ``unknown``."""
    address = parse_address(text or "")
    if address is None:
        return "unknown"
    if isinstance(address, IPv6Address):
        return str(ip_network((address, IPV6_CLIENT_PREFIX), strict=False))
    return str(address)


@lru_cache(maxsize=1024)
def wider_networks(text: str | None) -> tuple[str, ...]:
    """Return the networks around a client that have limits of their own, from narrow to
    wide; none of an unknown client.
    """
    address = parse_address(text or "")
    if address is None:
        return ()
    prefixes = WIDER_PREFIXES[address.version]
    return tuple(str(ip_network((address, each), strict=False)) for each in prefixes)


def printable(text: str, length: int) -> str:
    """Return a text without control and format characters and ends of lines, shortened
    to a length.
    """
    if text.isprintable():
        return text[:length]
    return "".join(
        char
        for char in text[: length * 2]
        if char.isprintable() or unicodedata.category(char) == "Zs"
    )[:length]


@lru_cache(maxsize=256)
def browser_in_words(user_agent: str) -> str:
    """Return a browser and its system, such as ``Firefox · Windows``, or nothing when
    unknown.

    Known names only: for others the parser returns words of the header, and so a
    stranger could write a sentence of their own into the mail of a victim (danbooru
    #4274).
    """
    found = parse(user_agent)
    parts = ((found.user_agent, BROWSERS), (found.os, SYSTEMS))
    return " · ".join(
        part.family for part, known in parts if part and known.fullmatch(part.family)
    )


def is_trusted(peer: str) -> bool:
    """Return whether an address is of a proxy that is believed; empty is a Unix
    socket.
    """
    proxies = conf.trusted_proxies
    if not peer:
        return UNIX_SOCKET in proxies
    address = parse_address(peer)
    return address is not None and any(
        address in network for network in proxies if not isinstance(network, str)
    )


@lru_cache(maxsize=256)  # once per proxy and process
def _warn_of_proxy(peer: str) -> None:
    logger.warning(
        "A proxy at %s forwards visitors, but PASSWORD_RESET_TRUSTED_PROXIES does not "
        "name it: "
        "all of them share one limit.",
        peer or "a Unix socket",
    )


def _notice_unknown_proxy(peer: str, forwarded: str) -> None:
    address = parse_address(peer)
    if forwarded and (address is None or address.is_private):
        _warn_of_proxy(str(address or ""))
