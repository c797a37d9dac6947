"""The demo's own pages."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.auth.views import LoginView
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.generic import TemplateView

from password_reset.models import UserSession


class HomeView(TemplateView):
    """Say what this site is for."""

    template_name = "project/home.html"
    extra_context = {
        "development": settings.ENVIRONMENT == "development",
        "mail_on_console": settings.EMAIL_PROVIDER == "console",
        "requests_an_hour": settings.DEVELOPMENT_REQUESTS_AN_HOUR,
        "counted_in_memory": "locmem" in settings.CACHES["default"]["BACKEND"],
    }


class SignInView(LoginView):
    """Log in by address and password."""

    template_name = "project/login.html"
    redirect_authenticated_user = True


@method_decorator(never_cache, name="dispatch")
class AccountView(LoginRequiredMixin, TemplateView):
    """Show who is logged in, and where else."""

    template_name = "project/account.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        sessions = UserSession.objects.filter(
            user_id=str(self.request.user.pk)
        ).order_by("-created_at")
        here = self.request.session.session_key
        return super().get_context_data(
            current=sessions.filter(session_key=here).first(),
            others=sessions.exclude(session_key=here),
            **kwargs,
        )
