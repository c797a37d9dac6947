"""docs/tutorial.md, typed into an empty folder: nothing is done that it does not say."""

import re
import resource
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import NamedTuple

import pytest

from tests import ROOT
from tests.hosts import environments
from tests.hosts.browser import Browser, Page
from tests.hosts.terminal import Terminal
from tests.tools.servers import free_port, wait_until

TUTORIAL = ROOT / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: The first line of a block that is a file, as a comment of its language.
NAME = re.compile(r"^(?:#|\{#|/\*) ([\w/.]+\.\w+)(?: #\}| \*/)?$")
LINK = re.compile(r"http://127\.0\.0\.1:8000(/\S+\?token=[0-9a-f]{64})")
#: Commands that do not end by themselves.
SERVERS = ("runserver", "--loop")
ADA, FORGOTTEN, NEW = "ada@example.com", "the-one-that-ada-forgets", "one-for-next-time"
MINUTES = 5


class Block(NamedTuple):
    language: str
    text: str


class Newcomer:
    """Somebody who does what the page says, a section at a time."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        self.folder = folder
        self.port = free_port()
        #: pip finds the package on no index yet.
        constraints = folder.parent / "constraints.txt"
        constraints.write_text(f"django-resetkit @ {wheel.as_uri()}\n")
        python = environments.python_for("5.2")
        self.environment = {
            "PATH": f"{folder.parent / 'bin'}:/usr/local/bin:/usr/bin:/bin",
            "PIP_CONSTRAINT": str(constraints),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }
        (folder.parent / "bin").mkdir()
        (folder.parent / "bin" / "python3").symlink_to(python.resolve())
        # The tutorial's port may be taken on this machine.
        text = TUTORIAL.read_text().replace(":8000", f":{self.port}")
        text = text.replace("runserver\n", f"runserver {self.port}\n")
        parts = re.split(r"^## (.*)\n", text, flags=re.MULTILINE)
        self.sections = dict(zip(parts[1::2], parts[2::2], strict=True))
        self.is_served = True
        #: The last command that went on.
        self.loop = ""
        self.terminals: list[Terminal] = []
        self.terminals.append(self.new_terminal())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def mails(self) -> str:
        """Return what the newest terminal shows."""
        return self.terminals[-1].read()

    def new_terminal(self) -> Terminal:
        name = f"terminal-{len(self.terminals)}"
        return Terminal(self.folder, name, **self.environment)

    def follow(self, section: str) -> str:
        """Do what a section says; return what the last command has said."""
        text, said = self.sections.pop(section), ""
        for part in re.split(r"(?=^In a second terminal)", text, flags=re.MULTILINE):
            if part.startswith("In a second terminal"):
                self.terminals.append(self.new_terminal())
            for block in (Block(*found) for found in BLOCK.findall(part)):
                said = self.do(block)
        return said

    def do(self, block: Block) -> str:
        said = ""
        if block.language != "console":
            self.write(block.text)
            return said
        for line in block.text.splitlines():
            assert line.startswith("$ "), line
            command = line.removeprefix("$ ")
            if any(word in SERVERS for word in command.split()):
                self.terminals[-1].start(command)
                self.loop = command
            else:
                said = self.terminals[-1].type(command)
        return said

    def write(self, text: str) -> None:
        first = text.partition("\n")[0]
        path = self.folder / NAME.match(first)[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.read_text() + "\n" if path.exists() else ""
        started = self.starts()
        path.write_text(before + text)
        if started and self.is_served and path.suffix == ".py":
            # The server says on its console that it begins anew.
            why = self.terminals[0].read
            wait_until(lambda: self.starts() > started, why, seconds=60, pause=0.5)
            self.waits_for("password")

    def starts(self) -> int:
        return self.terminals[0].read().count("Starting development server")

    def close(self) -> None:
        for terminal in self.terminals:
            terminal.close()

    def presses_ctrl_c(self) -> None:
        self.is_served = False
        for terminal in self.terminals:
            terminal.interrupt()
            terminal.type("echo over")

    # In the browser

    def sees(self, words: str, path: str = "/forgot-password") -> bool:
        try:
            return words in Browser(self.url).open(path).text
        except OSError:
            return False

    def waits_for(self, words: str, path: str = "/forgot-password") -> None:
        wait_until(
            lambda: self.sees(words, path),
            lambda: f"no {words} on {path}: {self.terminals[0].read()}",
            seconds=90,
            pause=0.5,
        )

    def asks(self) -> Page:
        form = Browser(self.url).open("/forgot-password")
        return form.submit(email=ADA)

    def link(self, number: int) -> str:
        """Return the path of the link of the so manyth email in the newest terminal."""
        wait_until(lambda: len(LINK.findall(self.mails)) >= number, lambda: self.mails)
        return LINK.findall(self.mails)[number - 1]

    def logs_in(self, password: str) -> bool:
        form = Browser(self.url).open("/admin/")
        return form.submit(username="ada", password=password).path == "/admin/"


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[Newcomer]:
    wheel = environments.built_wheel(environments.digest_of_package())
    (tmp_path / "empty").mkdir()
    somebody = Newcomer(tmp_path / "empty", wheel)
    yield somebody
    somebody.close()


def processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_the_tutorial(newcomer: Newcomer) -> None:
    began, used = monotonic(), processor_seconds()
    newcomer.follow("A project")
    newcomer.waits_for("password")

    assert BLOCK.findall(newcomer.sections.pop("A reset")) == []
    assert newcomer.asks().path == "/forgot-password/done"
    link = newcomer.link(1)
    form = Browser(newcomer.url).open(link)
    form.submit(new_password1=NEW, new_password2=NEW)
    assert newcomer.logs_in(NEW)
    assert not newcomer.logs_in(FORGOTTEN)
    assert Browser(newcomer.url).open(link).status == 410
    until_a_reset = monotonic() - began

    newcomer.follow("Your look")
    assert newcomer.sees("plum.css")
    assert newcomer.sees("--pr-wall: #4a0d2b", "/static/plum.css")
    assert newcomer.sees("help@example.com", "/forgot-password/done")

    newcomer.follow("Your worker")
    newcomer.asks()
    newcomer.link(1)
    assert "Plum & Co" in newcomer.mails
    newcomer.terminals[-1].interrupt()
    newcomer.asks()
    newcomer.terminals[-1].start(newcomer.loop)
    newcomer.link(2)

    newcomer.follow("Your limits")
    assert [newcomer.asks().status for _ in range(3)] == [200, 200, 429]

    newcomer.presses_ctrl_c()
    said = newcomer.follow("Going live")
    for missing in ("W004", "W011", "security.W"):
        assert missing in said
    assert newcomer.sections == {}

    newcomer.close()
    assert until_a_reset < MINUTES * 60
    assert processor_seconds() - used < MINUTES * 60
    print(f"A reset after {until_a_reset:.0f} s")
