"""Local stand-ins for the mail providers with a web API: they check what the real ones
require and keep the mails.
"""

import base64
import email
import email.policy
import json
import threading
from collections.abc import Callable
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, dict[str, str], Any]


class WebProvider:
    """A provider's API on 127.0.0.1. `answer`, when set, is what every call gets
    instead.
    """

    path: str

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.mails: list[EmailMessage] = []
        self.answer: Answer | None = None
        self.connections: set[tuple[str, int]] = set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self._judge))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _judge(self, request: BaseHTTPRequestHandler, body: bytes) -> Answer:
        self.connections.add(request.client_address)
        if request.path != self.path:
            return 404, {}, {"message": f"no such door: {request.path}"}
        return self.answer or self.receive(
            request.headers["Authorization"] or "", json.loads(body)
        )

    def receive(self, authorization: str, call: dict[str, Any]) -> Answer:
        raise NotImplementedError


def _handler(
    judge: Callable[[BaseHTTPRequestHandler, bytes], Answer],
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            status, headers, answer = judge(
                self, self.rfile.read(int(self.headers["Content-Length"]))
            )
            body = json.dumps(answer).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None: ...

    return Handler


class SendGrid(WebProvider):
    """`POST /v3/mail/send`, with the rules of its reference."""

    path = "/v3/mail/send"
    key = "SG.right"
    RESERVED = frozenset(
        {
            "content-type",
            "content-transfer-encoding",
            "to",
            "from",
            "subject",
            "reply-to",
            "cc",
            "bcc",
        }
    )

    def receive(self, authorization: str, call: dict[str, Any]) -> Answer:
        if authorization != f"Bearer {self.key}":
            text = "The provided authorization grant is invalid, expired, or revoked"
            return 401, {}, {"errors": [{"message": text, "field": None, "help": None}]}
        fault = self._fault(call)
        if fault:
            return (
                400,
                {},
                {"errors": [{"message": "Bad Request", "field": fault, "help": None}]},
            )
        self.calls.append(call)
        self.mails.append(self._mail(call))
        return 202, {"X-Message-Id": "sendgrid-1"}, ""

    def _fault(self, call: dict[str, Any]) -> str:
        """Return the field that the API would complain about."""
        people = call.get("personalizations") or [{}]
        types = [part["type"] for part in call.get("content", [])]
        faults = {
            "personalizations.0.to": not people[0].get("to"),
            "from.email": "@" not in call.get("from", {}).get("email", ""),
            "subject": not call.get("subject"),
            "content": types != ["text/plain", "text/html"]
            or not all(part["value"] for part in call["content"]),
            "headers": bool(
                self.RESERVED & {name.lower() for name in call.get("headers", {})}
            ),
        }
        return next((field for field, wrong in faults.items() if wrong), "")

    def _mail(self, call: dict[str, Any]) -> EmailMessage:
        mail = EmailMessage()
        sender = call["from"]
        mail["From"] = f"{sender.get('name', '')} <{sender['email']}>".strip()
        mail["To"] = ", ".join(to["email"] for to in call["personalizations"][0]["to"])
        mail["Subject"] = call["subject"]
        for name, value in call["headers"].items():
            mail[name] = value
        mail.set_content(call["content"][0]["value"])
        mail.add_alternative(call["content"][1]["value"], subtype="html")
        return mail


class AmazonSes(WebProvider):
    """`POST /v2/email/outbound-emails` of the SES API v2."""

    path = "/v2/email/outbound-emails"
    key = "AKIARIGHT"

    def receive(self, authorization: str, call: dict[str, Any]) -> Answer:
        scheme, _, rest = authorization.partition(" Credential=")
        key, _, region, service = rest.split("/")[:4]
        if (scheme, key, region, service) != (
            "AWS4-HMAC-SHA256",
            self.key,
            "eu-central-1",
            "ses",
        ):
            text = "The security token included in the request is invalid."
            return (
                403,
                {"x-amzn-ErrorType": "UnrecognizedClientException"},
                {"message": text},
            )
        if not call.get("Destination", {}).get("ToAddresses") or "Raw" not in call.get(
            "Content", {}
        ):
            return (
                400,
                {"x-amzn-ErrorType": "BadRequestException"},
                {"message": "1 validation error detected"},
            )
        self.calls.append(call)
        raw = base64.b64decode(call["Content"]["Raw"]["Data"])
        self.mails.append(email.message_from_bytes(raw, policy=email.policy.default))
        return 200, {}, {"MessageId": f"ses-{len(self.mails)}"}
