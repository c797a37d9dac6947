"""The templates of a brand: those in its folder come before those of the same name.

A loader in front of the host's own ones, so that ``extends`` and ``include`` find them
too: one ``plum/password_reset/base.html`` gives every page of that brand its layout.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from functools import lru_cache
from typing import Any

from django.template import TemplateDoesNotExist, engines
from django.template.backends.django import DjangoTemplates
from django.template.base import Origin
from django.template.loader import render_to_string
from django.template.loaders.base import Loader

from .brands import Brand

CACHED = "django.template.loaders.cached.Loader"


class BrandLoader(Loader):
    """Look for each name in a folder first, by the loaders of the host."""

    def __init__(self, engine: Any, folder: str, loaders: list[Any]) -> None:
        super().__init__(engine)
        self.folder = folder
        self.loaders = engine.get_template_loaders(loaders)

    def get_template_sources(self, template_name: str) -> Iterator[Origin]:
        for name in (f"{self.folder}/{template_name}", template_name):
            for loader in self.loaders:
                for origin in loader.get_template_sources(name):
                    # Under the name that was asked for: by it Django knows what a
                    # template that extends its own name has seen already.
                    yield Origin(origin.name, template_name, origin.loader)

    def get_contents(self, origin: Origin) -> str:
        contents: str = origin.loader.get_contents(origin)  # type: ignore[union-attr]
        return contents


def render(
    name: str,
    context: dict[str, Any],
    brand: Brand,
    request: Any = None,
) -> str:
    """Render a template as a brand has it, which is in the context as ``brand``."""
    context = {**context, "brand": brand}
    if not brand.templates:
        return render_to_string(name, context, request)
    missing: list[Any] = []
    for engine in engines.all():
        if isinstance(engine, DjangoTemplates):
            try:
                template = _branded(engine, brand.templates).get_template(name)
            except TemplateDoesNotExist as error:
                missing.append(error)
            else:
                return str(template.render(context, request))
    raise TemplateDoesNotExist(name, chain=missing)


@lru_cache(maxsize=64)
def _branded(host: DjangoTemplates, folder: str) -> DjangoTemplates:
    """Return the engine of the host with the loader of a folder in front."""
    branded = copy(host)
    branded.engine = copy(host.engine)
    vars(branded.engine).pop("template_loaders", None)  # made of what follows
    loader = (f"{__name__}.BrandLoader", folder, host.engine.loaders)
    # In development a template is read again when it has changed.
    branded.engine.loaders = [loader if host.engine.debug else (CACHED, [loader])]
    return branded
