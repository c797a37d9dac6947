"""Send the whole site what nobody would type: `python -m tests.fuzz`, 5,000 cases, the
same each time.

Every field, header, cookie and media type of the pages and endpoints. Each answer must
be a documented one, with our headers; none is a server error. `make test` runs 1,000.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from io import BytesIO
from urllib.parse import quote_plus, urlencode

import hypothesis.strategies as st
from hypothesis import HealthCheck, Phase, given, settings

CASES = int(os.environ.get("FUZZ_CASES", "1000"))
API = "/api/auth/"
TEST = "tests/flow/test_fuzz.py"
ENDPOINTS = ("request-password-reset", "verify-reset-token", "reset-password")
#: What each path may answer, whatever comes.
DOCUMENTED = {
    "/forgot-password": {200, 302, 400, 403, 405, 413, 429, 503},
    "/forgot-password/done": {200, 400, 403, 405, 413, 503},
    "/reset-password": {200, 302, 400, 403, 404, 405, 410, 413, 429, 503},
    "/reset-password/done": {200, 400, 403, 405, 413, 503},
    "/.well-known/change-password": {302, 400, 405, 413},
    API + "request-password-reset": {202, 400, 405, 413, 415, 429, 503},
    API + "verify-reset-token": {200, 400, 404, 405, 410, 413, 415, 429, 503},
    API + "reset-password": {200, 400, 404, 405, 410, 413, 415, 429, 503},
}
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "strict-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
CSRF = "c" * 32
#: Stands for the secret of a link that works.
TOKEN = "token that works"

odd = st.sampled_from(
    [
        "",
        " ",
        "\x00",
        "\n",
        "\u2028",
        "\u202e",
        "\ud7ff",
        "\ufeff",
        "%00",
        "%ff",
        "a" * 300,
        "a@" * 200,
        "\ufdfa" * 30,
        "[]",
        "null",
        "1e999",
        "../..",
        "{{ 7 }}",
        "' OR 1=1 --",
        "0" * 64,
        "A" * 64,
        "\u0660" * 64,
        "ada@example.com",
        "ada@example.com,eve@example.com",
        "\u00e9@b\u00fccher.example",
        TOKEN,
    ]
)
texts = odd | st.text(max_size=40)
names = st.sampled_from(
    [
        "email",
        "token",
        "password",
        "new_password1",
        "new_password2",
        "csrfmiddlewaretoken",
        "code",
        "second_factor",
        "n",
    ]
)
fields = st.lists(st.tuples(names | st.text(max_size=8), texts), max_size=25)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4)
    ),
    max_leaves=8,
)
charsets = st.sampled_from(
    [
        "",
        "; charset=utf-8",
        "; charset=UTF8",
        "; charset=punycode",
        "; charset=zlib",
        "; charset=x",
        "; charset*=nosuch''x",
        '; charset="utf-8',
        "; charset",
        ";;=;",
        "; q=\xff",
    ]
)
media_types = st.sampled_from(
    [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "multipart/form-data",
        "application/json",
        "text/plain",
        "*/*",
        "\xff",
        "",
    ]
)
latin = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"))
header_names = st.sampled_from(
    [
        "ACCEPT",
        "ACCEPT_LANGUAGE",
        "AUTHORIZATION",
        "COOKIE",
        "EXPECT",
        "FORWARDED",
        "IF_MODIFIED_SINCE",
        "IF_NONE_MATCH",
        "ORIGIN",
        "RANGE",
        "REFERER",
        "TRANSFER_ENCODING",
        "USER_AGENT",
        "X_CSRFTOKEN",
        "X_FORWARDED_FOR",
        "X_FORWARDED_PROTO",
        "X_HTTP_METHOD_OVERRIDE",
        "X_REQUEST_ID",
        "X_REQUESTED_WITH",
    ]
)
header_values = latin.map(lambda text: text[:300]) | st.sampled_from(
    [
        "chunked",
        "null",
        "de, *;q=0",
        "127.0.0.1, unknown",
        "::1%eth0",
        f"csrftoken={CSRF}; sessionid=\xff",
        "sessionid=" + "a" * 32,
        "=;=;=",
        "a" * 5000,
    ]
)


@st.composite
def bodies(draw):
    """Return a media type and a body: one that fits it, or any bytes."""
    kind, charset = draw(media_types), draw(charsets)
    given_fields = draw(fields)
    form = urlencode(given_fields, errors="replace").encode()
    document = draw(values | st.just(dict(given_fields)))
    fitting = {
        "application/json": json.dumps(document).encode(),
        "multipart/form-data; boundary=x": _parts(given_fields, draw(st.booleans())),
    }.get(kind, form)
    body = draw(st.just(fitting) | st.just(form) | st.binary(max_size=200))
    padding = draw(st.sampled_from([0, 0, 0, 0, 16_384, 400_000]))
    return kind + charset, body + b" " * padding


def _parts(given_fields, with_file):
    extra = '; filename="a"' if with_file and len(given_fields) == 1 else ""
    parts = [
        f'--x\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n{text}\r\n'
        for name, text in given_fields
    ]
    return "".join([*parts, "--x--"]).encode("utf-8", "replace")


SOUND = {
    "csrfmiddlewaretoken": CSRF,
    "email": "ada@example.com",
    "token": TOKEN,
    "password": "correct horse battery",
    "new_password1": "correct horse battery",
    "new_password2": "correct horse battery",
}


@st.composite
def sound_bodies(draw, path):
    """Return a media type and a body as a client sends it, one field of it changed."""
    body = SOUND | draw(st.dictionaries(names, texts, max_size=1))
    if path.startswith(API):
        return "application/json", json.dumps(body).encode()
    if draw(st.booleans()):
        return "multipart/form-data; boundary=x", _parts(body.items(), False)
    form = urlencode(body, errors="replace").encode()
    return "application/x-www-form-urlencoded", form


@st.composite
def environs(draw):
    """Return the environment of a request, as a server hands it on: every second one
    sound but for a field and headers.
    """
    path = draw(st.sampled_from(sorted(DOCUMENTED)))
    is_sound = draw(st.booleans())
    media_type, body = draw(sound_bodies(path) if is_sound else bodies())
    query = draw(fields.map(lambda pairs: urlencode(pairs, errors="replace")))
    tail = draw(st.sampled_from(["", "", "&" * 1200, "&a=%ff", "&token=" + TOKEN]))
    methods = ["POST"] * 8 + ["GET", "GET", "HEAD", "OPTIONS", "PUT", "DELETE", "X"]
    length = draw(
        st.sampled_from([str(len(body))] * 12 + ["", "0", "-1", "x", "9" * 30, "16385"])
    )
    headers = draw(st.dictionaries(header_names, header_values, max_size=4))
    if is_sound:
        query, tail, length = "", "", str(len(body))
        headers = {"COOKIE": f"csrftoken={CSRF}"} | dict(list(headers.items())[:1])
    return {
        "REQUEST_METHOD": draw(st.sampled_from(methods)),
        "SCRIPT_NAME": "",
        "PATH_INFO": path if "." in path else path + draw(st.sampled_from(["", "/"])),
        "QUERY_STRING": query + tail,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "REMOTE_ADDR": draw(st.sampled_from(["127.0.0.1", "2001:db8::1", "", "x"])),
        "HTTP_HOST": "localhost",
        "CONTENT_TYPE": media_type,
        "CONTENT_LENGTH": length,
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
        "body": body,
        **{f"HTTP_{name}": value for name, value in headers.items()},
    }


def with_token(environ, new_token):
    """Return a request in which the link that works is a real one."""
    if TOKEN not in str(environ) and quote_plus(TOKEN) not in str(environ):
        return environ
    link = new_token()
    body = environ["body"]
    query = environ["QUERY_STRING"]
    for text in (TOKEN, quote_plus(TOKEN)):
        body = body.replace(text.encode(), link.encode())
        query = query.replace(text, link)
    changed = environ | {"body": body, "QUERY_STRING": query}
    if environ["CONTENT_LENGTH"] == str(len(environ["body"])):
        changed["CONTENT_LENGTH"] = str(len(body))
    return changed


def answer_to(application, environ):
    """Return status, headers and body of the answer."""
    started = []
    environ = environ | {"wsgi.input": BytesIO(environ["body"])}
    answer = application(environ, lambda *given: started.append(given))
    content = b"".join(answer)
    if hasattr(answer, "close"):
        answer.close()
    status, headers = started[0][:2]
    return int(status.split()[0]), dict(headers), content


def check(environ, status, headers, content):
    """Hold an answer against what is promised."""
    path = environ["PATH_INFO"].rstrip("/")
    assert status in DOCUMENTED[path], status
    assert {name: headers.get(name) for name in HEADERS} == HEADERS
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    if environ["REQUEST_METHOD"] == "HEAD" or (status in {302, 405} and not content):
        return
    if path.startswith(API):
        problem = status >= 400
        kind = "application/problem+json" if problem else "application/json"
        assert headers["Content-Type"] == kind
        assert ("code" in json.loads(content)) is problem
    elif environ["REQUEST_METHOD"] in {"GET", "POST"}:
        assert b'<body class="pr-page">' in content


def run(application, new_token, cases=CASES):
    """Send the cases to an application, and return how often each status came.
    ``new_token`` returns the secret of a link that works.
    """
    seen = Counter()

    @settings(
        max_examples=cases,
        derandomize=True,
        phases=[Phase.generate],  # a failure is shown as it came, and at once
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(environs())
    def send(environ):
        real = with_token(environ, new_token)
        status, headers, content = answer_to(application, real)
        check(real, status, headers, content)
        seen[status] += 1

    send()
    return seen


if __name__ == "__main__":
    # A process of its own: pytest wants to be there before hypothesis is.
    test = ["-m", "pytest", "-q", "-s", "-o", "faulthandler_timeout=0", TEST]
    cases = {"FUZZ_CASES": "5000"} | os.environ
    sys.exit(subprocess.run([sys.executable, *test], env=cases).returncode)
