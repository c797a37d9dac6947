"""Parsers of environment variables: each turns a text into a value, or raises
``ValueError`` with what is wrong.

No message repeats the text that it rejects, since that may be a secret.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator

Values = Mapping[str, Any]
Parser = Callable[[str], Any]

YES = frozenset({"true", "1", "yes", "on"})
NO = frozenset({"false", "0", "no", "off"})


def never(values: Values) -> bool:
    """Ask for a variable in no environment."""
    return False


@dataclass(frozen=True)
class Variable:
    """One variable: its name, its parser, and when it is required."""

    name: str
    parse: Parser
    example: str
    default: Any = ""
    needed: Callable[[Values], bool] = never


def text(value: str) -> str:
    """Accept one line."""
    if not value.isprintable():
        raise ValueError("must be one line without control characters")
    return value


def choice(*words: str) -> Parser:
    """Accept one of some words, in any case."""

    def parse(value: str) -> str:
        if value.lower() not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return value.lower()

    return parse


def boolean(value: str) -> bool:
    """Accept true or false; anything else is a mistake, never a silent false."""
    if value.lower() not in YES | NO:
        raise ValueError("must be true or false")
    return value.lower() in YES


def integer(minimum: int, maximum: int) -> Parser:
    """Accept a whole number between two bounds."""

    def parse(value: str) -> int:
        if (
            not re.fullmatch(r"[0-9]{1,9}", value)
            or not minimum <= int(value) <= maximum
        ):
            raise ValueError(f"must be a whole number from {minimum} to {maximum}")
        return int(value)

    return parse


def site(value: str) -> str:
    """Accept the scheme and host of a site."""
    if not re.fullmatch(r"https?://[^\s/?#@\\]+/?", value) or not _host(value):
        raise ValueError(
            "must be http(s)://host or http(s)://host:port, without a path"
        )
    return value.rstrip("/")


def endpoint(value: str) -> str:
    """Accept the address of a web service."""
    if not re.fullmatch(r"https?://\S+", value) or not _host(value):
        raise ValueError("must be an http(s) URL")
    return value


def redis(value: str) -> str:
    """Accept the address of a Redis server."""
    if not re.match(r"(rediss?|unix)://", value) or (
        not value.startswith("unix") and not _host(value)
    ):
        raise ValueError(
            "must be redis://host:port, rediss://host:port (TLS) or unix:///path"
        )
    if not re.fullmatch(r"/?[0-9]*", urlsplit(value).path) and not value.startswith(
        "unix"
    ):
        raise ValueError("must end with the number of a database, or with none")
    return value


def database(value: str) -> dict[str, Any]:
    """Accept the address of a PostgreSQL or SQLite database, as Django's dictionary."""
    wrong = ValueError(
        "must be postgresql://user:password@host:5432/name, special characters "
        "percent-encoded"
    )
    if not re.match(r"(postgres(ql)?|sqlite)://", value):
        raise wrong
    try:
        config: dict[str, Any] = environ.Env.db_url_config(value)
    except ValueError:
        raise wrong from None
    if not config["NAME"]:
        raise wrong
    return config


def address(value: str) -> str:
    """Accept one e-mail address."""
    try:
        EmailValidator()(value)
    except ValidationError:
        raise ValueError("must be one e-mail address") from None
    return value


def networks(value: str) -> list[str]:
    """Accept networks with commas between them; ``unix`` stands for a Unix socket."""
    entries = listing(value)
    for entry in entries:
        try:
            entry == "unix" or ip_network(entry)
        except ValueError:
            raise ValueError(
                "must be networks such as 10.0.0.0/8, or unix, with commas between them"
            ) from None
    return entries


def hosts(value: str) -> list[tuple[str, int]]:
    """Accept servers as host:port, with commas between them."""
    return [_host_and_port(entry) for entry in listing(value)]


def _host_and_port(entry: str) -> tuple[str, int]:
    wrong = ValueError("must be host:port, with commas between them")
    try:
        parts = urlsplit(f"//{entry}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise wrong from None
    if not host or not port or entry.rpartition(":")[0].strip("[]").lower() != host:
        raise wrong
    return host, port


def listing(value: str) -> list[str]:
    """Accept entries with commas between them."""
    return [entry.strip() for entry in value.split(",") if entry.strip()]


def credentials(length: int) -> Parser:
    """Accept a user name, a colon and a secret, as HTTP's basic authentication."""
    of_password = secret(length)

    def parse(value: str) -> str:
        name, colon, password = value.partition(":")
        if not name or not colon:
            raise ValueError("must be a name, a colon and a secret")
        of_password(password)
        return value

    return parse


def public_key(value: str) -> str:
    """Accept a public key as SendGrid shows it: base64, without lines around it."""
    try:
        der = base64.b64decode(value, validate=True)
    except ValueError:
        der = b""
    if not der.startswith(b"0"):
        raise ValueError("must be the key that SendGrid shows, in one line")
    return value


def secret(length: int) -> Parser:
    """Accept a text that nobody guesses: long, and not one key held down."""

    def parse(value: str) -> str:
        if (
            len(value) < length
            or len(set(value)) < 5
            or not value.isascii()
            or re.search(r"\s", value)
        ):
            raise ValueError(
                f"must be at least {length} random characters (ASCII, no spaces)"
            )
        return value

    return parse


def one_of(value: str, words: Collection[str]) -> bool:
    """Return whether a text contains one of some words, in any case."""
    return any(word in value.lower() for word in words)


def _host(value: str) -> str | None:
    try:
        parts = urlsplit(value)
        return parts.hostname if parts.port != 0 else None  # reading the port checks it
    except ValueError:
        return None
