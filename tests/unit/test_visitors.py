"""Whose limit it is: the client's address behind any number of proxies, and never a
crash.
"""

import logging
from ipaddress import IPv6Address

import pytest
from django.test import RequestFactory

from password_reset import visitors
from password_reset.models import PasswordResetRequest
from password_reset.visitors import (
    browser_in_words,
    client_address,
    client_network,
    parse_address,
    printable,
)
from tests.tools.walk import call

PROXIES = ["10.0.0.0/8", "2001:db8:aaaa::/48"]


def address(peer, forwarded=None):
    """Return the client's address as a request from a peer with an X-Forwarded-For has
    it.
    """
    extra = {} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded}
    found = client_address(RequestFactory().get("/", REMOTE_ADDR=peer, **extra))
    return str(found) if found else None


class TestNoProxy:
    @pytest.mark.parametrize(
        "forged",
        ["203.0.113.9", "127.0.0.1", "10.0.0.1, 203.0.113.9", "unknown", "", ","],
    )
    def test_a_forged_header_changes_nothing(self, forged):
        assert address("198.51.100.7", forged) == "198.51.100.7"

    def test_neither_do_other_headers(self):
        names = (
            "X_REAL_IP",
            "CLIENT_IP",
            "TRUE_CLIENT_IP",
            "CF_CONNECTING_IP",
            "FORWARDED",
            "VIA",
            "X_CLIENT_IP",
        )
        forged = {f"HTTP_{name}": "203.0.113.9" for name in names}
        request = RequestFactory().get("/", REMOTE_ADDR="198.51.100.7", **forged)
        assert str(client_address(request)) == "198.51.100.7"


class TestProxies:
    @pytest.fixture(autouse=True)
    def proxies(self, settings):
        settings.PASSWORD_RESET_TRUSTED_PROXIES = PROXIES

    @pytest.mark.parametrize(
        ("peer", "forwarded", "client"),
        [
            # One proxy: the last entry is what it saw; all before is what the client
            # wrote.
            ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
            ("10.0.0.1", "203.0.113.9, 198.51.100.7", "198.51.100.7"),
            ("10.0.0.1", "127.0.0.1, 203.0.113.9,198.51.100.7 ", "198.51.100.7"),
            # Two proxies, and a client that claims to be behind a third.
            ("10.0.0.1", "198.51.100.7, 10.0.0.2", "198.51.100.7"),
            ("10.0.0.1", "203.0.113.9, 198.51.100.7, 10.0.0.2", "198.51.100.7"),
            ("10.0.0.1", "10.0.0.3, 198.51.100.7, 10.0.0.2", "198.51.100.7"),
            ("2001:db8:aaaa::1", "198.51.100.7, 10.0.0.2", "198.51.100.7"),
            # A request of a proxy's own, such as a probe.
            ("10.0.0.1", None, "10.0.0.1"),
            ("10.0.0.1", "10.0.0.2", "10.0.0.2"),
            # Somebody else's proxy is a client.
            ("198.51.100.7", "203.0.113.9", "198.51.100.7"),
            # Ports, IPv6 and its spellings.
            ("10.0.0.1", "198.51.100.7:4711", "198.51.100.7"),
            ("10.0.0.1", "[2001:db8::7]:4711", "2001:db8::7"),
            ("10.0.0.1", "[2001:db8::7]", "2001:db8::7"),
            ("10.0.0.1", "2001:0DB8:0:0::7", "2001:db8::7"),
            ("10.0.0.1", "fe80::7%eth0", "fe80::7"),
            ("10.0.0.1", "::ffff:198.51.100.7", "198.51.100.7"),
            ("10.0.0.1", "[::ffff:c633:6407]:80", "198.51.100.7"),
            ("::ffff:10.0.0.1", "198.51.100.7", "198.51.100.7"),
            ("10.0.0.1:4711", "198.51.100.7", "198.51.100.7"),
            # What cannot be read ends the walk at the last hop that could.
            ("10.0.0.1", "198.51.100.7, unknown", "10.0.0.1"),
            ("10.0.0.1", "203.0.113.9, _hidden, 10.0.0.2", "10.0.0.2"),
            ("10.0.0.1", "198.51.100.7, ", "10.0.0.1"),
            ("10.0.0.1", "unix:", "10.0.0.1"),
        ],
    )
    def test_the_client_is_the_first_hop_that_nobody_vouches_for(
        self, peer, forwarded, client
    ):
        assert address(peer, forwarded) == client

    def test_a_long_list_of_forged_hops_is_no_work(self):
        assert (
            address("10.0.0.1", "203.0.113.9, " * 5000 + "198.51.100.7")
            == "198.51.100.7"
        )


class TestUnixSocket:
    def test_it_is_believed_where_it_is_named(self, settings):
        settings.PASSWORD_RESET_TRUSTED_PROXIES = ["unix"]
        assert address("", "203.0.113.9, 198.51.100.7") == "198.51.100.7"

    def test_it_is_one_client_where_it_is_not(self, settings):
        settings.PASSWORD_RESET_TRUSTED_PROXIES = ["10.0.0.0/8"]
        assert address("", "198.51.100.7") is None
        assert client_network(None) == "unknown"


GARBAGE = [
    *(
        "",
        " ",
        "unknown",
        "localhost",
        "1.2.3",
        "1.2.3.4.5",
        "256.1.1.1",
        "01.2.3.4",
        "0x7f.0.0.1",
        "2130706433",
    ),
    *(
        "1.2.3.4:",
        "1.2.3.4:80:80",
        "1.2.3.4, 5.6.7.8",
        "1.2.3.4/8",
        "1.2.3.4\x00",
        "1.2.3.4\r\nX: y",
        "%",
        "%eth0",
    ),
    *(
        ":",
        "::",
        ":::",
        "[",
        "[]",
        "[]:80",
        "[::1",
        "::1]",
        "[1.2.3.4",
        "::1%",
        "fe80::1%25eth0",
        "::ffff:1.2.3",
    ),
    *(
        "::ffff:999.1.1.1",
        "12345::",
        "\x00",
        "é",
        "\uff11.\uff12.\uff13.\uff14",
        "\u0663.\u0663.\u0663.\u0663",
        "' OR 1=1 --",
        "1.2.3.4" + " " * 99 + "x",
    ),
    *("9" * 100_000, ":" * 100_000, "[" * 1000),
]


@pytest.mark.parametrize("text", GARBAGE, ids=lambda text: repr(text)[:24])
def test_garbage_is_never_a_crash(text, settings):
    settings.PASSWORD_RESET_TRUSTED_PROXIES = ["0.0.0.0/0", "::/0", "unix"]
    for peer, forwarded in (
        (text, None),
        (text, "198.51.100.7"),
        ("10.0.0.1", text),
        ("10.0.0.1", f"{text}, 10.0.0.2"),
    ):
        address(peer, forwarded)
    assert client_network(text)


@pytest.mark.parametrize(
    "text",
    [
        "1.2.3.4, 5.6.7.8",
        "1.2.3.4/8",
        "01.2.3.4",
        "1.2.3.4\x00",
        "1.2.3.4" + " " * 99 + "x",
    ],
)
def test_what_is_not_quite_an_address_is_none(text):
    assert parse_address(text) is None


class TestNetwork:
    def test_a_thousand_addresses_of_one_household_are_one_client(self):
        first = int(IPv6Address("2001:db8:1:2::"))
        networks = {
            client_network(str(IPv6Address(first + number * 2**53)))
            for number in range(1000)
        }
        assert networks == {"2001:db8:1:2::/64"}

    def test_the_next_household_is_another(self):
        assert client_network("2001:db8:1:3::1") == "2001:db8:1:3::/64"

    @pytest.mark.parametrize(
        "spelling",
        [
            "2001:DB8:1:2::1",
            "2001:db8:1:2:0:0:0:1",
            "[2001:db8:1:2::1]:80",
            "2001:db8:1:2::1%0",
        ],
    )
    def test_spellings_of_an_address_are_one_client(self, spelling):
        assert client_network(spelling) == "2001:db8:1:2::/64"

    @pytest.mark.parametrize(
        "spelling",
        [
            "::ffff:198.51.100.7",
            "::FFFF:c633:6407",
            "198.51.100.7:80",
            " 198.51.100.7 ",
            "64:ff9b::198.51.100.7",
        ],
    )
    def test_ipv4_inside_ipv6_is_the_ipv4_client(self, spelling):
        assert client_network(spelling) == "198.51.100.7"

    @pytest.mark.parametrize("prefix", ["", "::ffff:", "64:ff9b::"])
    def test_two_ipv4_clients_never_share_a_limit(self, prefix):
        assert (
            len(
                {
                    client_network(f"{prefix}198.51.{third}.{last}")
                    for third in range(9)
                    for last in range(99)
                }
            )
            == 891
        )


class TestWarning:
    @pytest.fixture(autouse=True)
    def nothing_said_yet(self):
        visitors._warn_of_proxy.cache_clear()

    def warnings(self, caplog, peer, forwarded="198.51.100.7", times=3):
        with caplog.at_level(logging.WARNING, "password_reset"):
            for _ in range(times):
                address(peer, forwarded)
        return [record.getMessage() for record in caplog.records]

    def test_a_proxy_that_nobody_named_is_said_once(self, caplog):
        (line,) = self.warnings(caplog, "172.16.0.1")
        assert "172.16.0.1" in line
        assert "PASSWORD_RESET_TRUSTED_PROXIES" in line

    def test_so_is_a_unix_socket(self, caplog):
        (line,) = self.warnings(caplog, "")
        assert "Unix socket" in line

    def test_a_stranger_who_forges_a_header_fills_no_log(self, caplog):
        assert self.warnings(caplog, "8.8.8.8") == []

    def test_neither_does_a_direct_visitor_of_the_local_network(self, caplog):
        assert self.warnings(caplog, "172.16.0.2", "") == []

    def test_neither_does_a_proxy_that_is_named(self, caplog, settings):
        settings.PASSWORD_RESET_TRUSTED_PROXIES = ["172.16.0.3/32"]
        assert self.warnings(caplog, "172.16.0.3") == []


@pytest.mark.django_db
class TestRow:
    def row(self, client, **extra):
        call(client, "request-password-reset", {"email": "ada@example.com"}, **extra)
        return PasswordResetRequest.objects.get()

    @pytest.mark.parametrize(
        ("peer", "stored"),
        [
            ("::ffff:198.51.100.7", "198.51.100.7"),
            ("fe80::7%eth0", "fe80::7"),
            ("", None),
            ("x", None),
        ],
    )
    def test_the_address_is_stored_in_canonical_form(self, client, peer, stored):
        assert self.row(client, REMOTE_ADDR=peer).ip_address == stored

    def test_a_strange_browser_name_is_cut_and_cleaned(self, client):
        strange = "A\x00\x1b[31m\r\nB\u202e" + "é" * 2000
        assert (
            self.row(client, HTTP_USER_AGENT=strange).user_agent == "A[31mB" + "é" * 506
        )


def test_printable_keeps_what_people_write():
    assert printable("Grüße, 東京 \u200f\n", 40) == "Grüße, 東京 "


@pytest.mark.parametrize("text", ["", "curl/8.5.0", "Mozilla/5.0", "(" * 512])
def test_an_unknown_browser_is_no_crash(text):
    assert isinstance(browser_in_words(text), str)


WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (
            "(X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            "Firefox · Linux",
        ),
        (
            f"(Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/142.0 Safari/537.36",
            "Chrome · Windows",
        ),
        (
            (
                f"(iPhone; CPU iPhone OS 18_6 like Mac OS X) {WEBKIT} Version/18.6 "
                "Mobile/1 Safari/604.1"
            ),
            "Mobile Safari · iOS",
        ),
        ("(X11; Linux x86_64) Your-prize-at-evil-com-bot/1.0", "Linux"),
    ],
)
def test_a_browser_is_named_in_words(agent, words):
    assert browser_in_words(f"Mozilla/5.0 {agent}") == words


@pytest.mark.parametrize(
    "agent",
    [
        "Your account is locked, call 555-1234 bot/1",
        "WinAtEvilDotComBot/1.0",
        "evil.com-crawler/1.1",
        "Evil Prize Bot",
    ],
)
def test_a_stranger_cannot_name_a_browser_as_they_like(agent):
    assert browser_in_words(agent) == ""
