"""Prove that no accepted request is lost: `python -m tests.outage [REQUESTS]`, a few
minutes, needs nothing running.

A site, a worker and the safety net run as processes of their own on a PostgreSQL of
their own, and mail to an SMTP server that goes down and up. The worker is killed three
times and the database restarted once. Whatever ends is started again, as a service
manager would. Only here are the lease and the pauses between attempts short: the worker
and the net are started through this module, which reads OUTAGE_LEASE and OUTAGE_PAUSE
(seconds) from its environment.
"""

import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import django
import requests

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.outage_settings")

WORKERS = {
    "worker": ["db_worker", "--interval", "0.2"],
    "net": ["process_reset_requests", "--loop", "--interval", "1"],
}
MINUTES = 5
#: Seconds between two requests: slow enough for each scene to meet mails on their way.
PACE = 0.05
USERS = """
    INSERT INTO users (email, password, first_name, last_name, language, is_superuser, is_staff, is_active, date_joined)
    SELECT 'user' || n || '@example.com', 'md5$x$x', '', '', 'en', false, false, true, now()
    FROM generate_series(1, %s) AS n
"""


def run_worker(name: str) -> None:
    """Be the worker or the net, with a short lease and short pauses."""
    django.setup()
    from django.core.management import call_command  # noqa: PLC0415 - needs settings

    from password_reset import outbox  # noqa: PLC0415 - needs settings

    outbox.LEASE = timedelta(seconds=float(os.environ["OUTAGE_LEASE"]))
    outbox.FIRST_PAUSE = timedelta(seconds=float(os.environ["OUTAGE_PAUSE"]))
    outbox.LONGEST_PAUSE = 20 * outbox.FIRST_PAUSE
    call_command(*WORKERS[name])


class Drama:
    """The parts and what happens to them."""

    def __init__(self, count: int) -> None:
        from tests.tools.processes import Processes  # noqa: PLC0415 - needs settings
        from tests.tools.servers import Postgres, free_port  # noqa: PLC0415
        from tests.tools.smtp import SmtpServer  # noqa: PLC0415

        self.count = count
        self.started = time.monotonic()
        self.postgres, self.smtp, self.processes = (
            Postgres(),
            SmtpServer(free_port()),
            Processes(),
        )
        self.accepted: list[str] = []
        self.refused = self.restarts = 0
        self.over = threading.Event()

    def open(self) -> None:
        self.postgres.start()
        self.smtp.start()
        os.environ["DATABASE_URL"] = self.postgres.url
        django.setup()
        from django.core.management import call_command  # noqa: PLC0415 - needs settings
        from django.db import connection  # noqa: PLC0415

        call_command("migrate", verbosity=0)
        with connection.cursor() as cursor:
            cursor.execute(USERS, [self.count])
        # What is kept open would die with the database.
        connection.close()
        connection.close_pool()
        self.environment = {
            **self.smtp.environment,
            "DJANGO_SETTINGS_MODULE": "tests.outage_settings",
            "OUTAGE_LEASE": os.environ.get("OUTAGE_LEASE", "10"),
            "OUTAGE_PAUSE": os.environ.get("OUTAGE_PAUSE", "0.5"),
        }
        self.site = self.processes.gunicorn(workers=1, **self.environment)
        self.workers = {name: self.hire(name) for name in WORKERS}
        for task in (self.visit, self.supervise):
            threading.Thread(target=task, daemon=True).start()

    def close(self) -> None:
        self.over.set()
        self.processes.close()
        self.smtp.close()
        self.postgres.close()

    def hire(self, name: str):
        return self.processes.start("-m", "tests.outage", name, **self.environment)

    def visit(self) -> None:
        """Ask for a link for every user, as a visitor does who tries again when told
        to.
        """
        door = f"{self.site.url}/api/auth/request-password-reset"
        for number in range(1, self.count + 1):
            email = f"user{number}@example.com"
            while not self.over.wait(PACE) and not self.ask(door, email):
                self.refused += 1

    def ask(self, door: str, email: str) -> bool:
        try:
            answer = requests.post(door, json={"email": email}, timeout=30)
        except requests.RequestException:
            return False
        if answer.status_code == 202:
            self.accepted.append(email)
        return answer.status_code == 202

    def supervise(self) -> None:
        """Start again what has ended."""
        while not self.over.wait(0.2):
            for name, process in self.workers.items():
                if process.process.poll() is not None:
                    self.restarts += 1
                    self.workers[name] = self.hire(name)

    def say(self, text: str) -> None:
        mails = len(self.smtp.deliveries)
        print(
            f"{time.monotonic() - self.started:6.1f} s  {len(self.accepted):5} "
            f"accepted {mails:5} mails   {text}",
            flush=True,
        )

    def after(self, share: float, what: str, act: Callable[[], object]) -> None:
        """Act when that share of the requests is accepted."""
        self.wait_for(lambda: len(self.accepted) >= share * self.count)
        self.say(what)
        act()

    def wait_for(self, ready: Callable[[], bool]) -> None:
        while not ready():
            if time.monotonic() - self.started > 60 * MINUTES:
                raise TimeoutError(f"not within {MINUTES} minutes")
            time.sleep(0.05)

    def kill_before_the_mail(self) -> None:
        self.workers["worker"].kill()

    def kill_during_the_mail(self) -> None:
        self.smtp.hold()
        self.smtp.held.wait(30)
        self.workers["worker"].kill()
        self.smtp.release()

    def kill_after_the_mail(self) -> None:
        """Kill when the server has just taken a mail, before or while the worker writes
        that down.
        """
        self.smtp.wait_for(len(self.smtp.deliveries) + 1)
        self.workers["worker"].kill()

    def restart_the_database(self) -> None:
        self.postgres.stop()
        self.postgres.start()

    def play(self) -> None:
        self.after(0.05, "mail server down", self.smtp.stop)
        self.after(0.20, "mail server up", self.smtp.start)
        self.after(
            0.30, "worker killed in the middle of a mail", self.kill_during_the_mail
        )
        self.after(0.45, "database restarted", self.restart_the_database)
        self.after(0.55, "worker killed right after a mail", self.kill_after_the_mail)
        self.after(
            0.60,
            "mail server answers 451",
            lambda: self.smtp.replies.update({"*": "451 Try later"}),
        )
        self.after(0.70, "mail server takes mail again", self.smtp.replies.clear)
        self.after(0.75, "mail server down", self.smtp.stop)
        self.after(0.90, "mail server up", self.smtp.start)
        self.after(0.95, "worker killed at any moment", self.kill_before_the_mail)
        self.after(1.00, "all requests are accepted", lambda: None)
        self.wait_for(self.is_settled)
        self.say("nothing waits any more")

    def is_settled(self) -> bool:
        from password_reset.models import PasswordResetRequest  # noqa: PLC0415 - needs settings

        return not PasswordResetRequest.objects.pending().exists()

    def report(self) -> bool:
        """Print what became of the requests; tell whether each has its mail."""
        from password_reset.models import PasswordResetRequest  # noqa: PLC0415 - needs settings

        mails = Counter(
            address
            for delivery in self.smtp.deliveries
            for address in delivery.recipients
        )
        lost = set(self.accepted) - set(mails)
        given_up = PasswordResetRequest.objects.filter(failed_at__isnull=False).count()
        lines = {
            "accepted requests": len(self.accepted),
            "refused while the database was away (and asked again)": self.refused,
            "mails received": mails.total(),
            "people with more than one mail": sum(
                count > 1 for count in mails.values()
            ),
            "duplicates": mails.total() - len(mails),
            "restarts of a worker": self.restarts,
            "given up": given_up,
            "lost": len(lost),
        }
        print("\n".join(f"{value:6}  {name}" for name, value in lines.items()))
        print(f"{time.monotonic() - self.started:6.1f}  seconds")
        return not lost and not given_up and len(self.accepted) == self.count


def main(arguments: list[str]) -> int:
    if arguments and arguments[0] in WORKERS:
        run_worker(arguments[0])
        return 0
    drama = Drama(int(arguments[0]) if arguments else 1000)
    try:
        drama.open()
        drama.play()
        return 0 if drama.report() else 1
    finally:
        drama.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
