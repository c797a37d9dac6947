"""Spans of this process: a tracer of a test's own, whose spans stay in memory."""

from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


class Spans:
    """What was recorded since the test began."""

    def __init__(self, **options: Any) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False, **options)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    @property
    def all(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    @property
    def ours(self) -> list[ReadableSpan]:
        return [s for s in self.all if s.instrumentation_scope.name == "password_reset"]

    def named(self, name: str) -> ReadableSpan:
        """Return the one span of a name."""
        (span,) = [span for span in self.all if span.name == name]
        return span

    def names(self) -> list[str]:
        """Return the names of our spans, in the order in which they began."""
        return [s.name for s in sorted(self.ours, key=lambda s: s.start_time)]


def install(provider: Any) -> None:
    """Make a provider the process' own, also where there was one before."""
    trace._TRACER_PROVIDER_SET_ONCE._done = False
    trace._TRACER_PROVIDER = None
    if provider is not None:
        trace.set_tracer_provider(provider)
