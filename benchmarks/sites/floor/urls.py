"""CSRF, an e-mail form, one INSERT, a redirect."""

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.middleware.csrf import get_token
from django.urls import path

from benchmarks.sites.floor.models import Wish


class WishForm(forms.Form):
    email = forms.EmailField(max_length=254)


def wish(request: HttpRequest, **_: Any) -> HttpResponse:
    """Keep a well-formed address and redirect."""
    form = WishForm(request.POST or None)
    if form.is_valid():
        Wish(email=form.cleaned_data["email"]).save()
        return HttpResponseRedirect("/done")
    field = (
        f'<input type="hidden" name="csrfmiddlewaretoken" value="{get_token(request)}">'
    )
    return HttpResponse(f"<form method=post>{field}{form}</form>")


urlpatterns = [path("wish", wish)]
