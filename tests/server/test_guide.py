"""The guide's own commands, cut out of it and typed from top to bottom on an empty
Debian.
"""

import re
import shlex

import pytest

from tests.kit.test_document import Block, blocks
from tests.server.site import PIP, SOURCES, Site

MACHINE = "guide"
INSTALL = re.compile(r"needs: root on the server \((answers|step .*)\)")
ROOT = re.compile(r"needs: systemd as the running init(, and root)?( \(a dump\))?")
FLAG = "FEATURE_PASSWORD_RESET"
#: The backups have a user and an environment of their own.
BACKUPS_SHELL = (
    "systemd-run --quiet --wait --pipe --uid=password-reset-backup --working-directory=/srv/password-reset/current"
    " --property=EnvironmentFile=/etc/password-reset/backup-env --setenv=BACKUP_FOLDER=/var/backups/password-reset"
)
#: What prints what it finds exits with 1 where it finds nothing.
FINDS = re.compile(r"journalctl .*--grep")


def matching(pattern: re.Pattern[str]) -> list[Block]:
    return [block for block in blocks() if pattern.fullmatch(block.needs)]


@pytest.fixture(scope="module")
def typed(site: Site) -> Site:
    """A site that somebody has made by typing the blocks of "Step by step"."""
    script = "\n".join(block.script for block in matching(INSTALL))
    shell = f"cd {SOURCES}\nset -euo pipefail\n{script}"
    site.output = site.run(shell, **PIP, **site.answers).stdout
    return site


def test_the_commands_make_a_site_in_the_order_in_which_they_stand(typed: Site) -> None:
    assert len(matching(INSTALL)) == 10
    assert "15 of 15 checks passed" in typed.output
    assert typed.health() == 200
    assert typed.version() == "v1.0.0"


def test_the_installation_finds_nothing_left_to_do(typed: Site) -> None:
    assert "changed" not in typed.run(f"cd {SOURCES} && deploy/install v1.0.0").stdout


@pytest.mark.parametrize(
    "block", matching(ROOT), ids=lambda block: block.script.partition("\n")[0][:60]
)
def test_what_needs_systemd_runs_as_it_stands(typed: Site, block: Block) -> None:
    command = f"cd /srv/password-reset/current && set -e\n{block.script}"
    result = typed.run(command, check=False)
    typed.run(f"sed -i s/{FLAG}=false/{FLAG}=true/ /etc/password-reset/env")
    if FLAG in block.script:
        typed.run("systemctl restart password-reset-web password-reset-worker")
    found_nothing = result.returncode == 1 and FINDS.search(block.script)
    assert result.returncode == 0 or found_nothing, result.stdout + result.stderr


@pytest.mark.parametrize(
    "block",
    [block for block in blocks() if not block.needs],
    ids=lambda block: block.script.partition("\n")[0][:60],
)
def test_what_needs_nothing_runs_in_the_shell_that_the_guide_opens(
    typed: Site, block: Block
) -> None:
    """The site's, or that of whose address or folder is used."""
    typed.forget_limits()
    opened = "deploy/run"
    if "OWNER_DATABASE_URL" in block.script:
        opened = "deploy/as_owner"
    elif "BACKUP_FOLDER" in block.script:
        opened = BACKUPS_SHELL
    given = "export SMOKE_OPTIONS='--connect 127.0.0.1 --ca /etc/tls/ca.pem' CURL_CA_BUNDLE=/etc/tls/ca.pem\n"
    script = f"set -e\n{given}{block.script}"
    command = (
        f"cd /srv/password-reset/current && {opened} bash -c {shlex.quote(script)}"
    )
    result = typed.run(command, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
