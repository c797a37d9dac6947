"""Write the tables of the reference from the code, so that they cannot drift.

``{commands}``, ``{metrics}``, ``{pages}`` and ``{openapi}`` stand in pages of this
folder. Each returns Markdown, which the page takes in as if it were written there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from importlib import import_module
from inspect import getdoc
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from docutils.parsers.rst import Directive

PACKAGE = Path(__file__).parents[2] / "password_reset"


# Commands


def commands() -> Iterator[str]:
    """Describe each command by its own parser."""
    from django.core.management import load_command_class  # noqa: PLC0415

    folder = PACKAGE / "management" / "commands"
    for path in sorted(folder.glob("[!_]*.py")):
        command = load_command_class("password_reset", path.stem)
        parser = command.create_parser("manage.py", path.stem)
        ours = _own_arguments(command)
        yield f"## {path.stem}\n"
        yield f"{command.help}\n"
        if ours:
            yield "| argument | default | what it does |\n|---|---|---|"
        for action in parser._actions:
            if action.dest in ours:
                yield _row(_spelt(action), _default(action), _meaning(action))
        yield ""


def _own_arguments(command: Any) -> set[str]:
    """Return the arguments that every other command of Django does not have."""
    from django.core.management import BaseCommand  # noqa: PLC0415

    class Bare(BaseCommand):
        pass

    bare = {action.dest for action in Bare().create_parser("", "")._actions}
    parser = command.create_parser("", "")
    return {action.dest for action in parser._actions} - bare


def _spelt(action: Any) -> str:
    value = action.metavar or action.dest.upper()
    if not action.option_strings:
        return f"`{value}`"
    return f"`{action.option_strings[-1]}{'' if action.nargs == 0 else f' {value}'}`"


def _meaning(action: Any) -> str:
    choices = ", ".join(f"`{choice}`" for choice in action.choices or ())
    return " ".join(filter(None, (action.help, choices and f"One of {choices}.")))


def _default(action: Any) -> str:
    if action.required and action.nargs != "*":
        return "required"
    return f"`{action.default}`" if action.default else "–"


# Metrics


def metrics() -> Iterator[str]:
    """List what the package registers with prometheus_client."""
    from password_reset import metrics as module  # noqa: PLC0415

    yield "| metric | type | labels | what it says |\n|---|---|---|---|"
    for metric in vars(module).values():
        if not hasattr(metric, "_documentation"):
            continue
        name = metric._name + ("_total" if metric._type == "counter" else "")
        labels = ", ".join(f"`{label}`" for label in metric._labelnames)
        yield _row(f"`{name}`", metric._type, labels or "–", metric._documentation)


# URLs


def pages() -> Iterator[str]:
    """List the URL patterns of each module that a site may include."""
    for module in ("urls", "api_urls", "well_known_urls", "legacy_urls"):
        patterns = import_module(f"password_reset.{module}")
        yield f"## password_reset.{module}\n"
        yield f"{getdoc(patterns)}\n"
        yield "| name | path | view | what it is |\n|---|---|---|---|"
        space = getattr(patterns, "app_name", "")
        for pattern in patterns.urlpatterns:
            view = getattr(pattern.callback, "view_class", pattern.callback)
            what = (getdoc(view) or "").partition("\n\n")[0].replace("\n", " ")
            name = ":".join(filter(None, (space, pattern.name)))
            yield _row(f"`{name}`", _path(pattern), f"`{view.__name__}`", what)
        yield ""


def _path(pattern: Any) -> str:
    """Return a pattern as it is read, without its optional last slash."""
    text = str(pattern.pattern).removeprefix("^").removesuffix("$").removesuffix("/?")
    text = re.sub(r"\(\?P<(\w+)>[^)]*\)", r"<\1>", text).replace("\\", "")
    return f"`/{text}`"


# JSON


def openapi() -> Iterator[str]:
    """Describe the endpoints as ``openapi.yaml`` does."""
    document = yaml.safe_load((PACKAGE / "openapi.yaml").read_text())
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"## {method.upper()} {path}\n"
            yield f"{operation['summary']}. {operation.get('description', '')}\n"
            yield "| field of the body | type | what it is |\n|---|---|---|"
            body = operation["requestBody"]["content"]["application/json"]["schema"]
            for name, field in _fields(document, body):
                yield _row(name, *field)
            yield "\n| status | what it says |\n|---|---|"
            for status, answer in operation["responses"].items():
                found = _resolved(document, answer)
                yield _row(status, found["description"])
            yield ""


def _fields(document: Any, schema: Any) -> Iterator[tuple[str, tuple[str, str]]]:
    body = _resolved(document, schema)
    for name, reference in body["properties"].items():
        field = _resolved(document, reference)
        shape = [field.get("type", "string")]
        if "maxLength" in field:
            shape.append(f"at most {field['maxLength']} characters")
        if name not in body.get("required", []):
            shape.append("may be left out")
        yield f"`{name}`", (", ".join(shape), field.get("description", ""))


def _resolved(document: Any, part: Any) -> Any:
    """Return what a reference within the document names."""
    while "$ref" in part:
        found = document
        for step in part["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        part = found
    return part


def _row(*cells: str) -> str:
    clean = [cell.replace("|", "\\|").replace("\n", " ").strip() for cell in cells]
    return f"| {' | '.join(clean)} |"


def directive(markdown: Callable[[], Iterator[str]]) -> type[Directive]:
    """Return a directive that puts Markdown into a page."""

    class Written(Directive):
        def run(self) -> list[nodes.Node]:
            lines = "\n".join(markdown()).split("\n")
            section = nodes.section()
            section.document = self.state.document
            self.state.nested_parse(lines, self.content_offset, section, True)
            return section.children

    return Written


def setup(app: Any) -> dict[str, bool]:
    for written in (commands, metrics, openapi, pages):
        app.add_directive(written.__name__, directive(written))
    return {"parallel_read_safe": True}
