"""The kit's real pieces on free ports of 127.0.0.1: TLS and passwords everywhere, as
DEPLOYMENT.md has it.
"""

import imaplib
import mailbox
import os
import pwd
import shlex
import signal
import ssl
import subprocess
from email.message import Message
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import AuthResult

from tests import ROOT
from tests.kit.programs import find_program, missing
from tests.tools.servers import (
    START_SECONDS,
    Postgres,
    Redis,
    Server,
    debian_postgres_binaries,
    dies_with_us,
    free_port,
    in_namespace_as,
)
from tests.tools.smtp import SmtpServer

DEPLOY = ROOT / "deploy"
OWNER_PASSWORD = "the-owners-9f2c"  # a throw-away database's
APP_PASSWORD = "the-sites-4b1d"
REDIS_PASSWORD = "the-counters-77aa"
SMTP_USER, SMTP_PASSWORD = "mailer", "the-mailers-e3d0"


def make_certificates(folder: Path, name: str, *hosts: str) -> None:
    command = [DEPLOY / "make_certificates", folder, name, *hosts]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


class TlsPostgres(Postgres):
    """Debian's PostgreSQL; over the network it wants TLS and a password."""

    def __init__(self) -> None:
        binaries = next(iter(debian_postgres_binaries()), None)
        # The server takes this process for the system's user postgres: `peer` in
        # pg_hba.conf lets it in and, of all users of this machine, nobody else.
        super().__init__(
            binaries or Path(str(missing("postgresql"))),
            in_namespace_as(pwd.getpwnam("postgres").pw_uid),
        )
        self.folder.chmod(0o755)
        make_certificates(self.folder, "database", "localhost", "127.0.0.1")
        self.url = (
            f"postgresql://postgres@/postgres?host={self.folder}&port={self.port}"
        )
        self.ca = self.folder / "ca.pem"

    def command(self) -> list[str]:
        files = {
            "ssl_cert_file": self.folder / "database.pem",
            "ssl_key_file": self.folder / "database.key",
            "hba_file": DEPLOY / "postgresql" / "pg_hba.conf",
        }
        options = ["-c", "ssl=on"]
        for setting, path in files.items():
            options += ["-c", f"{setting}={path}"]
        return [*super().command(), *options]

    def address(self, role: str, password: str, database: str = "yourapp_db") -> str:
        return f"postgresql://{role}:{password}@127.0.0.1:{self.port}/{database}"

    def create(self) -> None:
        """Create the owner and the empty database, as step 1 of DEPLOYMENT.md does."""
        passwords = {
            "OWNER_DATABASE_PASSWORD": OWNER_PASSWORD,
            "APP_DATABASE_PASSWORD": APP_PASSWORD,
        }
        psql = [self.binaries / "psql", "--no-psqlrc", "--quiet", self.url, "--file"]
        subprocess.run(
            [*psql, DEPLOY / "sql" / "roles.sql"],
            env=os.environ | passwords,
            check=True,
        )


class PasswordRedis(Redis):
    """Debian's Redis with the kit's file, and the password that ends it."""

    def __init__(self) -> None:
        super().__init__(find_program("redis-server", "redis-server"))
        lines = [
            f"port {self.port}",
            f"dir {self.folder}",
            f"requirepass {REDIS_PASSWORD}",
        ]
        shipped = (DEPLOY / "redis" / "password-reset.conf").read_text()
        (self.folder / "redis.conf").write_text("\n".join([shipped, *lines]))

    def command(self) -> list[str]:
        return [*dies_with_us("TERM"), self.binary, str(self.folder / "redis.conf")]

    def answers(self) -> bool:
        try:
            return self.ask("PING").startswith("PONG")
        except subprocess.CalledProcessError:
            return False

    def ask(self, *words: str, password: str = REDIS_PASSWORD) -> str:
        command = ["redis-cli", "-p", str(self.port), *words]
        environment = os.environ | ({"REDISCLI_AUTH": password} if password else {})
        result = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True
        )
        return result.stdout


def tls_mail_server(
    folder: Path, host: str = "127.0.0.1", name: str = "localhost"
) -> SmtpServer:
    """Return an SMTP server that wants STARTTLS, then a password."""
    make_certificates(folder, "mail", name, host)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "mail.pem", folder / "mail.key")
    options = {"tls_context": context, "require_starttls": True, "auth_required": True}
    # aiosmtpd asks for a "User Name", which Alertmanager does not know as LOGIN.
    options["auth_exclude_mechanism"] = ["LOGIN"]
    return SmtpServer(free_port(), host, authenticator=authenticate, **options)


def authenticate(
    server: Any, session: Any, envelope: Any, mechanism: str, data: Any
) -> AuthResult:
    right = (data.login, data.password) == (SMTP_USER.encode(), SMTP_PASSWORD.encode())
    return AuthResult(success=right, handled=False)


class Unit(Server):
    """What a unit of systemd starts, from a release and with the environment of a file.

    In a process namespace of its own, as in a container: all of them begin to count at
    1.
    """

    stop_signal = signal.SIGTERM

    def __init__(self, unit: str, release: Path, environment: Path, ready: str) -> None:
        super().__init__()
        self.release, self.environment, self.ready = release, environment, ready
        self.exec_start = exec_start(unit, release)[0]

    def command(self) -> list[str]:
        # A user namespace only where it is needed: root has no use for one.
        namespaces = ["--pid", "--fork", "--kill-child", "--mount-proc"]
        user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        alone = ["unshare", *user, *namespaces, "--"]
        clean = ["env", "-i", f"PATH={os.environ['PATH']}", "PYTHONUNBUFFERED=1"]
        # KILL: `unshare` is deaf to TERM, and hands KILL on to its child.
        return [*dies_with_us("KILL"), *alone, *clean, "sh", "-ec", self.script()]

    def script(self) -> str:
        where, settings = (
            shlex.quote(str(self.release)),
            shlex.quote(str(self.environment)),
        )
        return f"cd {where}; set -a; . {settings}; set +a; exec {self.exec_start}"

    def answers(self) -> bool:
        # What an earlier start has said does not count.
        with (self.folder / "log").open("rb") as log:
            log.seek(self.log_begins)
            return self.ready.encode() in log.read()

    def _end(self, how: signal.Signals) -> None:
        # `unshare` itself is deaf to SIGTERM while its child runs; the child is the
        # service.
        if self.process is not None and how != signal.SIGKILL:
            children = read(
                Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
            )
            for child in children.split():
                os.kill(int(child), how)
            self.process.wait(START_SECONDS)
        super()._end(signal.SIGKILL)

    def full_log(self) -> str:
        return read(self.folder / "log")

    def process_ids(self) -> set[int]:
        """Return the ids that its processes have inside their namespace."""
        assert self.process is not None
        ids = set()
        for status in Path("/proc").glob("[0-9]*/status"):
            lines = dict(
                line.split(":", 1) for line in read(status).splitlines() if ":" in line
            )
            seen = lines.get("NSpid", "").split()
            if len(seen) > 1 and is_below(self.process.pid, int(seen[0])):
                ids.add(int(seen[-1]))
        return ids


def read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # it has just ended
        return ""


def is_below(ancestor: int, process: int) -> bool:
    while process > 1:
        if process == ancestor:
            return True
        after_name = read(Path(f"/proc/{process}/stat")).rpartition(")")[2].split()
        process = int(after_name[1]) if after_name else 0
    return False


def exec_start(unit: str, release: Path) -> list[str]:
    """Return the commands of a shipped unit, with the release's folder instead of the
    server's.
    """
    lines = (DEPLOY / "systemd" / unit).read_text().splitlines()
    commands = [
        line.partition("=")[2] for line in lines if line.startswith("ExecStart=")
    ]
    return [
        command.replace("/srv/password-reset/current", str(release))
        for command in commands
    ]


class Nginx(Server):
    """Debian's nginx with the kit's template, filled in by the command of
    DEPLOYMENT.md.
    """

    stop_signal = signal.SIGTERM

    def __init__(self, release: Path, upstream: str, https_port: int) -> None:
        super().__init__()
        self.binary = find_program("nginx", "nginx")
        self.http_port, self.port = free_port(), https_port
        make_certificates(
            self.folder, "site", "localhost", "yourapp.com", "api.yourapp.com"
        )
        self.variables = {
            "SERVER_NAMES": "localhost yourapp.com api.yourapp.com",
            "HTTP_PORT": str(self.http_port),
            "HTTPS_PORT": str(self.port),
            "TLS_CERTIFICATE": str(self.folder / "site.pem"),
            "TLS_KEY": str(self.folder / "site.key"),
            "UPSTREAM": upstream,
            "STATIC_DIR": str(release / "staticfiles"),
            "PAGES_DIR": str(DEPLOY / "nginx" / "pages"),
            "LOG_DIR": str(self.folder),
        }
        self.configuration = self.write()

    def write(self) -> Path:
        site, main = self.folder / "site.conf", self.folder / "nginx.conf"
        names = " ".join(f"${name}" for name in self.variables)
        template = (DEPLOY / "nginx" / "password-reset.conf.template").open()
        command = [find_program("envsubst", "gettext-base"), names]
        environment = os.environ | self.variables
        with template, site.open("w") as target:
            subprocess.run(
                command, stdin=template, stdout=target, env=environment, check=True
            )
        user = "user root;" if os.geteuid() == 0 else ""
        paths = " ".join(
            f"{kind}_temp_path {self.folder}/{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        main.write_text(
            f"{user} daemon off; pid {self.folder}/pid; error_log "
            f"{self.folder}/main.log;\n"
            f"events {{}} http {{ include /etc/nginx/mime.types; {paths} include {site}; }}\n"
        )
        return main

    def command(self) -> list[str]:
        return [*dies_with_us("TERM"), self.binary, "-c", str(self.configuration)]

    def answers(self) -> bool:
        return (self.folder / "pid").exists() and read(
            self.folder / "pid"
        ).strip() != ""

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    def logs(self) -> str:
        return "".join(
            read(self.folder / name) for name in ("access.log", "error.log", "main.log")
        )


class Imap(Server):
    """Debian's Dovecot, showing one user over TLS what a mail server has accepted."""

    stop_signal = signal.SIGTERM

    def __init__(self) -> None:
        super().__init__()
        self.binary = find_program("dovecot", "dovecot-imapd")
        make_certificates(self.folder, "imap", "localhost", "127.0.0.1")
        self.ca = self.folder / "ca.pem"
        # Dovecot's own processes must be able to enter its folder, and no mailbox may
        # be root's.
        self.folder.chmod(0o755)
        self.owner = pwd.getpwuid(os.geteuid() or pwd.getpwnam("nobody").pw_uid)
        self.maildir = self.folder / "Maildir"
        mailbox.Maildir(self.maildir)
        self.give_to_owner()
        (self.folder / "dovecot.conf").write_text(self.configuration())
        self.address = (
            f"imaps://{SMTP_USER}:{SMTP_PASSWORD}@127.0.0.1:{self.port}/INBOX"
        )

    def give_to_owner(self) -> None:
        for path in (self.maildir, *self.maildir.rglob("*")):
            os.chown(path, self.owner.pw_uid, self.owner.pw_gid)

    def deliver(self, message: Message) -> None:
        mailbox.Maildir(self.maildir).add(message)
        self.give_to_owner()

    def configuration(self) -> str:
        users = f"default_internal_user = {self.owner.pw_name}\ndefault_login_user = {self.owner.pw_name}"
        return f"""
            base_dir = {self.folder}/run
            log_path = {self.folder}/dovecot.log
            protocols = imap
            listen = 127.0.0.1
            {users if os.geteuid() else ""}
            first_valid_uid = 1
            mail_location = maildir:{self.maildir}
            ssl = required
            ssl_cert = <{self.folder}/imap.pem
            ssl_key = <{self.folder}/imap.key
            passdb {{
              driver = static
              args = password={SMTP_PASSWORD}
            }}
            userdb {{
              driver = static
              args = uid={self.owner.pw_uid} gid={self.owner.pw_gid} home={self.maildir}
            }}
            service imap-login {{
              inet_listener imap {{
                port = 0
              }}
              inet_listener imaps {{
                port = {self.port}
                ssl = yes
              }}
            }}
        """

    def command(self) -> list[str]:
        configuration = str(self.folder / "dovecot.conf")
        return [*dies_with_us("TERM"), self.binary, "-F", "-c", configuration]

    def answers(self) -> bool:
        context = ssl.create_default_context(cafile=self.ca)
        try:
            imaplib.IMAP4_SSL(
                "127.0.0.1", self.port, ssl_context=context, timeout=5
            ).logout()
        except (OSError, imaplib.IMAP4.error):
            return False
        return True
