"""The wheel and the source archive hold what they must, the page on a package index
shows it, and the wheel works in a project that knows nothing of this repository.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import venv
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from zipfile import ZipFile

import pytest
import requests

from tests.servers import dies_with_us, free_port, wait_until

ROOT = Path(__file__).parent.parent
OLD, NEW = "old-pass-phrase-1", "new-pass-phrase-2"
FILES = [
    "openapi.yaml",
    "py.typed",
    "migrations/0001_initial.py",
    "management/commands/process_reset_requests.py",
    "management/commands/purge_reset_tokens.py",
    "static/password_reset/password_reset.css",
    "static/password_reset/hide-token.js",
    "templates/password_reset/base.html",
    "templates/password_reset/confirm.html",
    "templates/password_reset/mail/reset.html",
    "templates/password_reset/mail/reset.txt",
    "templates/password_reset/mail/reset_subject.txt",
]
SOURCES = [
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "docs/images/forgot.png",
    "docs/integrating.md",
    "project/settings.py",
    "pyproject.toml",
    "tests/settings.py",
    "tests/test_wheel.py",
]
#: What a demo and a deployment leave in the tree.
LEFT_BEHIND = [
    ".env",
    ".mails/1.eml",
    "db.sqlite3",
    "deploy/.env",
    "deploy/.env.production",
    "deploy/secrets/smtp_password",
]
REPOSITORY = "https://github.com/django-resetkit/django-resetkit"
SETTINGS = """
import os
INSTALLED_APPS += ["password_reset"]
PASSWORD_RESET_BASE_URL = os.environ["SITE"]
EMAIL_FILE_PATH = BASE_DIR / "mails"
if DJANGO_6_1:
    MAILERS = {"default": {"BACKEND": FILES, "OPTIONS": {"file_path": BASE_DIR / "mails"}}}
    del EMAIL_FILE_PATH
else:
    EMAIL_BACKEND = FILES
"""
URLS = """
from django.urls import include
urlpatterns += [path("", include("password_reset.urls")), path("api/auth/", include("password_reset.api_urls"))]
"""


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Run a command that knows nothing of this repository and return what it prints."""
    outside = {
        key: os.environ[key]
        for key in ("HOME", "PATH", "SSL_CERT_FILE")
        if key in os.environ
    }
    result = subprocess.run(
        command, cwd=cwd, env=outside | environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def build(kind: str, source: Path, folder: Path) -> Path:
    """Build one of the two archives and return its path."""
    command = [sys.executable, "-m", "build", f"--{kind}", "--no-isolation"]
    run(*command, "--outdir", folder, cwd=source)
    return next(folder.iterdir())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.mark.parametrize("name", FILES)
def test_the_wheel_holds(names: set[str], name: str) -> None:
    assert f"password_reset/{name}" in names


def test_the_wheel_holds_nothing_but_the_package(names: set[str]) -> None:
    roots = {name.split("/")[0] for name in names}
    assert roots == {
        "password_reset",
        next(root for root in roots if root.endswith(".dist-info")),
    }
    assert not [
        name for name in names if re.search(r"(^|/)tests?(/|_)|conftest|\.pyc$", name)
    ]


def test_every_tracked_file_of_the_package_is_in_the_wheel(names: set[str]) -> None:
    package = ROOT / "password_reset"
    files = {
        str(path.relative_to(ROOT)) for path in package.rglob("*") if path.is_file()
    }
    assert {name for name in files if "__pycache__" not in name} <= names


def test_every_translation_in_the_wheel_is_compiled(names: set[str]) -> None:
    sources = {name for name in names if name.endswith(".po")}
    assert {name.replace(".po", ".mo") for name in sources} <= names


# The page on a package index


@pytest.fixture(scope="module")
def metadata(wheel: Path, names: set[str]) -> Message:
    name = next(name for name in names if name.endswith(".dist-info/METADATA"))
    with ZipFile(wheel) as archive:
        return message_from_bytes(archive.read(name))


@pytest.fixture(scope="module")
def description(metadata: Message) -> str:
    text = metadata.get_payload(decode=True)
    assert isinstance(text, bytes)
    return text.decode()


def test_every_link_and_picture_of_the_page_is_absolute(description: str) -> None:
    targets = re.findall(r"\]\(([^)]*)\)", description)
    assert len(targets) > 15
    assert [target for target in targets if not target.startswith("https://")] == []


def test_every_page_and_picture_that_is_linked_is_in_the_repository(
    description: str,
) -> None:
    pages = rf"{REPOSITORY}/blob/main/([^)#]+)"
    pictures = r"https://raw\.githubusercontent\.com/[\w-]+/[\w-]+/main/([^)]+)"
    for pattern in (pages, pictures):
        found = re.findall(pattern, description)
        assert found
        assert [path for path in found if not (ROOT / path).is_file()] == []


def test_the_page_is_readme_otherwise(description: str) -> None:
    readme = re.sub(r"\]\([^)]*\)", "]()", (ROOT / "README.md").read_text())
    assert re.sub(r"\]\([^)]*\)", "]()", description).strip() == readme.strip()


def test_the_page_says_where_and_by_whom(metadata: Message) -> None:
    links = dict(entry.split(", ") for entry in metadata.get_all("Project-URL", []))
    assert set(links) == {
        "Homepage",
        "Documentation",
        "Changelog",
        "Issues",
        "Security",
    }
    assert all(link.startswith(REPOSITORY) for link in links.values())
    assert metadata["Author"] == "The django-resetkit developers"
    assert metadata["Description-Content-Type"] == "text/markdown"
    for version in ("5.2", "6.0", "6.1"):
        classifier = f"Framework :: Django :: {version}"
        assert classifier in metadata.get_all("Classifier", [])


# The source archive


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Return what is in the archive of a tree that somebody has worked in."""
    tree = tmp_path_factory.mktemp("sources") / "tree"
    aside = shutil.ignore_patterns(".git", ".venv*", ".*_cache", "node_modules")
    shutil.copytree(ROOT, tree, ignore=aside)
    for path in LEFT_BEHIND:
        (tree / path).parent.mkdir(exist_ok=True)
        (tree / path).write_text("secret")
    archive = build("sdist", tree, tmp_path_factory.mktemp("sdist"))
    with tarfile.open(archive) as found:
        return {name.partition("/")[2] for name in found.getnames()}


@pytest.mark.parametrize("name", SOURCES)
def test_the_source_archive_holds(sources: set[str], name: str) -> None:
    assert name in sources


def test_the_source_archive_holds_no_secret_of_a_demo_or_a_deployment(
    sources: set[str],
) -> None:
    assert sources & set(LEFT_BEHIND) == set()


# A project


class Host:
    """A new project outside the tree, made by `startproject`, with the wheel installed."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self.folder = folder / "host"
        venv.create(folder / "env", with_pip=True, symlinks=True)
        self.python = folder / "env" / "bin" / "python"
        self.install(wheel)
        self.folder.mkdir()
        run(self.python, "-m", "django", "startproject", "host", ".", cwd=self.folder)
        self.add("settings.py", self.settings())
        self.add("urls.py", URLS)

    def install(self, wheel: Path) -> None:
        """Install the wheel and, at the locked versions, what it declares and nothing
        else.
        """
        pip = [
            self.python,
            "-m",
            "pip",
            "--quiet",
            "--disable-pip-version-check",
            "install",
        ]
        pins = self.folder.with_name("constraints.txt")
        freeze = run(
            sys.executable, "-m", "pip", "freeze", "--exclude-editable", cwd=ROOT
        )
        pins.write_text("\n".join(line for line in freeze.splitlines() if "==" in line))
        pip_settings = {
            key: value
            for key, value in os.environ.items()
            if key.startswith(("PIP_", "REQUESTS_"))
        }
        run(*pip, "--constraint", pins, wheel, cwd=self.folder.parent, **pip_settings)

    def settings(self) -> str:
        files = "django.core.mail.backends.filebased.EmailBackend"
        version = json.loads(
            run(
                self.python,
                "-c",
                "import django; print(list(django.VERSION[:2]))",
                cwd=Path("/"),
            )
        )
        return f"FILES = {files!r}\nDJANGO_6_1 = {version >= [6, 1]}\n{SETTINGS}"

    def add(self, name: str, text: str) -> None:
        with (self.folder / "host" / name).open("a") as file:
            file.write(text)

    def manage(self, *arguments: str) -> str:
        return run(self.python, "manage.py", *arguments, cwd=self.folder, SITE=self.url)

    def serve(self) -> subprocess.Popen[bytes]:
        command = [
            self.python,
            "manage.py",
            "runserver",
            "--noreload",
            self.url.removeprefix("http://"),
        ]
        with (self.folder / "log").open("wb") as log:
            environment = {"SITE": self.url, "PATH": os.environ["PATH"]}
            return subprocess.Popen(
                [*dies_with_us("TERM"), *command],
                cwd=self.folder,
                env=environment,
                stdout=log,
                stderr=log,
            )

    def answers(self) -> bool:
        try:
            return (
                requests.get(f"{self.url}/forgot-password", timeout=5).status_code
                == 200
            )
        except requests.ConnectionError:
            return False

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def post(self, path: str, **fields: str) -> requests.Response:
        """Open the page as a browser does and send its form."""
        with requests.Session() as browser:
            page = browser.get(self.url + path, timeout=10)
            hidden = dict(
                re.findall(r'type="hidden" name="(\w+)" value="(\w+)"', page.text)
            )
            address = (self.url + path).split("?")[0]
            return browser.post(
                address, data=hidden | fields, timeout=10, allow_redirects=False
            )

    def mails(self) -> str:
        texts = [path.read_text() for path in sorted((self.folder / "mails").glob("*"))]
        return "".join(texts).replace("=\n", "").replace("=3D", "=")

    def mailed_tokens(self) -> set[str]:
        link = re.escape(self.url) + r"/reset-password\?token=([0-9a-f]{64})"
        return set(re.findall(link, self.mails()))

    def can_log_in(self, password: str) -> bool:
        code = f"from django.contrib.auth import authenticate as a; print(a(username='ann', password={password!r}))"
        return self.manage("shell", "--no-imports", "-c", code).strip() == "ann"


@pytest.fixture(scope="module")
def host(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    site = Host(tmp_path_factory.mktemp("outside"), wheel)
    site.manage("migrate", "--verbosity", "0")
    ann = f"from django.contrib.auth.models import User as U; U.objects.create_user('ann', 'ann@example.com', {OLD!r})"
    site.manage("shell", "--no-imports", "-c", ann)
    server = site.serve()
    wait_until(site.answers, site.log)
    yield site
    server.terminate()
    server.wait(20)


def test_a_new_project_has_no_error_in_its_checks(host: Host) -> None:
    assert "ERRORS" not in host.manage(
        "check", "--database", "default", "--fail-level", "ERROR"
    )


def test_a_new_project_resets_a_password(host: Host) -> None:
    assert host.can_log_in(OLD)
    assert (
        host.post("/forgot-password", email="ann@example.com").headers["Location"]
        == "/forgot-password/done"
    )
    wait_until(lambda: bool(host.mailed_tokens()), host.log)
    [token] = host.mailed_tokens()
    reset = host.post(
        f"/reset-password?token={token}", new_password1=NEW, new_password2=NEW
    )
    assert reset.headers["Location"] == "/reset-password/done"
    assert host.can_log_in(NEW)
    assert not host.can_log_in(OLD)


def test_a_new_project_answers_programs(host: Host) -> None:
    address = f"{host.url}/api/auth/verify-reset-token"
    answer = requests.post(address, json={"token": "0" * 64}, timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (404, "token_invalid")
