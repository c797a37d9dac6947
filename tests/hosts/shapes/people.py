"""User models, and several people on one address."""

from tests.hosts import family
from tests.hosts.host import NO_LOGIN_PAGE, Host
from tests.hosts.steps import (
    ADMIN,
    WITHOUT_ADMIN,
    staff_find_the_link,
    the_page_of_a_user_has_a_button,
)

#: A family asks more often than three times an hour.
LIMITS = """
INSTALLED_APPS += ["entrance"]
PASSWORD_RESET_REQUEST_RATE_PER_IP = PASSWORD_RESET_REQUEST_RATE_PER_EMAIL = "100/h"
PASSWORD_RESET_CONFIRM_RATE_PER_IP = "100/m"
"""
ENTRANCE = """
from entrance.views import enter, who
urlpatterns += [path("enter/<path:key>", enter), path("who", who)]
"""
BUTTON = (*ADMIN, staff_find_the_link, the_page_of_a_user_has_a_button)
FILES = {"after_prepare.py": "from entrance.people import add_all\n\nadd_all()\n"}


def sessions(engine: str) -> str:
    return f'SESSION_ENGINE = "django.contrib.sessions.backends.{engine}"\n'


HOSTS = [
    Host(
        "family",
        (*WITHOUT_ADMIN, BUTTON, family.STEPS),
        settings=LIMITS + sessions("db"),
        urls=ENTRANCE,
        apps=("entrance",),
        files=FILES,
    ),
    # No user name, a UUID as key, the address called otherwise.
    Host(
        "uuid-people",
        (*WITHOUT_ADMIN, BUTTON, family.STEPS),
        settings=LIMITS
        + sessions("cached_db")
        + """
INSTALLED_APPS += ["uuid_people"]
AUTH_USER_MODEL = "uuid_people.Person"
""",
        urls=ENTRANCE,
        apps=("uuid_people", "entrance"),
        files=FILES,
        user_table="uuid_people_person",
    ),
    # Nothing more than Django asks of a user: no admin can stand on it.
    Host(
        "email-people",
        (*WITHOUT_ADMIN, family.STEPS),
        settings=LIMITS
        + sessions("cache")
        + """
INSTALLED_APPS += ["email_people"]
AUTH_USER_MODEL = "email_people.Person"
""",
        urls=ENTRANCE,
        without=("contrib.admin", "admin.site"),
        checks=(NO_LOGIN_PAGE,),
        apps=("email_people", "entrance"),
        files=FILES,
        user_table="email_people_person",
        login_page="",
        by_address=True,
    ),
]
