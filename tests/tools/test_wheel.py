"""The wheel and the source archive hold what they must, and the page on a package index
shows it. `tests/hosts` installs the wheel and walks it.
"""

import json
import os
import re
import shutil
import tarfile
from email.message import Message
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

from tests import ROOT
from tests.tools.archives import build, metadata_of

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
    "docs/how-to/cron.md",
    "docs/integrating.md",
    "examples/cron/manage.py",
    "examples/react/client/.npmrc",
    "examples/react/client/package-lock.json",
    "examples/run",
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
    "examples/celery/.beat.db",
    "examples/celery/.broker/valkey.log",
    "examples/cron/.account",
    "examples/cron/.secret-key",
    "examples/cron/.venv/pyvenv.cfg",
    "examples/cron/collected/style.css",
    "examples/cron/db.sqlite3",
    "examples/cron/mails/1.log",
    "examples/react/.built",
    "examples/react/client/dist/index.html",
    "examples/react/client/node_modules/react.js",
    "examples/react/client/src/openapi.d.ts",
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
def metadata(wheel: Path) -> Message:
    return metadata_of(wheel)


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


# The software bill of materials


@pytest.fixture(scope="module")
def bill(wheel: Path, names: set[str]) -> dict[str, Any]:
    [name] = [name for name in names if "/sboms/" in name]
    assert ".dist-info/sboms/" in name
    with ZipFile(wheel) as archive:
        found: dict[str, Any] = json.loads(archive.read(name))
        return found


def test_the_bill_of_materials_is_of_this_package(
    bill: dict[str, Any], metadata: Message
) -> None:
    part = bill["metadata"]["component"]
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.7")
    assert part["purl"] == f"pkg:pypi/{metadata['Name']}@{metadata['Version']}"
    assert part["licenses"] == [{"license": {"id": metadata["License-Expression"]}}]


def test_the_bill_of_materials_names_what_the_wheel_needs(
    bill: dict[str, Any], metadata: Message
) -> None:
    wanted = [Requirement(line) for line in metadata.get_all("Requires-Dist", [])]
    scopes = {part["name"]: part["scope"] for part in bill["components"]}
    assert scopes == {
        one.name: "optional" if one.marker else "required" for one in wanted
    }
    required = {part["bom-ref"] for part in bill["components"]} & set(
        bill["dependencies"][0]["dependsOn"]
    )
    assert required == {
        f"pkg:pypi/{one.name.lower()}" for one in wanted if not one.marker
    }


# The source archive


@pytest.fixture(scope="module")
def used_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the tree that somebody else has worked in: at another time, with
    other rights, and with what a demo and a deployment leave.
    """
    tree = tmp_path_factory.mktemp("sources") / "tree"
    aside = shutil.ignore_patterns(
        ".git", ".venv*", ".cache", ".*_cache", "node_modules"
    )
    shutil.copytree(ROOT, tree, ignore=aside)
    for path in LEFT_BEHIND:
        (tree / path).parent.mkdir(exist_ok=True)
        (tree / path).write_text("secret")
    for path in tree.rglob("*"):
        if path.is_file():
            path.chmod(path.stat().st_mode | 0o060)
            os.utime(path, (1_000_000_000, 1_000_000_000))
    return tree


@pytest.fixture(scope="module")
def source_archive(used_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("sdist", used_tree, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def sources(source_archive: Path) -> set[str]:
    with tarfile.open(source_archive) as found:
        return {name.partition("/")[2] for name in found.getnames()}


@pytest.mark.parametrize("name", SOURCES)
def test_the_source_archive_holds(sources: set[str], name: str) -> None:
    assert name in sources


def test_the_source_archive_holds_no_secret_of_a_demo_or_a_deployment(
    sources: set[str],
) -> None:
    assert sources & set(LEFT_BEHIND) == set()


# https://reproducible-builds.org/docs/definition/: whoever has the sources can check
# that an archive was made of nothing else.


def test_two_builds_of_the_wheel_are_the_same_to_the_byte(
    wheel: Path, used_tree: Path, tmp_path: Path
) -> None:
    again = build("wheel", used_tree, tmp_path)
    assert again.name == wheel.name
    assert again.read_bytes() == wheel.read_bytes()


def test_two_builds_of_the_source_archive_are_the_same_to_the_byte(
    source_archive: Path, tmp_path: Path
) -> None:
    again = build("sdist", ROOT, tmp_path)
    assert again.name == source_archive.name
    assert again.read_bytes() == source_archive.read_bytes()
