"""Configuration of gunicorn: ``gunicorn --config python:project.gunicorn
project.wsgi``.
"""

from __future__ import annotations

import os
import socket

from . import env, logs

_values = env.read().values

bind = f"127.0.0.1:{_values['PORT']}"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
# Threads, so that slow clients and servers that do not respond do not block a whole
# worker: one that waits costs next to nothing, and the probes need one that is free.
worker_class = "gthread"
threads = int(os.environ.get("WEB_THREADS", "24"))
timeout = 30
accesslog = "-"
logger_class = "project.accesslog.AccessLogger"
logconfig_dict = logs.config(_values["LOG_FORMAT"], _values["LOG_LEVEL"])

# gunicorn would tell systemd that it is ready before a worker has loaded the site.
_NOTIFY_SOCKET = os.environ.pop("NOTIFY_SOCKET", "")


def post_worker_init(worker: object) -> None:
    """Tell systemd that the site answers, as ``sd_notify(3)`` does."""
    if not _NOTIFY_SOCKET:
        return
    address = _NOTIFY_SOCKET.replace("@", "\0", 1)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.sendto(b"READY=1", address)
