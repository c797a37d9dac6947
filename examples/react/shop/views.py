from django.contrib.auth import login, logout
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import csrf_protect, ensure_csrf_cookie
from django.views.generic import TemplateView
from rest_framework.authtoken.serializers import AuthTokenSerializer
from rest_framework.response import Response
from rest_framework.views import APIView

#: What this site serves, and nothing else.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@method_decorator(ensure_csrf_cookie, name="dispatch")
class Client(TemplateView):
    template_name = "index.html"

    def render_to_response(self, context):
        headers = {"Content-Security-Policy": POLICY}
        return super().render_to_response(context, headers=headers)


# REST framework asks only those for the CSRF token who are logged in already.
@method_decorator(csrf_protect, name="dispatch")
class Session(APIView):
    """Who is logged in; no script can read the cookie of Django's session."""

    def get(self, request):
        return Response({"username": request.user.get_username()})

    def post(self, request):
        typed = AuthTokenSerializer(data=request.data, context={"request": request})
        typed.is_valid(raise_exception=True)
        login(request, typed.validated_data["user"])
        return self.get(request)

    def delete(self, request):
        logout(request)
        return self.get(request)
