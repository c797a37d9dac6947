"""Two ways to take a defence away in a copy of the tree: new code for a name of a Python
module, or another text in any other file.
"""

import ast
import builtins
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from symtable import SymbolTable, symtable

#: At the end of the module: nothing before it has to stay as it was, and whoever
#: imports the module, in whichever process, gets the mutant.
ADDITION = """

def _mutate(original):
{becomes}
    return mutant


{name} = _mutate({name})
"""
OURS = ("password_reset", "project")


@dataclass(frozen=True)
class Patch:
    """The dotted path of a function, method or value, and code that binds ``mutant`` to
    what takes its place. The code sees the module's names and, as ``original``, what
    stood there.
    """

    name: str
    becomes: str

    def path(self, tree: Path) -> Path:
        return tree / _located(tree, self.name)[0]

    def misfit(self, tree: Path) -> str:
        """Return why the patch cannot be made; an empty text where it can.

        A test that fails because the code around it has moved on proves nothing, so
        names and parameters are compared before any test runs.
        """
        if not _exists(tree, self.name):
            return f"{self.name} is not defined there"
        for dotted in _imports(self.becomes):
            if not _exists(tree, dotted):
                return f"{self.name}: {dotted} is not defined there"
        if unknown := _unknown_names(self.patched(tree)):
            return f"{self.name}: {', '.join(sorted(unknown))} unknown in its module"
        if not self._takes_the_same(tree):
            return f"{self.name} has other parameters"
        return ""

    def apply(self, tree: Path) -> None:
        self.path(tree).write_text(self.patched(tree))

    def patched(self, tree: Path) -> str:
        file, names = _located(tree, self.name)
        addition = ADDITION.format(
            becomes=textwrap.indent(self.becomes.strip(), "    "), name=".".join(names)
        )
        return (tree / file).read_text() + addition

    def _takes_the_same(self, tree: Path) -> bool:
        body = ast.parse(self.path(tree).read_text()).body
        original = _function(body, _located(tree, self.name)[1])
        mutant = _function(ast.parse(self.becomes).body, ["mutant"])
        if original is None or mutant is None:
            return True
        theirs, ours = _parameters(original), _parameters(mutant)
        return ours == theirs or (
            theirs[: len(ours)] == ours
            and (mutant.args.vararg or mutant.args.kwarg) is not None
        )


@dataclass(frozen=True)
class Edit:
    """A text that stands once in a file other than Python, and what takes its place."""

    file: str
    old: str
    new: str

    def path(self, tree: Path) -> Path:
        return tree / self.file

    def misfit(self, tree: Path) -> str:
        """Return why the edit cannot be made; an empty text where it can."""
        if self.file.endswith(".py"):
            return f"{self.file}: patch a name instead"
        if self.path(tree).read_text().count(self.old) != 1:
            return f"{self.file}: the text does not stand there once"
        return ""

    def apply(self, tree: Path) -> None:
        path = self.path(tree)
        path.write_text(path.read_text().replace(self.old, self.new))


def _located(tree: Path, dotted: str) -> tuple[Path, list[str]]:
    """Return the file of a path's module and the names inside it."""
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        folder = Path(*parts[:length])
        for file in (folder.with_suffix(".py"), folder / "__init__.py"):
            if (tree / file).is_file():
                return file, parts[length:]
    raise LookupError(dotted)


def _exists(tree: Path, dotted: str) -> bool:
    try:
        file, names = _located(tree, dotted)
    except LookupError:
        return False
    table = symtable((tree / file).read_text(), str(file), "exec")
    return not names or _defines(table, names)


def _defines(table: SymbolTable, names: list[str]) -> bool:
    """Return whether names, each inside the one before, are defined, not imported."""
    first, *inner = names
    if first not in table.get_identifiers() or not table.lookup(first).is_assigned():
        return False
    classes = [each for each in table.get_children() if each.get_name() == first]
    return not inner or any(_defines(each, inner) for each in classes)


def _imports(code: str) -> Iterator[str]:
    """Yield the dotted paths that code imports from this tree."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith(OURS):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _unknown_names(patched: str) -> set[str]:
    """Return the names of a mutant that neither its module nor Python has."""
    module = symtable(patched, "patched", "exec")
    known = set(dir(builtins)) | {
        symbol.get_name()
        for symbol in module.get_symbols()
        if symbol.is_assigned() or symbol.is_imported()
    }
    mutate = module.lookup("_mutate").get_namespaces()[-1]
    return {
        symbol.get_name()
        for scope in _scopes(mutate)
        for symbol in scope.get_symbols()
        if symbol.is_global()
    } - known


def _scopes(table: SymbolTable) -> Iterator[SymbolTable]:
    yield table
    for child in table.get_children():
        yield from _scopes(child)


def _function(body: list[ast.stmt], names: list[str]) -> ast.FunctionDef | None:
    """Return the function at the end of a path of classes."""
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == names[0]:
            if len(names) > 1:
                return _function(node.body, names[1:])
            return node if isinstance(node, ast.FunctionDef) else None
    return None


def _parameters(function: ast.FunctionDef) -> list[str]:
    args = function.args
    return [arg.arg for arg in (*args.posonlyargs, *args.args, *args.kwonlyargs)]
