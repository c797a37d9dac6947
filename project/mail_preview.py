"""A development page that shows a sample of every email in every language."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.generic import TemplateView

from password_reset import mailer
from password_reset.conf import conf
from password_reset.models import PasswordResetNotice, PasswordResetRequest
from password_reset.purposes import Purpose, lifetime_of

from .mailbox import show
from .models import User

KINDS = ("reset", "explanation", "changed", "invitation", "forced")
BROWSER = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0"
)


def sample(kind: str, language: str) -> EmailMultiAlternatives:
    """Return an email of one kind to nobody; no row is made, and the link in it opens
    nothing.
    """
    user = User(email="ada@example.com", first_name="Ada", language=language)
    caller: dict[str, Any] = {
        "ip_address": "192.0.2.7",
        "user_agent": BROWSER,
        "language": language,
    }
    request = PasswordResetRequest(email=user.email, **caller)
    if kind == "explanation":
        return mailer.explanation_message(request, user)
    if kind == "reset":
        return mailer.reset_message(
            request, user, "0" * 64, timezone.now() + conf.token_lifetime
        )
    if kind in {"invitation", "forced"}:
        purpose, row = Purpose(kind), PasswordResetNotice(email=user.email)
        ends = timezone.now() + lifetime_of(purpose)
        return mailer.reset_message(row, user, "0" * 64, ends, purpose=purpose)
    notice = PasswordResetNotice(
        user=user, email=user.email, sessions_deleted=2, **caller
    )
    notice.created_at = timezone.now() - timedelta(minutes=1)
    return mailer.changed_message(notice)


class SamplesView(TemplateView):
    """List the samples, each with its two bodies."""

    template_name = "project/mail_samples.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        samples = [
            {
                "kind": kind,
                "code": code,
                "language": name,
                "message": sample(kind, code),
            }
            for code, name in settings.LANGUAGES
            for kind in KINDS
        ]
        return super().get_context_data(samples=samples, **kwargs)


def body(request: HttpRequest, kind: str, language: str, part: str) -> HttpResponse:
    """Show one body of one sample."""
    if kind not in KINDS or language not in dict(settings.LANGUAGES):
        raise Http404
    message = sample(kind, language)
    html = str(message.alternatives[0][0])
    return show(str(message.body) if part == "text" else html, part)
