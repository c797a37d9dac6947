"""Django's error pages without the secrets of this flow."""

from __future__ import annotations

from django.utils.safestring import SafeString, mark_safe
from django.views.debug import ExceptionReporter

from .redaction import redact


class RedactingReporter(ExceptionReporter):
    """Report an exception as Django does, with every reset token cut short.

    The token of a link is in the query string, which Django's own filter shows.
    """

    def get_traceback_html(self) -> SafeString:
        return mark_safe(redact(super().get_traceback_html()))  # noqa: S308 (only cut, what Django made safe)

    def get_traceback_text(self) -> SafeString:
        return mark_safe(redact(super().get_traceback_text()))  # noqa: S308
