"""The metrics of a machine on which workers run and no site: ``gunicorn --config
python:project.gunicorn --bind 127.0.0.1:8001 project.exporter``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .wsgi import application as site

SHOWN = frozenset({"/metrics", "/health/live"})


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Show what Prometheus reads, under the site's own rules, and nothing else."""
    if environ.get("PATH_INFO") in SHOWN:
        return site(environ, start_response)
    start_response("404 Not Found", [("Content-Type", "text/plain")])
    return [b"Only the metrics of a worker are here.\n"]
