"""gunicorn's access log, written as the rest of the log is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from gunicorn.glogging import Logger  # type: ignore[import-untyped]


class AccessLogger(Logger):  # type: ignore[misc]
    """One line for each answer: the path without its query, and no Referer, for both
    can hold a reset token.
    """

    def access(
        self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta
    ) -> None:
        headers = {name.lower(): value for name, value in resp.headers}
        method, path, status = (
            environ["REQUEST_METHOD"],
            environ.get("PATH_INFO", ""),
            resp.status_code,
        )
        fields = {
            "method": method,
            "path": path,
            "status": status,
            "bytes": getattr(resp, "sent", None),
            "milliseconds": round(request_time.total_seconds() * 1000, 1),
            "ip": environ.get("REMOTE_ADDR", ""),
            "forwardedFor": environ.get("HTTP_X_FORWARDED_FOR", ""),
            "userAgent": environ.get("HTTP_USER_AGENT", ""),
            "requestId": headers.get("x-request-id", ""),
        }
        self.access_log.info("%s %s %s", method, path, status, extra=fields)
