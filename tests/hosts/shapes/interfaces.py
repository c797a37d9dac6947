"""Other faces of the admin, and tokens of programs."""

from tests.hosts.host import Host
from tests.hosts.project import OLD_PASSWORD
from tests.hosts.steps import CHECK, EVERYTHING, ben_asks_a_program, ben_gets_a_mail
from tests.hosts.visit import NEW_PASSWORD, Visit

TOKENS = {
    "settings": """
INSTALLED_APPS += [
    "rest_framework",
    "rest_framework.authtoken",
    "rest_framework_simplejwt.token_blacklist",
    "knox",
]
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework.authentication.TokenAuthentication",
        "rest_framework.authentication.BasicAuthentication",
    ]
}
PASSWORD_RESET_REVOKERS = ["knox.AuthToken"]
""",
    "urls": """
from knox.auth import TokenAuthentication as KnoxAuthentication
from knox.views import LoginView as KnoxLogin
from rest_framework.authtoken.views import obtain_auth_token
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_simplejwt.views import TokenObtainPairView, TokenRefreshView

class Me(APIView):
    permission_classes = [IsAuthenticated]

    def get(self, request):
        return Response({"name": request.user.get_username()})

urlpatterns += [
    path("drf/token", obtain_auth_token),
    path("drf/me", Me.as_view()),
    path("jwt/token", TokenObtainPairView.as_view()),
    path("jwt/refresh", TokenRefreshView.as_view()),
    path("knox/token", KnoxLogin.as_view()),
    path("knox/me", Me.as_view(authentication_classes=[KnoxAuthentication])),
]
""",
    "strict": False,
}


def ben_has_three_tokens(visit: Visit) -> None:
    http, url = visit.new_browser().session, visit.project.url
    who = {"username": "ben", "password": OLD_PASSWORD}
    drf = http.post(f"{url}/drf/token", json=who).json()["token"]
    jwt = http.post(f"{url}/jwt/token", json=who).json()["refresh"]
    knox = http.post(f"{url}/knox/token", auth=tuple(who.values())).json()["token"]
    visit.keys = {"drf": drf, "jwt": jwt, "knox": knox}
    assert answers(visit) == {"drf": 200, "jwt": 200, "knox": 200}


def ben_resets(visit: Visit) -> None:
    status, _ = visit.post_json(
        "reset-password", token=visit.tokens["ben@example.com"], password=NEW_PASSWORD
    )
    assert status == 200


def no_token_works_any_more(visit: Visit) -> None:
    assert answers(visit) == {"drf": 401, "jwt": 401, "knox": 401}


def answers(visit: Visit) -> dict[str, int]:
    """Return what each token opens."""
    http, url, keys = visit.new_browser().session, visit.project.url, visit.keys
    named = {"Authorization": f"Token {keys['drf']}"}
    knox = {"Authorization": f"Token {keys['knox']}"}
    refresh = {"refresh": keys["jwt"]}
    return {
        "drf": http.get(f"{url}/drf/me", headers=named).status_code,
        "jwt": http.post(f"{url}/jwt/refresh", json=refresh).status_code,
        "knox": http.get(f"{url}/knox/me", headers=knox).status_code,
    }


HOSTS = [
    Host(
        "unfold",
        EVERYTHING,
        settings='INSTALLED_APPS.insert(0, "unfold")',
        strict=False,
    ),
    Host(
        "jazzmin",
        EVERYTHING,
        settings='INSTALLED_APPS.insert(0, "jazzmin")',
        strict=False,
    ),
    Host(
        "drf-simplejwt-knox",
        (
            CHECK,
            (
                ben_has_three_tokens,
                ben_asks_a_program,
                ben_gets_a_mail,
                ben_resets,
                no_token_works_any_more,
            ),
        ),
        **TOKENS,
    ),
]
