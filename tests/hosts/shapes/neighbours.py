"""Other packages' reset flows beside ours: neither order of includes matters, and
`check` names the other flow.
"""

from collections.abc import Iterator

from tests.hosts.host import Host
from tests.hosts.steps import EVERYTHING, SOCIAL_ONLY, WITHOUT_ADMIN

OTHER_FLOW = "password_reset.W013"
LOGIN = """
<form method="post">{% csrf_token %}{{ form }}<button>Log in</button></form>
"""
AUTH = {
    "settings": """
TEMPLATES[0]["DIRS"] = [BASE_DIR / "templates"]
LOGIN_URL = "login"
""",
    "files": {"templates/registration/login.html": LOGIN},
    "login_page": "/accounts/login/",
    "checks": (OTHER_FLOW,),
}
ALLAUTH = {
    "settings": """
INSTALLED_APPS += ["allauth", "allauth.account"]
MIDDLEWARE += ["allauth.account.middleware.AccountMiddleware"]
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
ACCOUNT_EMAIL_VERIFICATION = "none"
LOGIN_URL = "account_login"
""",
    "login_page": "/accounts/login/",
    "checks": (OTHER_FLOW,),
    "login_field": "login",
    "strict": False,
}
SOCIAL = """
PASSWORD_RESET_REQUEST_RATE_PER_IP = "100/h"
INSTALLED_APPS += [
    "allauth.socialaccount",
    "allauth.socialaccount.providers.google",
    "allauth.socialaccount.providers.openid_connect",
]
SOCIALACCOUNT_PROVIDERS = {
    "google": {"APP": {"client_id": "1", "secret": "s"}},
    "openid_connect": {
        "APPS": [
            {
                "provider_id": "school",
                "name": "Example School",
                "client_id": "2",
                "secret": "s",
                "settings": {"server_url": "https://school.example.com"},
            }
        ]
    },
}
"""
#: Sue comes by two providers, and by one that the site has removed since.
SUE = """
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth import get_user_model

sue = get_user_model().objects.create(username="sue", email="sue@example.com")
sue.set_unusable_password()
sue.save()
for provider in ("google", "school", "removed"):
    SocialAccount.objects.create(user=sue, provider=provider, uid=provider)
"""
DJOSER = {
    "checks": (OTHER_FLOW,),
    "settings": 'INSTALLED_APPS += ["rest_framework", "djoser"]',
    "strict": False,
}


def orders(name: str, include: str, **shape) -> Iterator[Host]:
    """Yield the host with the other's URLs before ours, and after."""
    theirs = f"[path({include})]"
    for order, urls in (
        ("before", f"urlpatterns = {theirs} + urlpatterns"),
        ("after", f"urlpatterns += {theirs}"),
    ):
        yield Host(
            f"{name}-{order}",
            EVERYTHING,
            urls=urls,
            **shape,
        )


HOSTS = [
    *orders("contrib-auth", "'accounts/', include('django.contrib.auth.urls')", **AUTH),
    *orders("allauth", "'accounts/', include('allauth.urls')", **ALLAUTH),
    Host(
        "allauth-social",
        (*WITHOUT_ADMIN, SOCIAL_ONLY),
        urls="urlpatterns += [path('accounts/', include('allauth.urls'))]",
        files={"after_prepare.py": SUE},
        **(ALLAUTH | {"settings": ALLAUTH["settings"] + SOCIAL}),
    ),
    *orders("djoser", "'auth/', include('djoser.urls')", **DJOSER),
]
