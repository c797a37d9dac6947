"""A Docker engine of the tests' own, and the images that the kit builds on.

Its data lie in a cache, for its images are worth keeping; all else in a folder that goes
with it. No registry is asked: what `deploy/` names is made of Debian's packages and
given that name.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import yaml

from tests import ROOT
from tests.tools.servers import dies_with_us, new_folder, wait_until

CACHE = Path(
    os.environ.get("CONTAINERS_CACHE", ROOT / ".cache" / "containers")
).resolve()
UNPACKED = CACHE / "engine" / "usr"
IMAGES = Path(__file__).parent / "images"
#: The stage of images/Dockerfile that stands for each published image.
STAGES = {
    "python": "python",
    "nginxinc/nginx-unprivileged": "nginx",
    "postgres": "postgres",
    "redis": "redis",
    "prom/prometheus": "prometheus",
    "prom/alertmanager": "alertmanager",
    "prom/node-exporter": "node-exporter",
    "grafana/grafana": "grafana",
}
START_SECONDS = 60


class Failed(Exception):
    """A command that ended with an error; its text is its output."""


class Engine:
    """`start()` it once; `restart()` is a restart of the service on a server."""

    def __init__(self) -> None:
        self.folder = new_folder()
        self.socket = self.folder / "docker.sock"
        self.process: subprocess.Popen[bytes] | None = None
        plugins = self.folder / "cli-plugins"
        plugins.mkdir()
        for plugin in (UNPACKED / "libexec/docker/cli-plugins").iterdir():
            (plugins / plugin.name).symlink_to(plugin)
        self.firewall = {
            command: subprocess.run([f"{command}-save"], capture_output=True).stdout
            for command in ("iptables", "ip6tables")
        }

    @property
    def environment(self) -> dict[str, str]:
        tools = f"{UNPACKED}/bin:{UNPACKED}/sbin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
        return {
            "PATH": tools,
            "HOME": str(self.folder),
            "DOCKER_HOST": f"unix://{self.socket}",
            "DOCKER_CONFIG": str(self.folder),
            "LC_ALL": "C.UTF-8",
        }

    def start(self) -> None:
        command = ["dockerd", "--host", f"unix://{self.socket}"]
        command += ["--data-root", f"{CACHE}/docker"]
        command += ["--exec-root", f"{self.folder}/run"]
        command += ["--pidfile", f"{self.folder}/pid"]
        command += ["--init-path", f"{UNPACKED}/bin/tini-static"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*dies_with_us("TERM"), *command],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_until(self.answers, self.log, START_SECONDS)

    def answers(self) -> bool:
        return self.run("docker", "version", check=False).returncode == 0

    def log(self) -> str:
        return (self.folder / "log").read_text()[-3000:]

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(120)
        self.process = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def close(self) -> None:
        """Stop it, and give back what it took of this machine's network."""
        self.stop()
        bridge = ["ip", "link", "delete", "docker0"]
        subprocess.run(bridge, stderr=subprocess.DEVNULL, check=False)
        for command, rules in self.firewall.items():
            subprocess.run([f"{command}-restore"], input=rules, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(
        self, *arguments: object, check: bool = True, seconds: float = 900
    ) -> subprocess.CompletedProcess[str]:
        result = subprocess.run(
            [str(argument) for argument in arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        if check and result.returncode:
            raise Failed(f"{arguments}\n{result.stdout}\n{result.stderr}")
        return result

    def docker(self, *arguments: object, check: bool = True) -> str:
        """Return what a command of Docker's prints."""
        return self.run("docker", *arguments, check=check).stdout.strip()

    @property
    def gateway(self) -> str:
        """This machine's address, as containers call it (`host-gateway`)."""
        form = "{{(index .IPAM.Config 0).Gateway}}"
        return self.docker("network", "inspect", "bridge", "--format", form)

    # The images that the kit builds on.

    def make_base_images(self) -> None:
        for suite in ("bookworm", "trixie"):
            self.make_debian(suite)
        for name in published_images():
            stage = STAGES[name.partition(":")[0]]
            build = ["build", "--quiet", "--target", stage, "--tag", name, IMAGES]
            self.docker(*build)

    def make_debian(self, suite: str) -> None:
        name = f"local/debian:{suite}"
        if self.run("docker", "image", "inspect", name, check=False).returncode == 0:
            return
        tree = CACHE / f"{suite}.new"
        shutil.rmtree(tree, ignore_errors=True)
        command = ["debootstrap", "--variant=minbase", "--include=ca-certificates"]
        subprocess.run([*command, suite, tree], check=True, stdout=subprocess.DEVNULL)
        archive = tree.with_suffix(".tar")
        subprocess.run(["tar", "-C", tree, "-cf", archive, "."], check=True)
        self.docker("import", archive, name)
        shutil.rmtree(tree)
        archive.unlink()


def published_images() -> list[str]:
    """Return the images of others that deploy/ names, but for the mail catcher's."""
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text()
    found = re.findall(r"(?m)^ARG \w+=(\S+)$", dockerfile)
    compose = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())
    found += [service["image"] for service in compose["services"].values()]
    names = {name for name in found if "${" not in name}
    return sorted(name for name in names if not name.startswith("maildev/"))
