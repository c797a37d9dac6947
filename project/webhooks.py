"""The addresses at which mail providers report what became of emails: anymail's views,
with what a site in the open needs around them.

Amazon's notifications are known by the secret in the address that it is given, which
only it and this site know. SendGrid's are signed too. anymail does not verify the
signature of SNS, which anybody with an account at Amazon can have made.
"""

from __future__ import annotations

import json
import logging
from typing import Any

from anymail.exceptions import AnymailError
from anymail.webhooks.amazon_ses import AmazonSESTrackingWebhookView
from anymail.webhooks.base import AnymailBasicAuthMixin
from anymail.webhooks.sendgrid import SendGridTrackingWebhookView
from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.urls import URLPattern, path

from password_reset.tracking import NotYetKnown

logger = logging.getLogger("project.webhooks")

#: What a wrong secret or signature raises, and a body that is not of its provider.
REFUSED = (
    SuspiciousOperation,
    AnymailError,
    AttributeError,
    KeyError,
    TypeError,
    ValueError,
)
#: Seconds after which the ID of an email is certainly written down.
RETRY_AFTER = 60


class Guarded:
    """Look at the secret before anything parses the body; answer strangers and nonsense
    with 4xx, so that neither an alarm nor a retry follows.
    """

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            if "Authorization" in request.headers:
                AnymailBasicAuthMixin.validate_request(self, request)
            return super().post(request, *args, **kwargs)  # type: ignore[misc,no-any-return]
        except NotYetKnown:
            return HttpResponse(status=503, headers={"Retry-After": str(RETRY_AFTER)})
        except REFUSED as error:
            logger.warning("A report on an email is refused: %s", type(error).__name__)
            return HttpResponseBadRequest("Not what this provider sends.")


class AmazonView(Guarded, AmazonSESTrackingWebhookView):  # type: ignore[misc]
    """Events of Amazon SES, by SNS, of one topic."""

    def validate_request(self, request: HttpRequest) -> None:
        """Refuse the topics of others, whose messages SNS would deliver as well."""
        topic = settings.AWS_SNS_TOPIC_ARN
        body = json.loads(request.body)
        if topic and body["TopicArn"] != topic:
            raise SuspiciousOperation("A notification of another topic.")


class SendGridView(Guarded, SendGridTrackingWebhookView):  # type: ignore[misc]
    """Events of SendGrid, signed."""


VIEWS: dict[str, tuple[str, Any]] = {
    "ses": ("amazon_ses", AmazonView),
    "sendgrid": ("sendgrid", SendGridView),
}


def _secret() -> Any:
    return getattr(settings, "ANYMAIL", {}).get("WEBHOOK_SECRET")


def urlpatterns() -> list[URLPattern]:
    """Return the address for the provider in use, where it has a secret."""
    if settings.EMAIL_PROVIDER not in VIEWS or not _secret():
        return []
    name, view = VIEWS[settings.EMAIL_PROVIDER]
    return [path(f"anymail/{name}/tracking/", view.as_view(), name="mail_webhook")]
