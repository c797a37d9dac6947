"""Let anybody in as anybody, without the hash that a log-in would renew; say who is in."""

from django.contrib.auth import get_user_model, login
from django.http import HttpResponse
from django.shortcuts import get_object_or_404


def enter(request, key):
    user = get_object_or_404(get_user_model(), pk=key)
    login(request, user, "django.contrib.auth.backends.ModelBackend")
    return HttpResponse("entered")


def who(request):
    return HttpResponse(str(request.user.pk or "nobody"))
