"""What one host is: what it adds to a new project with README's lines, and what is
expected of it there.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

#: Steps in the order in which a person takes them; each gets the visit.
Walk = tuple[Callable[[Any], None], ...]
WSGI = ("manage.py", "runserver", "--noreload", "{address}")
#: What `check` says where no page answers at LOGIN_URL.
NO_LOGIN_PAGE = "password_reset.W018"
ASGI = ("-m", "uvicorn", "host.asgi:application", "--port", "{port}")


@dataclass(frozen=True)
class Host:
    """A shape of host; everything but its name has a value that suits a new project."""

    name: str
    walks: tuple[Walk, ...]
    #: Lines below README's in the project's settings.py and urls.py.
    settings: str = ""
    urls: str = ""
    #: Lines of `startproject` that hold one of these words are left out.
    without: tuple[str, ...] = ()
    #: More files, by path.
    files: dict[str, str] = field(default_factory=dict)
    #: Folders of `tests/hosts/apps` that are copied into the project.
    apps: tuple[str, ...] = ()
    #: What `check --database default` says here, and nothing else.
    checks: tuple[str, ...] = ()
    #: The oldest Django that has what the host uses.
    since: str = "5.2"
    #: Installed with what the wheel declares, and not with what other hosts need.
    alone: bool = False
    server: tuple[str, ...] = WSGI
    #: Before the paths of the app's pages.
    prefix: str = ""
    language: str = "en"
    admin: str = "/admin/"
    user_table: str = "auth_user"
    #: Where people log in, by which field; where there is no such page, Django is asked.
    login_page: str = "/admin/login/"
    login_field: str = "username"
    by_address: bool = False
    catch_mails: bool = True
    quick_hashes: bool = True
    #: Any Python warning ends the host's process.
    strict: bool = True
    serves: bool = True
