"""Serve one host to look at: `python -m tests.hosts unfold 6.1` (the newest Django where
none is named).
"""

import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from tests.hosts import environments
from tests.hosts.project import OLD_PASSWORD, Project
from tests.hosts.shapes import HOSTS


def main(name: str = "", django: str = environments.DJANGOS[-1]) -> None:
    hosts = {host.name: host for host in HOSTS if host.serves}
    if name not in hosts:
        sys.exit(f"{__doc__}\n{' '.join(hosts)}")
    host = hosts[name]
    environment = environments.make(django, alone=host.alone)
    with tempfile.TemporaryDirectory(prefix="host-") as folder:
        project = Project(host, environment, Path(folder))
        project.prepare()
        project.start()
        print(f"{name}, Django {django}: {project.url}{host.prefix}/forgot-password")
        print(f"Log in at {project.url}{host.login_page} as boss, {OLD_PASSWORD}")
        print(f"Its files, log and mails are in {folder}; Ctrl-C ends it.", flush=True)
        with suppress(KeyboardInterrupt):
            project.process.wait()
        project.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
