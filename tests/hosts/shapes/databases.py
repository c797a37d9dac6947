"""More than one database, and transactions around requests."""

from tests.hosts.host import Host
from tests.hosts.steps import CHECK, EVERYTHING

#: Reads of the app's tables see what a replica that lags for ever has: nothing.
LAGGING = """
class Lagging:
    def db_for_read(self, model, **hints):
        return "replica" if model._meta.app_label == "password_reset" else "default"

    def db_for_write(self, model, **hints):
        return "default"

    def allow_relation(self, one, other, **hints):
        return True
"""
#: The app's tables lie elsewhere than the people.
APART = """
class Apart:
    def db_for_read(self, model, **hints):
        return "resets" if model._meta.app_label == "password_reset" else "default"

    db_for_write = db_for_read

    def allow_relation(self, one, other, **hints):
        return True

    def allow_migrate(self, db, app_label, **hints):
        return (db == "resets") == (app_label == "password_reset")
"""
SQLITE = '{"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "%s.sqlite3"}'


def second(name: str, router: str) -> str:
    return (
        f'DATABASES["{name}"] = {SQLITE % name}\n'
        f'DATABASE_ROUTERS = ["host.routers.{router}"]\n'
    )


HOSTS = [
    Host(
        "atomic-requests",
        EVERYTHING,
        settings='DATABASES["default"]["ATOMIC_REQUESTS"] = True',
    ),
    Host(
        "lagging-replica",
        EVERYTHING,
        settings=second("replica", "Lagging"),
        files={"host/routers.py": LAGGING},
    ),
    # The tables refer to users: the check says that they belong together.
    Host(
        "tables-on-another-database",
        (CHECK,),
        settings=second("resets", "Apart"),
        files={"host/routers.py": APART},
        checks=("password_reset.E008",),
        serves=False,
    ),
]
