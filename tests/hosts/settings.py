"""A small host: the least that the app needs, with the user model that `HOST` names."""

import os

import django

HOST = os.environ["HOST"]
AUTH_USER_MODEL, engine = {
    "plain": ("auth.User", "db"),
    "uuid_people": ("uuid_people.Person", "cached_db"),
    "email_people": ("email_people.Person", "cache"),
}[HOST]
SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
INSTALLED_APPS = [
    "password_reset",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    *([] if HOST == "plain" else [f"tests.hosts.{HOST}"]),
]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
SECRET_KEY = "a-secret-of-the-small-host-that-opens-nothing-anywhere"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
DEFAULT_FROM_EMAIL = "host@example.com"
if django.VERSION >= (6, 1):  # from here on EMAIL_BACKEND is deprecated
    MAILERS = {"default": {"BACKEND": "django.core.mail.backends.smtp.EmailBackend"}}
ROOT_URLCONF = "tests.hosts.urls"
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
TEMPLATES = [
    {"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}
]
STATIC_URL = "/static/"
# The second is how old accounts are kept.
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.MD5PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2SHA1PasswordHasher",
]
PASSWORD_RESET_BASE_URL = "https://host.example.com"
