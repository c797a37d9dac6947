"""Heavy and odd bodies: refused before anything parses them, on every page and endpoint,
by answers of our own.
"""

import asyncio
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.test import AsyncRequestFactory, RequestFactory

from password_reset.guard import AsyncBodyGuard, BodyGuard, BodyLimit
from password_reset.models import PasswordResetRequest

PAGES = ["/forgot-password", "/reset-password"]
API = [
    f"/api/auth/{name}"
    for name in ("request-password-reset", "verify-reset-token", "reset-password")
]
OURS = [*PAGES, "/forgot-password/done", "/.well-known/change-password", *API]
GUARDED = ["/login", "/logout", "/admin/login/", "/admin/password_reset/"]
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "strict-origin",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
}
FORM, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"
MEDIA_TYPES = [FORM, MULTIPART, "application/json", "text/plain"]
CHARSETS = ["punycode", "idna", "utf-7", "utf-16", "rot13", "zlib", "nosuch", "a\u00df"]


def part(headers, value=b"ada@example.com"):
    return b"--x\r\nContent-Disposition: form-data; %b\r\n\r\n%b\r\n" % (headers, value)


#: Name: status, media type, body.
REFUSED = {
    "400 KB of a form": (413, FORM, b"a" * 400_000),
    "400 KB of parts": (413, MULTIPART, part(b'name="a"', b"a" * 400_000) + b"--x--"),
    "400 KB of text": (413, "text/plain", b"a" * 400_000),
    "400 KB of JSON": (413, "application/json", b"[" * 400_000),
    "400 KB of nothing": (413, "", b"a" * 400_000),
    "one byte too many": (413, FORM, b"email=" + b"a" * 16_379),
    "21 fields": (400, FORM, b"a=1&" * 20 + b"a=1"),
    "1,100 fields": (400, FORM, b"&".join([b"a=1"] * 1100)),
    "21 parts": (400, MULTIPART, part(b'name="a"', b"1") * 21 + b"--x--"),
    "a file": (400, MULTIPART, part(b'name="email"; filename="a"') + b"--x--"),
    "a named charset": (400, MULTIPART, part(b"name*=punycode''email") + b"--x--"),
    "an unknown charset": (400, MULTIPART, part(b"name*=nosuch''email") + b"--x--"),
    "no boundary": (400, "multipart/form-data", b"--x"),
    "an odd boundary": (400, "multipart/form-data; boundary=\u00df", b"--x"),
    "RFC 2231": (400, "application/json; charset*=nosuch''x", b"{}"),
    "RFC 2231 in a form": (400, f"{FORM}; charset*=punycode''x-y", b"email=a"),
    "two charsets": (400, f"{FORM}; charset=utf-8; charset=idna", b"email=a"),
    "a quoted charset": (400, f'{FORM}; charset="utf-16"', b"email=a"),
    "a long media type": (400, "text/plain; a=" + "a" * 600, b""),
} | {
    f"{media_type} in {charset}": (400, f"{media_type}; charset={charset}", b"email=a")
    for media_type in MEDIA_TYPES
    for charset in CHARSETS
}


def is_ours(path, status, headers, body):
    """Return whether an answer is a calm page or a problem, with our headers."""
    policy = headers["Content-Security-Policy"]
    assert {name: headers[name] for name in HEADERS} == HEADERS
    assert "default-src 'none'" in policy
    if path in API:
        assert headers["Content-Type"] == "application/problem+json"
        return f'"status": {status}, "code": "invalid_request"'.encode() in body
    return b"<h1>We could not read the form</h1>" in body


#: What Django raises for while it makes the request: no view can answer it.
BEFORE_ANY_VIEW = {"RFC 2231"}


@pytest.mark.parametrize("path", OURS)
def test_a_view_refuses_it_by_itself(client, path):
    for name in REFUSED.keys() - BEFORE_ANY_VIEW:
        status, media_type, body = REFUSED[name]
        answer = client.generic("POST", path, body, CONTENT_TYPE=media_type)
        assert (name, answer.status_code) == (name, status)
        assert is_ours(path, status, answer, answer.content)


@pytest.mark.parametrize("path", OURS)
@pytest.mark.parametrize(
    "query", ["&".join(["a"] * 1100), "a=1&" * 1000 + "token=" + "0" * 64]
)
def test_a_query_of_too_many_fields_is_refused_too(client, path, query):
    answer = client.get(f"{path}?{query}")
    assert answer.status_code == 400
    assert is_ours(path, 400, answer, answer.content)


def test_what_a_browser_and_a_program_send_is_accepted(client, db, settings):
    settings.RATELIMIT_ENABLE = False
    parts = part(b'name="email"') + part(b'name="more"', b"1") + b"--x--"
    forms = {
        FORM: b"email=ada%40example.com" + b"&a=1" * 19,
        f"{FORM}; charset=UTF-8": b"email=ada%40example.com",
        MULTIPART: parts,
    }
    for media_type, body in forms.items():
        sent = client.generic("POST", PAGES[0], body, CONTENT_TYPE=media_type)
        assert sent["Location"] == "/forgot-password/done"
        PasswordResetRequest.objects.all().delete()


class ReadsFormsFirst:
    """Middleware of a host that looks at every form."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        request.seen = (request.GET, request.POST, request.FILES)
        return self.get_response(request)


@pytest.fixture
def curious(settings):
    settings.MIDDLEWARE = [f"{__name__}.ReadsFormsFirst", *settings.MIDDLEWARE]


def through_wsgi(application, path, media_type, body, **extra):
    """Call a WSGI application as a server does; return status, headers and body."""
    started = []
    environ = RequestFactory().generic("POST", path, body).environ
    environ |= {"CONTENT_TYPE": media_type} | extra
    answer = application(environ, lambda *given: started.append(given))
    (status, headers), content = started[0], b"".join(answer)
    return int(status.split()[0]), dict(headers), content


def through_asgi(application, path, media_type, body, **extra):
    """Call an ASGI application as a server does, the body in two pieces."""
    scope = AsyncRequestFactory().generic("POST", path, b"", **extra).scope
    # Bytes, as servers have it.
    scope["query_string"] = str(scope["query_string"]).encode()
    scope["headers"] = [
        *((k, v) for k, v in scope["headers"] if not k.startswith(b"content-")),
        (b"content-type", media_type.encode("latin-1")),
    ]
    half = len(body) // 2
    coming = [
        {"type": "http.request", "body": body[half:]},
        {"type": "http.request", "body": body[:half], "more_body": True},
    ]
    sent = []

    async def receive():
        if coming:
            return coming.pop()
        return await asyncio.Future()  # a client that stays connected

    async def send(message):
        sent.append(message)

    asyncio.run(application(scope, receive, send))
    headers = {k.decode().title(): v.decode() for k, v in sent[0]["headers"]}
    content = b"".join(each.get("body", b"") for each in sent[1:])
    return sent[0]["status"], headers, content


LIMITS = {path: BodyLimit() for path in GUARDED}


def wsgi(*request, **extra):
    return through_wsgi(BodyGuard(WSGIHandler(), LIMITS), *request, **extra)


def asgi(*request, **extra):
    return through_asgi(AsyncBodyGuard(ASGIHandler(), LIMITS), *request, **extra)


each_server = pytest.mark.parametrize("serve", [wsgi, asgi])


@each_server
@pytest.mark.parametrize("path", [*OURS, *GUARDED])
def test_the_guard_refuses_it_before_any_middleware(curious, serve, path):
    for name, (status, media_type, body) in REFUSED.items():
        given, headers, content = serve(path, media_type, body)
        assert (name, given) == (name, status)
        assert is_ours(path, status, headers, content)


@each_server
@pytest.mark.parametrize("path", ["/forgot-password", "/hook"])
def test_a_query_that_django_reads_before_any_middleware_is_refused(serve, path):
    query = {"QUERY_STRING": "a&" * 1100} if serve is wsgi else {}
    full = path if query else f"{path}?{'a&' * 1100}"
    status, headers, content = serve(full, f"{FORM}; charset=utf-8", b"", **query)
    assert (status, is_ours(path, status, headers, content)) == (400, True)


@each_server
def test_the_guard_hands_a_sound_form_on(curious, db, serve):
    parts = part(b'name="email"') + b"--x--"
    for media_type, body in {
        FORM: b"email=ada%40example.com",
        MULTIPART: parts,
    }.items():
        status, _headers, content = serve("/forgot-password", media_type, body)
        # Without its cookie; the form itself was read.
        assert (status, b"Allow cookies for this site" in content) == (403, True)


@each_server
@pytest.mark.parametrize(
    ("media_type", "status"),
    [
        ("text/xml; charset=iso-8859-1", 404),
        ("application/octet-stream", 404),
        ("text/xml; charset=punycode", 400),
        ("text/xml; charset*=nosuch''x", 400),
    ],
)
def test_another_page_of_the_site_may_be_sent_more(db, serve, media_type, status):
    assert serve("/hook", media_type, b"a" * 400_000)[0] == status


@each_server
def test_the_guard_speaks_the_visitors_language(serve):
    german = {"HTTP_ACCEPT_LANGUAGE": "de"} if serve is wsgi else {}
    if serve is asgi:
        german = {"headers": {"Accept-Language": "de"}}
    page = serve("/forgot-password", FORM, b"a" * 20_000, **german)[2]
    assert b'<html lang="de"' in page


@pytest.mark.parametrize(
    ("declared", "status"),
    [
        ("", 400),
        ("-1", 400),
        ("1e3", 400),
        ("٣", 400),
        ("16385", 413),
        ("9" * 5000, 413),
        ("100", 400),
    ],
)
@pytest.mark.parametrize("path", ["/forgot-password", *GUARDED])
def test_a_length_that_is_missing_or_wrong_is_refused(path, declared, status):
    chunked = {"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": declared}
    given, headers, content = wsgi(path, FORM, b"email=a", **chunked)
    assert (given, is_ours(path, status, headers, content)) == (status, True)


def test_a_site_without_the_pages_is_guarded_too(settings):
    settings.ROOT_URLCONF = "password_reset.api_urls"
    status, headers, _ = wsgi("/login", f"{FORM}; charset=idna", b"")
    assert (status, headers["Cache-Control"]) == (400, "no-store")


class TestServed:
    """Over HTTP, by gunicorn as it is shipped."""

    @pytest.fixture
    def site(self, processes):
        return processes.gunicorn(1, ("--config", "python:project.gunicorn"))

    def test_400_kb_take_less_than_50_ms_in_any_charset_and_media_type(self, site):
        for path in (*PAGES, *API, "/login", "/admin/login/"):
            post(site, path, FORM, b"a" * 20_000)  # the first loads the templates
            charsets = CHARSETS if path in (PAGES[0], API[0]) else CHARSETS[:1]
            for media_type in (*MEDIA_TYPES, ""):
                for charset in ("utf-8", *charsets):
                    full = f"{media_type}; charset={charset}"
                    before = processor_seconds(site)
                    answer = post(site, path, full, b"a-" + b"e" * 400_000)
                    assert processor_seconds(site) - before <= 0.05
                    assert answer[0] == (413 if charset == "utf-8" else 400)
                    assert is_ours(path, *answer)

    def test_it_serves_others_meanwhile(self, site):
        heavy = f"{MULTIPART}; charset=punycode", b"a-" + b"e" * 900_000
        with ThreadPoolExecutor(8) as attackers:
            posts = [
                attackers.submit(post, site, "/forgot-password", *heavy)
                for _ in range(100)
            ]
            waited = [seconds_of_a_look(site) for _ in range(20)]
            assert {each.result()[0] for each in posts} == {400}
        assert max(waited) < 2

    def test_a_body_that_does_not_say_its_length_is_refused(self, site):
        for framing, status in {
            "Transfer-Encoding: chunked": 400,
            "Content-Length: 5000000000": 413,
            "Content-Length: 500": 400,
        }.items():
            for path in ("/forgot-password", API[0], "/login"):
                answer = raw(site, path, framing, b"7\r\nemail=a\r\n0\r\n\r\n")
                assert answer.startswith(b"HTTP/1.1 %d" % status)
                assert b"Cache-Control: no-store\r\n" in answer


def connection_to(site):
    return closing(HTTPConnection(urlsplit(site.url).netloc, timeout=30))


def post(site, path, media_type, body):
    with connection_to(site) as connection:
        headers = {"Content-Type": media_type.encode()}
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


def seconds_of_a_look(site):
    started = time.monotonic()
    with connection_to(site) as connection:
        connection.request("GET", "/forgot-password")
        assert connection.getresponse().status == 200
    return time.monotonic() - started


def raw(site, path, framing, body):
    """Send a request as it stands and close our half; return the answer."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{framing}\r\n"
    media_type = f"Content-Type: {FORM}\r\n\r\n"
    address = urlsplit(site.url)
    with socket.create_connection((address.hostname, address.port), 10) as client:
        client.sendall((head + media_type).encode() + body)
        client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(65536), b""))


def processor_seconds(site):
    """Return what a process and its children have used of the processor."""
    seconds = 0.0
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = file.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if int(fields[2]) == site.process.pid:
            seconds += sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
    return seconds
