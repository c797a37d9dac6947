"""Every block of code in README and docs is run, or says why it is not.

Settings, URLs and modules are put into this site as they stand, and a password is reset
with them; lines for a test or a shell are run where a test or a shell would run them.
"""

import ast
import re
from datetime import timedelta
from importlib import import_module, invalidate_caches
from inspect import signature
from uuid import uuid4

import django
import pytest
import time_machine
from django.conf import settings as site
from django.core import mail
from django.core.checks import ERROR, run_checks
from django.db import models
from django.db.models.functions import Upper
from django.test import Client, TestCase
from django.urls import clear_url_caches, reverse
from django.utils import timezone

from password_reset import services
from tests import ROOT
from tests.tools.blocks import blocks, first_lines, pages
from tests.tools.factories import UserFactory
from tests.tools.test_security_doc import exists
from tests.tools.walk import ask, token_in

ALL = blocks()
PYTHON = [one for one in ALL if not one.mark and one.language == "python"]
#: The first line of each file that a block is made of.
FILE = re.compile(r"^# ([\w/]+\.py)(?::.*)?\n", re.MULTILINE)
#: What a document shows of a host that other tests walk.
FILES = [
    ("customising.md", "tests/flow/branded/templates/password_reset/base.html"),
    ("customising.md", "tests/flow/branded/static/branded/brand.css"),
    ("support.md", "templates/admin/index.html"),
]
#: What the pages leave out, since every project's file has it.
IMPORTS = {
    "urls.py": "from django.urls import include, path, re_path\n",
    "admin.py": "",
    "wsgi.py": "",
}
#: What stands in the reader's own modules, by the names under which blocks use it.
OWN = "def subscribe(user): ...\nIMPRINTS = {'': 'Example Ltd', 'plum': 'Plum Ltd'}\n"


@pytest.mark.parametrize("block", ALL, ids=lambda block: block.name)
def test_it_is_run_or_says_why_not(block):
    if block.mark == "tested":
        assert exists(block.words)
    elif block.mark == "fragment":
        assert len(block.words.split()) > 3
    else:
        assert block.language == "python"


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_every_block_says_its_language(page):
    """Without one, or with more, it would be overlooked here."""
    text = page.read_text()
    odd = [line for line in first_lines(text) if not re.match(r"\w+$|\{", line)]
    assert odd == []


def test_the_blocks_are_seen():
    assert len(ALL) > 60
    assert len(PYTHON) > 20


@pytest.mark.django_db
@pytest.mark.parametrize("block", PYTHON, ids=lambda block: block.name)
def test_it_runs(block, settings, tmp_path, monkeypatch, client):
    files = files_of(block.text)
    if snippet := files.pop("", ""):
        # A block may look at the last second of a link's hour.
        with time_machine.travel(timezone.now(), tick=False):
            run_as_a_test_would(snippet, settings)
        return
    monkeypatch.syspath_prepend(tmp_path)
    mine = f"host_{uuid4().hex}"
    for name, text in files.items():
        path = tmp_path / name.replace("shop/", f"{mine}/")
        path.parent.mkdir(exist_ok=True)
        path.write_text(IMPORTS.get(name, OWN) + text.replace("shop.", f"{mine}."))
    invalidate_caches()
    if text := files.get("settings.py"):
        apply(text.replace("shop.", f"{mine}."), settings)
    for name in files:
        if name.startswith("shop/"):
            import_module(name.replace("shop/", f"{mine}.").removesuffix(".py"))
    if "urls.py" in files:
        use_urls(tmp_path / "urls.py", mine, settings)
    if "wsgi.py" in files:
        exec(compile(files["wsgi.py"], "wsgi.py", "exec"), {})
    assert [each for each in run_checks() if is_wrong(each)] == []
    reset_a_password(client)


@pytest.mark.parametrize(("page", "file"), FILES)
def test_the_document_has_the_file_as_it_is(page, file):
    assert f"\n{(ROOT / file).read_text()}```" in (ROOT / "docs" / page).read_text()


def test_the_services_take_what_the_document_gives_them():
    """Its calls are of several situations, so they do not run one after the other."""
    [block] = [one for one in ALL if "services.force_reset(" in one.text]
    calls = [
        each.value for each in ast.parse(block.text).body if isinstance(each, ast.Expr)
    ]
    assert len(calls) == 7
    for call in calls:
        service = signature(getattr(services, call.func.attr))
        service.bind(*call.args, **{each.arg: None for each in call.keywords})


def is_wrong(message):
    """Return whether a check names an error, or a setting that does not exist."""
    return message.level >= ERROR or message.id == "password_reset.W015"


def files_of(text):
    """Return the text of each file by its name; what belongs to no file has none."""
    parts = FILE.split(text)
    files = dict(zip(parts[1::2], parts[2::2], strict=True))
    if parts[0].strip():
        files["settings.py" if is_settings(parts[0]) else ""] = parts[0]
    return files


def is_settings(text):
    """Return whether nothing but settings is assigned."""
    return all(
        isinstance(each, ast.Assign) and each.targets[0].id.isupper()
        for each in ast.parse(text).body
        if not isinstance(each, ast.Import | ast.ImportFrom)
    )


def apply(text, settings):
    """Set what a block sets; three dots stand for what the site has already."""
    values = {}
    if django.VERSION < (6, 0):  # as the block says
        text = text.replace('"django.tasks.', '"django_tasks.')
    exec(compile(text, "settings.py", "exec"), values)
    if hosts := values.get("ALLOWED_HOSTS"):
        hosts.append("testserver")
    for name, value in values.items():
        if name.isupper():
            present = getattr(site, name, None)
            setattr(settings, name, filled(value, present))


def filled(values, present):
    if not isinstance(values, list) or ... not in values:
        return values
    index = values.index(...)
    return [
        *values[:index],
        *(one for one in present if one not in values),
        *values[index + 1 :],
    ]


def use_urls(path, name, settings):
    """Take the block's URLs before the site's own."""
    module = path.with_name(f"urls_{name}.py")
    text = path.read_text().replace("    ...,\n", "")
    if path.with_name(name).joinpath("views.py").exists():
        text = f"from {name}.views import *\n{text}"
    change = "path('password', lambda request: None, name='password_change')"
    tail = f"urlpatterns += [{change}, path('', include('{site.ROOT_URLCONF}'))]\n"
    module.write_text(text + tail)
    invalidate_caches()
    settings.ROOT_URLCONF = module.stem
    clear_url_caches()


def reset_a_password(client):
    """Walk the flow: the block has not broken it."""
    user = UserFactory(email="ada@example.com")
    assert ask(client, user.email).status_code == 302
    services.process_due()
    raw = token_in(mail.outbox[0].body)
    extra = {"terms": "on", "news": "on"}
    password = "quite-another-pass-phrase"
    fields = {"new_password1": password, "new_password2": password}
    answer = client.post("/reset-password", {"token": raw, **fields, **extra})
    assert answer.status_code == 302, answer.content
    user.refresh_from_db()
    assert user.check_password(password)


def run_as_a_test_would(text, settings):
    """Run lines that stand in a test or a shell, which has made a user and a link."""
    settings.ALLOWED_HOSTS = ["testserver", "plum.example"]
    settings.PASSWORD_RESET_BRANDS = {"plum": {"BASE_URL": "https://plum.example"}}
    user = UserFactory(email="ada@example.com")
    case = TestCase()
    case.client = Client()
    names = {
        "Client": Client,
        "mail": mail,
        "re": re,
        "reverse": reverse,
        "self": case,
        "services": services,
        "time_machine": time_machine,
        "timedelta": timedelta,
        "timezone": timezone,
        "models": models,
        "Upper": Upper,
        "user": user,
    }
    if "link" in text and 'password_reset"' not in text:
        ask(case.client, user.email)
        services.process_due()
        names["link"] = f"/reset-password?token={token_in(mail.outbox[0].body)}"
    exec(compile(text, "block.py", "exec"), names)
