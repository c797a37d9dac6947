"""The wheel and the source archive hold what they must, and the page on a package index
shows it. `tests/hosts` installs the wheel and walks it.
"""

import re
import shutil
import tarfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests import ROOT
from tests.tools.archives import build

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
    "tests/tools/test_wheel.py",
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
    aside = shutil.ignore_patterns(
        ".git", ".venv*", ".cache", ".*_cache", "node_modules"
    )
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
