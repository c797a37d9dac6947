"""The page that `manage.py doctor` asks: what this web process is set to and sees. To
whoever cannot sign the question it does not exist.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core import signing
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponseBase, JsonResponse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.generic import View

from password_reset import __version__, worker
from password_reset.conf import conf
from password_reset.pages import Page
from password_reset.visitors import client_address, is_trusted

from .web import SALT

#: Seconds for which a question may be asked; the clocks may differ by as much.
MAX_AGE = 300


@method_decorator(never_cache, name="dispatch")
class DoctorView(View):
    """Answer a signed question; 404 to anybody else."""

    flow_page = Page.DOCTOR
    http_method_names = ["get", "head", "options"]

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., HttpResponseBase]:
        # What it says is wanted most while the database is away.
        view = transaction.non_atomic_requests(super().as_view(**initkwargs))
        return login_not_required(view)

    def get(self, request: HttpRequest) -> JsonResponse:
        """Return what this process sees and is set to, after waking a worker where the
        question asks for it.
        """
        text = request.GET.get("q", "")
        try:
            question = signing.loads(text, salt=SALT, max_age=MAX_AGE)
        except signing.BadSignature:
            raise Http404 from None
        if isinstance(question.get("wake"), int):
            worker.wake(worker.deliver_request, question["wake"])
        return JsonResponse({**_seen(request), **_set()})


def _seen(request: HttpRequest) -> dict[str, Any]:
    address, peer = client_address(request), request.META.get("REMOTE_ADDR", "")
    return {
        "address": str(address) if address else None,
        "address_is_trusted": address is not None and is_trusted(str(address)),
        "peer": peer,
        "peer_is_trusted": is_trusted(peer),
        "is_forwarded": "HTTP_X_FORWARDED_FOR" in request.META,
        "is_secure": request.is_secure(),
        "time": timezone.now().timestamp() if settings.USE_TZ else None,
    }


def _set() -> dict[str, Any]:
    return {
        "version": __version__,
        "enabled": conf.enabled,
        "time_zone": settings.TIME_ZONE if settings.USE_TZ else "USE_TZ is off",
        "debug": settings.DEBUG,
    }
