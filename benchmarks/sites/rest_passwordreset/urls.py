"""The package's views, and the receiver that its documentation asks a host to write."""

from typing import Any

from django.core.mail import send_mail
from django.dispatch import receiver
from django.urls import include, path
from django_rest_passwordreset.signals import reset_password_token_created


@receiver(reset_password_token_created)
def send_reset_mail(reset_password_token: Any, **_: Any) -> None:
    """Send the link from inside the request, as every host of this package starts out."""
    link = f"http://127.0.0.1/reset?token={reset_password_token.key}"
    text = f"Hello,\n\nopen this link to choose a new password:\n\n{link}\n"
    send_mail("Choose a new password", text, None, [reset_password_token.user.email])


urlpatterns = [path("api/password_reset/", include("django_rest_passwordreset.urls"))]
