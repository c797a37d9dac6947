"""A reverse proxy with TLS in front of a site, as nginx stands in front of the demo."""

import ssl
import threading
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

#: From where it calls the site, so that it is told from visitors on this machine.
PROXY = "127.0.0.3"


class Front:
    """`https://127.0.0.1:PORT`, handing requests to a site.

    `removes` names headers of answers that it takes away, `believes` lets visitors
    write X-Forwarded-For.
    """

    def __init__(self, certificate: Path) -> None:
        self.site = 0
        self.removes: set[str] = set()
        self.extra: dict[str, str] = {}
        self.believes = False
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(front: Front) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            inner = HTTPConnection(
                "127.0.0.1", front.site, timeout=10, source_address=(PROXY, 0)
            )
            inner.request("GET", self.path, headers=self._forwarded())
            response = inner.getresponse()
            body = response.read()
            self.send_response(response.status)
            for name, value in response.getheaders():
                if name not in {*front.removes, "Connection", "Transfer-Encoding"}:
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
            inner.close()

        def _forwarded(self) -> dict[str, str]:
            named = self.headers.get("X-Forwarded-For") if front.believes else None
            return {
                "Host": self.headers["Host"],
                "X-Forwarded-For": named or self.client_address[0],
                "X-Forwarded-Proto": "https",
                **front.extra,
            }

        def log_message(self, *arguments: Any) -> None: ...

    return Handler
