"""A lock installs its own versions, whatever the index has released since (pip issue
9644).
"""

import base64
import hashlib
import os
import shutil
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests import ROOT


def add_wheel(folder: Path, name: str, version: str, metadata: str = "") -> str:
    """Add a wheel with no code to an index; return its line for a lock."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: "
        f"{version}\n{metadata}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: "
        "true\nTag: py3-none-any\n",
    }
    path = folder / name / f"{name}-{version}-py3-none-any.whl"
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w") as wheel:
        for file, text in files.items():
            wheel.writestr(file, text)
        records = [
            f"{file},sha256={digest(text)},{len(text)}\n"
            for file, text in files.items()
        ]
        wheel.writestr(f"{info}/RECORD", "".join([*records, f"{info}/RECORD,,\n"]))
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


def digest(text: str) -> str:
    return (
        base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
        .rstrip(b"=")
        .decode()
    )


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None: ...


@pytest.fixture
def index(tmp_path: Path) -> Iterator[str]:
    """Serve a package index in which a locked package has a newer release; its lock
    lies beside it.
    """
    simple = tmp_path / "simple"
    simple.mkdir()
    extra = 'Provides-Extra: more\nRequires-Dist: leaf; extra == "more"\n'
    lock = [
        add_wheel(simple, "asker", "1.0", "Requires-Dist: pinned[more]>=1\n"),
        add_wheel(simple, "pinned", "1.0", extra),
        add_wheel(simple, "leaf", "1.0"),
    ]
    add_wheel(simple, "pinned", "2.0", extra)
    (tmp_path / "requirements.lock").write_text("".join(lock))
    with ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Quiet, directory=tmp_path)
    ) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/simple/"
        server.shutdown()


def test_make_installs_what_the_lock_names_though_the_index_has_newer_releases(
    index: str, tmp_path: Path
) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    pip = {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": index,
        "PIP_NO_CACHE_DIR": "1",
    }
    inherited = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PIP_", "MAKE"))
    }
    subprocess.run(
        ["make", "install-demo"], cwd=tmp_path, env=inherited | pip, check=True
    )
    freeze = [tmp_path / ".venv/bin/python", "-m", "pip", "freeze"]
    found = subprocess.run(
        freeze, env=inherited | pip, check=True, capture_output=True, text=True
    ).stdout.split()
    assert {"asker==1.0", "leaf==1.0", "pinned==1.0"} <= set(found)


@pytest.mark.parametrize(
    "path",
    [
        "Makefile",
        "deploy/Dockerfile",
        "deploy/server/switch.sh",
        "tests/kit/install",
        "tests/tools/interpreters.py",
    ],
)
def test_every_lock_is_installed_as_complete(path: str) -> None:
    text = (ROOT / path).read_text()
    assert (
        text.count("--no-deps --require-hashes")
        + text.count('"--no-deps", "--require-hashes"')
        == 1
    )
