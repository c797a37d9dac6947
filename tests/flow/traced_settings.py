"""A site that is traced: each process writes its spans to the file SPANS, one a line."""

import os
from pathlib import Path

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

from tests.site_settings import *  # noqa: F403

_spans = Path(os.environ["SPANS"]).open("a")  # noqa: SIM115 - as long as the process
_exporter = ConsoleSpanExporter(
    out=_spans, formatter=lambda span: span.to_json(indent=None) + "\n"
)
_provider = TracerProvider()
_provider.add_span_processor(SimpleSpanProcessor(_exporter))
trace.set_tracer_provider(_provider)
