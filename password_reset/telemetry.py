"""One OpenTelemetry trace for each request, from its row to its emails and its reset;
without opentelemetry-api each function does nothing.

Web process, worker and reset share nothing but the row's number, so the numbers of
their trace are derived from it, with the site's secret key. A span holds numbers and
words of this module, never an address, an IP address or a secret.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from functools import lru_cache
from importlib import import_module
from ipaddress import ip_address
from typing import Any, NamedTuple

from django.utils.crypto import salted_hmac

from . import __version__
from .redaction import redact

try:
    otel: Any = import_module("opentelemetry.trace")
    contexts: Any = import_module("opentelemetry.context")
except ImportError:  # the extra [otel] is not installed
    otel = contexts = None

logger = logging.getLogger("password_reset")

SALT = "password_reset.telemetry"
#: OpenTelemetry's semantic conventions for messaging: a queue may have a name of its
#: own where theirs has none.
SYSTEM = "password_reset"
OUTCOME = "password_reset.outcome"
#: The attributes in which an instrumentation of HTTP keeps the address of a page, in
#: both versions of its semantic conventions. Its query may be a link's secret.
ADDRESSES = ("http.url", "http.target", "url.full", "url.query")


class NoSpan:
    """Replace a span where none is recorded."""

    def set_attribute(self, name: str, value: Any) -> None: ...


class Numbers(NamedTuple):
    """A trace, and the span in it that others hang on."""

    trace: int
    span: int | None


NO_SPAN = NoSpan()
_wanted: ContextVar[Numbers | None] = ContextVar("wanted_numbers", default=None)


def now() -> int:
    """Return the start of what is recorded when it is over, in nanoseconds."""
    return time.time_ns()


def numbers_of(table: str, pk: Any) -> Numbers:
    """Return the trace of a row and the span that accepted it.

    Keyed, for they leave the site: nobody can tell from them how many rows there are,
    nor put spans of their own into a trace that is to come.
    """
    digest = salted_hmac(SALT, f"{table}:{pk}", algorithm="sha256").digest()
    return Numbers(int.from_bytes(digest[:16]), int.from_bytes(digest[16:24]))


def accepted(table: str, pk: Any, since: int | None = None, **facts: str) -> None:
    """Record that a row was written: the root of its trace, linked with the span that
    is current, such as that of the HTTP request, in both directions.
    """
    tracer = _tracer()
    if tracer is None:
        return
    span = _start(
        tracer,
        f"send {table}",
        otel.SpanKind.PRODUCER,
        numbers_of(table, pk),
        begins=True,
        since=since,
        attributes=_message(table, pk, "send") | _own(facts),
    )
    _end(span)


def delivering(
    table: str, pk: Any, attempt: int, *, begins: bool
) -> AbstractContextManager[Any]:
    """Record an attempt to send a row's emails. ``begins`` where no span has accepted
    the row, as in a campaign.
    """
    attributes = {"password_reset.attempt": attempt}
    return _step(
        f"process {table}",
        "CONSUMER",
        (table, pk),
        begins=begins,
        attributes=_message(table, pk, "process") | attributes,
    )


def settled(
    table: str, pks: Iterable[Any], outcome: str, since: int, *, begins: bool
) -> None:
    """Record rows that were settled together, without an email."""
    tracer = _tracer()
    if tracer is None:
        return
    for pk in pks:
        numbers = numbers_of(table, pk)
        span = _start(
            tracer,
            f"process {table}",
            otel.SpanKind.CONSUMER,
            Numbers(numbers.trace, None) if begins else numbers,
            begins=begins,
            since=since,
            attributes=_message(table, pk, "process") | {OUTCOME: outcome},
        )
        _end(span)


@contextmanager
def sending(describe: Any) -> Iterator[Any]:
    """Record that an email is handed to its provider, inside the attempt.

    ``describe`` maps an exception to a text without its message, which may name an
    address.
    """
    tracer = _tracer()
    if tracer is None:
        yield NO_SPAN
        return
    span = otel.INVALID_SPAN
    with _quietly():
        span = tracer.start_span("send email", kind=otel.SpanKind.CLIENT)
    with _current(span):
        try:
            yield span
        except Exception as error:
            failed(span, error, describe(error))
            raise


def mail_server(span: Any, backend: Any) -> None:
    """Record which server an email went to, by the back end's own attributes."""
    host, port = getattr(backend, "host", None), getattr(backend, "port", None)
    if isinstance(host, str) and host and not _is_ip_address(host):
        span.set_attribute("server.address", host)
    if isinstance(port, int):
        span.set_attribute("server.port", port)
        span.set_attribute("network.protocol.name", "smtp")


def step(
    name: str, table: str, pk: Any, *, begins: bool, refusals: tuple[Any, ...] = ()
) -> AbstractContextManager[Any]:
    """Record what a visitor does with an email, in the trace of its row. What they are
    refused for is an outcome, and no error.
    """
    return _step(
        f"password_reset {name}",
        "INTERNAL",
        (table, pk),
        begins=begins,
        attributes={},
        refusals=refusals,
    )


def lead_to(table: str, pk: Any) -> None:
    """Link the current span to the trace of a row that it has made."""
    if _tracer() is not None:
        numbers = numbers_of(table, pk)
        _add_link(otel.get_current_span(), _remote(numbers, is_sampled=True))


def failed(span: Any, error: BaseException, text: str = "") -> None:
    """Mark a span as failed: by the name of the error, never by its message."""
    if span is NO_SPAN:
        return
    name = type(error).__name__
    span.set_attribute("error.type", name)
    span.set_status(otel.Status(otel.StatusCode.ERROR, text or name))


def hide_query() -> None:
    """Take links' secrets out of the span of this HTTP request, which an
    instrumentation of the host has begun.
    """
    if _tracer() is None:
        return
    span = otel.get_current_span()
    for name, value in dict(getattr(span, "attributes", None) or {}).items():
        if clean := _without_secret(name, value):
            span.set_attribute(name, clean[0])


def _without_secret(name: str, value: Any) -> list[Any]:
    """Return what stands in for an attribute, in a list; an empty one for nothing."""
    if name in ADDRESSES and isinstance(value, str):
        clean: Any = "" if name == "url.query" else redact(value.partition("?")[0])
    elif isinstance(value, str):
        clean = redact(value)
    elif isinstance(value, tuple | list):
        clean = [redact(each) if isinstance(each, str) else each for each in value]
    else:
        return []
    return [clean] if clean != value else []


@contextmanager
def _record(span: Any, refusals: tuple[Any, ...]) -> Iterator[Any]:
    with _current(span):
        try:
            yield span
        except refusals as refusal:
            reason = getattr(refusal, "reason", "") or type(refusal).__name__
            span.set_attribute(OUTCOME, str(reason))
            raise
        except Exception as error:
            failed(span, error)
            raise


def _step(
    name: str,
    kind: str,
    row: tuple[str, Any],
    *,
    begins: bool,
    attributes: dict[str, Any],
    refusals: tuple[Any, ...] = (),
) -> AbstractContextManager[Any]:
    tracer = _tracer()
    if tracer is None:
        return nullcontext(NO_SPAN)
    numbers = numbers_of(*row)
    span = _start(
        tracer,
        name,
        getattr(otel.SpanKind, kind),
        # The span that accepts a row is one; those that begin without it may be many.
        Numbers(numbers.trace, None) if begins else numbers,
        begins=begins,
        attributes=attributes,
    )
    return _record(span, refusals)


def _start(
    tracer: Any,
    name: str,
    kind: Any,
    numbers: Numbers,
    *,
    begins: bool,
    attributes: dict[str, Any],
    since: int | None = None,
) -> Any:
    """Start a span in a row's trace: as a root of it, or below the span that accepted
    the row.
    """
    around = otel.get_current_span()
    is_inside = around.get_span_context().is_valid
    can_begin = begins and hasattr(tracer, "id_generator")
    remote = _remote(numbers, is_sampled=_is_sampled(tracer, numbers, name, kind))
    parent = otel.NonRecordingSpan(remote)
    span = otel.INVALID_SPAN
    token = _wanted.set(numbers if can_begin else None)
    try:
        with _quietly():
            span = tracer.start_span(
                name,
                contexts.Context() if can_begin else otel.set_span_in_context(parent),
                kind,
                attributes,
                [otel.Link(around.get_span_context())] if is_inside else None,
                since,
            )
    finally:
        _wanted.reset(token)
    if is_inside:
        _add_link(around, span.get_span_context())
    return span


def _remote(numbers: Numbers, *, is_sampled: bool) -> Any:
    flags = otel.TraceFlags.SAMPLED if is_sampled else otel.TraceFlags.DEFAULT
    # Without the SDK's own generator the root is not there: any number will do.
    span = numbers.span or numbers.trace >> 64
    return otel.SpanContext(numbers.trace, span, True, otel.TraceFlags(flags))


def _is_sampled(tracer: Any, numbers: Numbers, name: str, kind: Any) -> bool:
    """Return whether the host's sampler takes a trace: of the same number it says the
    same in every process.
    """
    sampler = getattr(tracer, "sampler", None)
    with _quietly():
        if sampler is not None:
            empty = contexts.Context()
            result = sampler.should_sample(empty, numbers.trace, name, kind, {}, [])
            return bool(result.decision.is_sampled())
    return True


def _add_link(span: Any, target: Any) -> None:
    # opentelemetry-api 1.23 and newer.
    if span.is_recording() and hasattr(span, "add_link"):
        span.add_link(target)


@contextmanager
def _current(span: Any) -> Iterator[None]:
    # Neither the exception nor its message: it may name an address.
    options = {"record_exception": False, "set_status_on_exception": False}
    try:
        with otel.use_span(span, end_on_exit=False, **options):
            yield
    finally:
        _end(span)


def _end(span: Any) -> None:
    with _quietly():
        span.end()


@contextmanager
def _quietly() -> Iterator[None]:
    """Log that the host's tracer has failed. What it was to record goes on: an accepted
    request must not become an error, nor a password that is set.
    """
    try:
        yield
    except Exception as error:
        logger.warning("The tracer failed: %s", type(error).__name__)


def _tracer() -> Any:
    """Return the host's tracer; ``None`` where it has configured none."""
    if otel is None:
        return None
    provider = otel.get_tracer_provider()
    if isinstance(provider, otel.ProxyTracerProvider | otel.NoOpTracerProvider):
        return None
    return _tracer_of(provider)


@lru_cache(maxsize=1)
def _tracer_of(provider: Any) -> Any:
    tracer = provider.get_tracer("password_reset", __version__)
    # The tracer is ours alone: no span of anybody else asks this generator.
    if hasattr(tracer, "id_generator"):
        tracer.id_generator = _DerivedNumbers(tracer.id_generator)
    return tracer


class _DerivedNumbers:
    """The host's generator of numbers, but for spans that begin the trace of a row."""

    def __init__(self, generator: Any) -> None:
        self._generator = generator

    def generate_trace_id(self) -> int:
        wanted = _wanted.get()
        return wanted.trace if wanted else int(self._generator.generate_trace_id())

    def generate_span_id(self) -> int:
        wanted = _wanted.get()
        derived = wanted.span if wanted else None
        return derived or int(self._generator.generate_span_id())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._generator, name)


def _message(table: str, pk: Any, operation: str) -> dict[str, Any]:
    return {
        "messaging.system": SYSTEM,
        "messaging.destination.name": table,
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.message.id": str(pk),
    }


def _own(facts: dict[str, str]) -> dict[str, Any]:
    return {f"password_reset.{name}": value for name, value in facts.items()}


def _is_ip_address(host: str) -> bool:
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
