"""A keep-alive HTTP client that costs little beside the servers it measures."""

import random
import re
import socket
from dataclasses import dataclass, field
from html.parser import HTMLParser
from ipaddress import IPv4Address
from urllib.parse import urlencode

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
COOKIE = re.compile(rb"\r\nset-cookie: *([^=;\s]+)=([^;\r]*)", re.IGNORECASE)
LOCATION = re.compile(rb"\r\nlocation: *([^\r]*)", re.IGNORECASE)


@dataclass(frozen=True)
class Answer:
    """One response; header names are looked for in `head` as sent."""

    status: int
    head: bytes
    body: bytes

    @property
    def location(self) -> str:
        """Return where a redirect leads, or an empty string."""
        found = LOCATION.search(self.head)
        return found[1].decode() if found else ""


class HiddenFields(HTMLParser):
    """Collect the hidden fields of a page, as a browser would send them."""

    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a hidden field's name and value."""
        values = dict(attrs)
        if tag == "input" and values.get("type") == "hidden":
            self.fields[values.get("name") or ""] = values.get("value") or ""


def somewhere() -> IPv4Address:
    """Return the address of any visitor, as a proxy in front of the site would pass it
    on.

    Whoever is not refused comes from a network of their own.
    """
    return IPv4Address(random.randrange(1 << 24, 224 << 24))


def hidden_fields(page: bytes) -> dict[str, str]:
    """Return the hidden fields of a page."""
    parser = HiddenFields()
    parser.feed(page.decode())
    return parser.fields


@dataclass
class Client:
    """One visitor: one connection, one set of cookies."""

    port: int
    cookies: dict[str, str] = field(default_factory=dict)
    hidden: dict[str, str] = field(default_factory=dict)
    _socket: socket.socket | None = None

    def get(self, path: str) -> Answer:
        """Send a GET."""
        return self.send(self.message("GET", path))

    def follow(self, path: str) -> tuple[str, Answer]:
        """Send a GET, follow redirects, return the last path and its answer."""
        answer = self.get(path)
        while answer.location:
            path = answer.location
            answer = self.get(path)
        return path, answer

    def message(
        self, method: str, path: str, body: bytes = b"", media_type: str = ""
    ) -> bytes:
        """Return the bytes of a request with this visitor's cookies."""
        lines = [
            f"{method} {path} HTTP/1.1",
            "Host: 127.0.0.1",
            "User-Agent: benchmark",
            f"X-Forwarded-For: {somewhere()}",
        ]
        if self.cookies:
            lines.append(
                "Cookie: " + "; ".join(f"{k}={v}" for k, v in self.cookies.items())
            )
        if method == "POST":
            lines += [f"Content-Type: {media_type}", f"Content-Length: {len(body)}"]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    def form(self, path: str, fields: dict[str, str]) -> bytes:
        """Return the bytes of a form's POST."""
        body = urlencode(fields).encode()
        return self.message("POST", path, body, "application/x-www-form-urlencoded")

    def send(self, message: bytes) -> Answer:
        """Send a request's bytes and read the whole answer."""
        if self._socket is None:
            self._socket = socket.create_connection(
                ("127.0.0.1", self.port), timeout=60
            )
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(message)
        answer = self._read(self._socket)
        for name, value in COOKIE.findall(answer.head):
            self.cookies[name.decode()] = value.decode()
        if b"onnection: close" in answer.head:
            self.close()
        return answer

    def close(self) -> None:
        """Hang up; the next request connects again."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    @staticmethod
    def _read(connection: socket.socket) -> Answer:
        data = _until(connection, b"", b"\r\n\r\n")
        head, _, body = data.partition(b"\r\n\r\n")
        if CHUNKED.search(head):
            body = _until(connection, body, b"0\r\n\r\n")
        elif length := LENGTH.search(head):
            while len(body) < int(length[1]):
                body += _more(connection)
        return Answer(int(head[9:12]), head, body)


def _until(connection: socket.socket, data: bytes, end: bytes) -> bytes:
    while end not in data:
        data += _more(connection)
    return data


def _more(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise ConnectionError("the server hung up in the middle of an answer")
    return data
