"""The link of an email opens the app; where that is missing, the page of the site."""

from .environment import *  # noqa: F403
from .environment import INSTALLED_APPS

INSTALLED_APPS += ["password_reset"]
LOGIN_URL = "admin:login"

# Of your app: in its project at Apple, and its signing key at Google.
IOS_APP = "ABCDE12345.com.example.shop"
ANDROID_APP = "com.example.shop"
ANDROID_FINGERPRINT = ":".join(["00"] * 32)
