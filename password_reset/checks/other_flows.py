"""The reset views of other packages that stay reachable beside this app's.

Each leaks by time or status who has an account, and none knows this app's limits.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

from django.core.checks import CheckMessage, Warning
from django.urls import Resolver404, URLPattern, URLResolver, get_resolver
from django.utils.regex_helper import normalize

from .recipes import PACKAGES, Package

#: Values for a pattern's arguments; one of them fits whatever packages ask for.
SAMPLES = ("1", "00000000-0000-0000-0000-000000000000")
SHOWN = 2


def check_other_flows(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W013: another reset flow stays reachable beside this one."""
    found: dict[Package, list[str]] = {}
    for path, package in _reachable(get_resolver()):
        if not package.is_off():
            found.setdefault(package, []).append(path)
    return [_warning(package, paths) for package, paths in found.items()]


def _warning(package: Package, paths: list[str]) -> CheckMessage:
    shown = " and ".join(f"/{path}" for path in paths[:SHOWN])
    more = f" (and {len(paths) - SHOWN} more)" if len(paths) > SHOWN else ""
    return Warning(
        f"The password reset of {package.name} stays reachable: {shown}{more}.",
        hint=package.hint(paths),
        id="password_reset.W013",
    )


def _reachable(
    resolver: URLResolver, above: tuple[URLResolver, ...] = ()
) -> Iterator[tuple[str, Package]]:
    """Walk the patterns and return each reset view's package and a path to it."""
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            yield from _reachable(pattern, (*above, pattern))
        elif isinstance(pattern, URLPattern) and (package := _package_of(pattern)):
            path = _path_to(pattern, above)
            if path is not None:
                yield path, package


def _path_to(pattern: URLPattern, above: tuple[URLResolver, ...]) -> str | None:
    """Return the path that Django answers with a pattern's view, its arguments in angle
    brackets, or ``None`` where other patterns shadow it.
    """
    chain: tuple[URLPattern | URLResolver, ...] = (*above, pattern)
    parts = [str(one.pattern.regex.pattern).removeprefix("^") for one in chain]
    for form, arguments in normalize("".join(parts)):
        for values in product(SAMPLES, repeat=len(arguments)):
            path = form % dict(zip(arguments, values, strict=True))
            # The slash may be optional, and shadowed on one side only.
            for variant in (path, f"{path}/", path.removesuffix("/")):
                if _view_at(variant) is pattern.callback:
                    return form % {name: f"<{name}>" for name in arguments}
    return None


def _view_at(path: str) -> Any:
    try:
        return get_resolver().resolve(f"/{path}").func
    except Resolver404:
        return None


def _package_of(pattern: URLPattern) -> Package | None:
    """Return whose reset view a pattern leads to, if it leads to one."""
    callback: Any = pattern.callback
    view = getattr(callback, "view_class", getattr(callback, "cls", callback))
    actions = (getattr(callback, "actions", None) or {}).values()
    if not _resets("".join([getattr(view, "__name__", ""), *actions])):
        return None
    modules = {base.__module__ for base in getattr(view, "__mro__", (view,))}
    template = (getattr(callback, "view_initkwargs", None) or {}).get("template_name")
    for package in PACKAGES:
        own = package.templates and str(template).startswith(package.templates)
        if own or modules & package.modules:
            return package
    return None


def _resets(name: str) -> bool:
    """Return whether a view of this name takes part in a reset: the pages that only say
    what has happened do not.
    """
    words = name.lower().replace("_", "")
    only_says = words.endswith(("doneview", "resetcompleteview"))
    return not only_says and ("passwordreset" in words or "resetpassword" in words)
