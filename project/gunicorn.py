"""Configuration of gunicorn: ``gunicorn --config python:project.gunicorn
project.wsgi``.
"""

from __future__ import annotations

import os

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
