"""The app's two includes, and a page that says who is logged in."""

from django.http import HttpResponse
from django.urls import include, path


def who(request):
    return HttpResponse(str(request.user.pk or "nobody"))


urlpatterns = [
    path("", include("password_reset.urls")),
    path("api/auth/", include("password_reset.api_urls")),
    path("who", who),
]
