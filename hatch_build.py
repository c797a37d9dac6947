"""Put a software bill of materials into the wheel (PEP 770), in CycloneDX 1.7.

Nothing of anybody else's is in the wheel: the packages that it needs are named as
external, with the range of versions that `pyproject.toml` asks for.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

NAME = "django-resetkit.cdx.json"


class BillOfMaterials(BuildHookInterface):  # type: ignore[type-arg]
    """Write the file before the wheel is made, and remove it afterwards."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the file to a wheel that is no editable installation."""
        if version == "editable":
            return
        self.folder = TemporaryDirectory()
        path = Path(self.folder.name) / NAME
        bill = bill_of_materials(self.metadata)
        path.write_text(json.dumps(bill, indent=2, sort_keys=True) + "\n")
        build_data["sbom_files"].append(str(path))

    def finalize(self, version: str, build_data: dict[str, Any], artifact: str) -> None:
        """Remove what was written."""
        if version != "editable":
            self.folder.cleanup()


def bill_of_materials(metadata: Any) -> dict[str, Any]:
    """Return the document for a project's metadata; the same for the same metadata."""
    core = metadata.core
    name = f"pkg:pypi/{canonicalize_name(core.name)}@{metadata.version}"
    needed = [_component(Requirement(each), "required") for each in core.dependencies]
    optional = {
        part["bom-ref"]: part
        for each in core.optional_dependencies.values()
        for part in (_component(Requirement(one), "optional") for one in each)
    }
    refs = {part["bom-ref"] for part in needed}
    parts = needed + [part for ref, part in optional.items() if ref not in refs]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.7",
        "version": 1,
        "metadata": {
            "component": {
                "type": "library",
                "bom-ref": name,
                "purl": name,
                "name": core.name,
                "version": metadata.version,
                "description": core.description,
                "licenses": [{"license": {"id": core.license_expression}}],
                "externalReferences": [
                    {"type": _kind(label), "url": url}
                    for label, url in sorted(core.urls.items())
                ],
            }
        },
        "components": sorted(parts, key=lambda part: str(part["bom-ref"])),
        "dependencies": [
            {"ref": name, "dependsOn": sorted(str(part["bom-ref"]) for part in needed)},
        ],
    }


def _component(needed: Requirement, scope: str) -> dict[str, Any]:
    name = canonicalize_name(needed.name)
    found: dict[str, Any] = {
        "type": "library",
        "bom-ref": f"pkg:pypi/{name}",
        "purl": f"pkg:pypi/{name}",
        "name": needed.name,
        "scope": scope,
        "isExternal": True,
    }
    if needed.specifier:
        # https://github.com/package-url/vers-spec
        found["versionRange"] = f"vers:pypi/{re.sub(',', '|', str(needed.specifier))}"
    return found


def _kind(label: str) -> str:
    """Return CycloneDX's word for one of the project's addresses."""
    return {
        "Homepage": "vcs",
        "Documentation": "documentation",
        "Changelog": "release-notes",
        "Issues": "issue-tracker",
        "Security": "security-contact",
    }.get(label, "other")
