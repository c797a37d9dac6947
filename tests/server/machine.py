"""An empty Debian with a systemd of its own, on this machine's kernel: debootstrap once,
then a copy-on-write layer and systemd-nspawn for each.

It shares this machine's network, so that apt and pip reach what they reach here. What
pip needs for that (its configuration, an authority, a folder of wheels) is taken from
this machine and shown to it read-only.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests import ROOT
from tests.tools.servers import wait_until
from tests.tools.sources import copy_sources

CACHE = Path(os.environ.get("SERVER_CACHE", ROOT / ".cache" / "server")).resolve()
#: "noble", with SERVER_MIRROR, is Ubuntu 24.04.
SUITE = os.environ.get("SERVER_SUITE", "bookworm")
#: What a minimal installation of Debian has beside the essential packages.
BASE = "systemd,systemd-sysv,dbus,ca-certificates,iproute2,procps,cron"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
BOOT_SECONDS = 60
#: The mirror; by default Debian's, as debootstrap has it.
MIRROR = os.environ.get("SERVER_MIRROR", "")
IS_UBUNTU = SUITE == "noble"
COMPONENTS = "main,universe" if IS_UBUNTU else "main"
#: All releases of Ubuntu have one; Debian's debootstrap knows the names of the old.
SCRIPT = ["/usr/share/debootstrap/scripts/gutsy"] if IS_UBUNTU else []


class Failed(Exception):
    """A command in the machine that ended with an error; its text is its output."""


def empty_system() -> Path:
    """Return the tree of an empty system, made at the first call."""
    tree = CACHE / SUITE
    if not tree.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        new = CACHE / f"{SUITE}.new"
        shutil.rmtree(new, ignore_errors=True)
        command = ["debootstrap", "--variant=minbase", f"--include={BASE}"]
        command += [f"--components={COMPONENTS}", SUITE, str(new), MIRROR, *SCRIPT]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        new.rename(tree)
    return tree


def pip_options() -> dict[str, str]:
    """Return pip's own variables, and its cache, which is worth keeping."""
    given = {name: value for name, value in os.environ.items() if name[:4] == "PIP_"}
    return {"PIP_CERT": "/etc/ssl/certs/ca-certificates.crt"} | given


def what_pip_reads() -> Iterator[Path]:
    """Yield the files and folders of this machine that pip's configuration is in, or
    names.
    """
    listed = [sys.executable, "-m", "pip", "config", "debug"]
    debug = subprocess.run(listed, capture_output=True, text=True).stdout
    files = [line.strip().partition(", exists: True")[0] for line in debug.splitlines()]
    configured = [
        Path(name) for name in files if name[:1] == "/" and Path(name).is_file()
    ]
    yield from configured
    words = " ".join(path.read_text() for path in configured)
    words += " " + " ".join(pip_options().values())
    for word in words.replace("file://", " ").split():
        if word[:1] == "/" and Path(word).exists():
            # The pages of a package index lead to files beside them.
            yield Path(word).parent if Path(word).name == "simple" else Path(word)


class Machine:
    """One server; `boot()` starts it, `close()` leaves nothing behind."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.folder = CACHE / f"machine-{name}-{os.getpid()}"
        self.root = self.folder / "root"
        self.process: subprocess.Popen[bytes] | None = None

    # Its life.

    def boot(self) -> None:
        for part in ("upper", "work", "root"):
            (self.folder / part).mkdir(parents=True)
        layers = f"lowerdir={empty_system()},upperdir={self.folder}/upper"
        options = f"{layers},workdir={self.folder}/work"
        mount = ["mount", "-t", "overlay", "overlay", "-o", options, self.root]
        subprocess.run(mount, check=True)
        self.start()

    def start(self) -> None:
        with (self.folder / "console").open("ab") as console:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=console, stderr=console
            )
        self.wait_until_up()

    def command(self) -> list[str]:
        (CACHE / "apt" / "partial").mkdir(parents=True, exist_ok=True)
        (CACHE / "pip").mkdir(exist_ok=True)
        seen = [f"--bind-ro={path}" for path in sorted(set(what_pip_reads()))]
        seen = [option for option in seen if "/etc/ssl/" not in option]
        certificates = "/etc/ssl/certs/ca-certificates.crt"
        return [
            "systemd-nspawn",
            "--quiet",
            "--boot",
            f"--directory={self.root}",
            f"--machine={self.name}",
            "--hostname=server",
            "--register=no",
            "--keep-unit",
            "--console=passive",
            f"--bind={CACHE}/apt:/var/cache/apt/archives",
            f"--bind={CACHE}/pip:/var/cache/pip",
            f"--bind-ro={certificates}:/var/cache/authorities.pem",
            *seen,
        ]

    @property
    def leader(self) -> int:
        """The process id of its init, as this machine sees it; 0 while there is none."""
        assert self.process is not None
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(children[0]) if children else 0

    def is_up(self) -> bool:
        if not self.leader:
            return False
        state = self.run("systemctl is-system-running", check=False).stdout.strip()
        return state in {"running", "degraded"}

    def wait_until_up(self, seconds: float = BOOT_SECONDS) -> None:
        wait_until(self.is_up, (self.folder / "console").read_text, seconds)

    def reboot(self) -> float:
        """Restart it and return how many seconds it took until systemd had started all."""
        started = time.monotonic()
        self.run("systemctl reboot", check=False)
        assert self.process is not None
        # It ends at a reboot, and leaves it to others to start it again.
        self.process.wait(90)
        self.start()
        return time.monotonic() - started

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        subprocess.run(["umount", "--lazy", self.root], check=False)
        if "SERVER_KEEP" not in os.environ:
            shutil.rmtree(self.folder, ignore_errors=True)

    # What is done in it.

    def arguments(
        self, script: str, user: str, environment: dict[str, str]
    ) -> list[str]:
        given = {"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": "/"} | environment
        clean = ["env", "-i", *[f"{name}={value}" for name, value in given.items()]]
        become = [] if user == "root" else ["runuser", "-u", user, "--"]
        enter = ["nsenter", "--target", str(self.leader), "--all", "--wdns=/"]
        return [*enter, *clean, *become, "bash", "-c", script]

    def run(
        self,
        script: str,
        user: str = "root",
        check: bool = True,
        seconds: float = 900,
        **environment: str,
    ) -> subprocess.CompletedProcess[str]:
        """Run a script of bash in it."""
        result = subprocess.run(
            self.arguments(script, user, environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        if check and result.returncode:
            raise Failed(f"{script}\n{result.stdout}\n{result.stderr}")
        return result

    def read(self, path: str) -> str:
        return self.run(f"cat {shlex.quote(path)}").stdout

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(mode)

    def copy_sources(self, folder: str) -> None:
        """Copy what git knows, as a clone on the server would have it."""
        copy_sources(self.root / folder.lstrip("/"))

    def snapshot(self, *folders: str) -> dict[str, str]:
        """Return what is in folders: of each file its mode, owner, time and content."""
        find = shlex.join(["find", *folders, "-xdev", "-type", "f"])
        stat = "-exec stat --format '%n %a %U:%G %Y' {} +"
        lines = self.run(f"{find} {stat} | sort").stdout.splitlines()
        return dict(line.split(" ", 1) for line in lines)
