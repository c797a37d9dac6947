"""A certificate by certbot, from an authority that speaks ACME as Let's Encrypt does:
pebble, of the same authors, from Debian.
"""

import json
import re

import pytest

from tests.server.load import Load
from tests.server.site import PIP, SOURCES, Site

MACHINE = "certbot"
NAME, API = "reset.test", "api.reset.test"
ROOT = "/etc/tls/pebble-root.pem"
#: Ports of 127.0.0.1.
ACME, MANAGEMENT = 9095, 9096
PEBBLE = {
    "listenAddress": f"127.0.0.1:{ACME}",
    "managementListenAddress": f"127.0.0.1:{MANAGEMENT}",
    "certificate": "/etc/tls/site.pem",
    "privateKey": "/etc/tls/site.key",
    "httpPort": 80,
    "tlsPort": 443,
}
SERVED = (
    f"openssl s_client -connect 127.0.0.1:443 -servername {NAME} < /dev/null 2> /dev/null"
    " | openssl x509 -noout -serial -ext subjectAltName"
)


@pytest.fixture(scope="module")
def authority(site: Site) -> Site:
    """A server to which both names lead, and an authority that certbot knows."""
    site.machine.write("/etc/pebble.json", json.dumps({"pebble": PEBBLE}))
    site.machine.write(
        "/etc/letsencrypt/cli.ini", f"server = https://localhost:{ACME}/dir\n"
    )
    site.run(f"""set -e
        echo '127.0.0.1 localhost {NAME} {API}' >> /etc/hosts
        cp /etc/tls/ca.pem /usr/local/share/ca-certificates/pebble.crt
        update-ca-certificates > /dev/null
        apt-get update -qq && apt-get install -y -qq pebble curl > /dev/null
        # Left alone, it refuses one nonce in twenty, and now and then one twice.
        systemd-run --quiet --unit=pebble --setenv=PEBBLE_VA_NOSLEEP=1 \\
            --setenv=PEBBLE_WFE_NONCEREJECT=0 \\
            pebble -config /etc/pebble.json
        for try in 1 2 3 4 5 6 7 8 9 10; do
            sleep 1
            curl -fsS https://localhost:{MANAGEMENT}/roots/0 > {ROOT} && break
        done""")
    return site


@pytest.fixture(scope="module")
def certified(authority: Site) -> Site:
    answers = authority.answers | {
        "DOMAIN": NAME,
        "API_DOMAIN": API,
        "TLS_CERTIFICATE": f"/etc/letsencrypt/live/{NAME}/fullchain.pem",
        "TLS_KEY": f"/etc/letsencrypt/live/{NAME}/privkey.pem",
        "SMOKE_OPTIONS": f"--connect 127.0.0.1 --ca {ROOT}",
    }
    install = f"cd {SOURCES} && deploy/install v1.0.0"
    authority.output = authority.run(install, **PIP, **answers).stdout
    return authority


def test_certbot_fetches_a_certificate_for_both_names(certified: Site) -> None:
    assert "15 of 15 checks passed" in certified.output
    served = certified.run(SERVED).stdout
    assert {f"DNS:{NAME}", f"DNS:{API}"} <= set(re.split(r"[,\s]+", served))


def test_the_key_is_nobodys(certified: Site) -> None:
    key = f"/etc/letsencrypt/live/{NAME}/privkey.pem"
    for user in ("www-data", "password-reset", "nobody"):
        assert certified.run(f"cat {key}", user=user, check=False).returncode != 0


@pytest.fixture
def load(certified: Site) -> Load:
    root = certified.folder / "pebble-root.pem"
    root.write_text(certified.machine.read(ROOT))
    # nginx closes idle connections when it takes the certificate into use.
    return Load(NAME, root, rate=50, again=True)


def test_a_renewal_is_taken_into_use_and_refuses_nobody(
    certified: Site, load: Load
) -> None:
    before = certified.run(SERVED).stdout
    with load:
        certified.run(
            "certbot renew --force-renewal --no-random-sleep-on-renew --quiet"
        )
    print(f"renewal: {load.answers}, slowest {load.slowest():.2f} s")
    after = certified.run(SERVED).stdout
    assert after != before
    assert load.total > 50
    assert load.failed == 0, load.answers


def test_certbot_renews_by_itself(certified: Site) -> None:
    assert (
        certified.run("systemctl is-enabled certbot.timer").stdout.strip() == "enabled"
    )
    assert certified.run("systemctl is-active certbot.timer").stdout.strip() == "active"


def test_a_second_run_changes_nothing_of_it(certified: Site) -> None:
    again = certified.run(f"cd {SOURCES} && deploy/install v1.0.0")
    assert "changed" not in again.stdout
