"""A development page that shows the emails that were sent, newest first."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.generic import TemplateView

from . import sent_mails

#: An email brings its styles inline, and may load nothing.
MAIL_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


@method_decorator(never_cache, name="dispatch")
class MailboxView(TemplateView):
    """Show the text of each email, with a link to its HTML."""

    template_name = "project/mailbox.html"
    extra_context = {
        "kept": settings.EMAIL_PROVIDER == "console",
        "limit": sent_mails.LIMIT,
    }

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(mails=sent_mails.newest_first(), **kwargs)


@never_cache
def body(request: HttpRequest, name: str, part: str) -> HttpResponse:
    """Show one body of one email."""
    mail = sent_mails.find(name)
    if mail is None or part not in {"html", "text"}:
        raise Http404
    return show(mail.html if part == "html" else mail.text, part)


def show(content: str, part: str) -> HttpResponse:
    """Return a body of an email as a page of its own."""
    if part == "text":
        return HttpResponse(content, content_type="text/plain; charset=utf-8")
    response = HttpResponse(content)
    response["Content-Security-Policy"] = MAIL_POLICY
    return response
