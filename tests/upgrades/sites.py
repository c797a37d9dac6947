"""The small site of `site/`, served by one release or another on one database."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SITE = Path(__file__).parent / "site"


@dataclass(frozen=True)
class Site:
    """A release on a database; each step is a process of its own."""

    package: Path
    database: dict[str, Any]

    def step(self, name: str, *arguments: str) -> Any:
        """Take a step of `site/steps.py` and return its answer; raise with its output
        where it fails.
        """
        result = self.run("steps.py", name, *arguments)
        assert result.returncode == 0, result.stdout + result.stderr
        said = json.loads(result.stdout.splitlines()[-1])
        assert Path(said["package"]).is_relative_to(self.package), said["package"]
        return said["answer"]

    def fails(self, name: str, *arguments: str) -> str:
        """Take a step that must fail and return what it says."""
        result = self.run("steps.py", name, *arguments)
        assert result.returncode != 0, result.stdout
        return result.stderr

    def migrate(self, *arguments: str) -> None:
        command = ("-m", "django", "migrate", "--verbosity=0", "--skip-checks")
        result = self.run(*command, *arguments)
        assert result.returncode == 0, result.stdout + result.stderr

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "site_settings",
            "PYTHONPATH": f"{self.package}{os.pathsep}{SITE}",
            "SITE_DATABASE": json.dumps(self.database),
        }
        return subprocess.run(
            [sys.executable, *command],
            cwd=SITE,
            env=environment,
            capture_output=True,
            text=True,
        )
