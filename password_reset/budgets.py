"""What is counted for a request, and which counters decide what.

Three things are protected: the site, by network; the mailbox of whoever is asked for;
and their access, since no network can use up more than its share. A visitor is refused
for what they did themselves. What others asked for an address decides in silence
whether this request leads to an email: aloud, it would tell that somebody asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from . import counters
from .conf import conf
from .counters import Window, address_key
from .device import is_known_for
from .visitors import client_network, wider_networks


class Scope(StrEnum):
    """What a counter counts; the label of ``password_reset_rate_limit_total``."""

    REQUEST_IP = "request_ip"
    REQUEST_IPV4_24 = "request_ipv4_24"
    REQUEST_IPV6_56 = "request_ipv6_56"
    REQUEST_IPV6_48 = "request_ipv6_48"
    REQUEST_IP_EMAIL = "request_ip_email"
    REQUEST_DEVICE = "request_device"
    REQUEST_EMAIL = "request_email"
    STAFF_EMAIL = "staff_email"
    CONFIRM_IP = "confirm_ip"
    CONFIRM_LINK = "confirm_link"
    SECOND_FACTOR = "second_factor"
    CHALLENGE_IP = "challenge_ip"
    CHALLENGE_SITE = "challenge_site"


@dataclass(frozen=True)
class Budget:
    """Windows that must all be open."""

    scope: Scope
    windows: tuple[Window, ...]

    def is_open(self, counts: Mapping[str, int]) -> bool:
        """Return whether one more may be counted."""
        return all(counts[window.key] < window.limit for window in self.windows)

    def is_overdrawn(self, counts: Mapping[str, int]) -> bool:
        """Return whether a race has counted more than may be."""
        return any(counts.get(window.key, 0) > window.limit for window in self.windows)

    def wait(self, counts: Mapping[str, int]) -> int:
        """Return the seconds until every window is open; 0 where all are."""
        closed = [one for one in self.windows if counts[one.key] >= one.limit]
        return max((window.wait for window in closed), default=0)


@dataclass(frozen=True)
class Decision:
    """What becomes of a request: refused by some budgets, or counted in some, and then
    held, which is to mail nobody, or not.
    """

    refused: tuple[Budget, ...] = ()
    own: tuple[Budget, ...] = ()
    mail: tuple[Budget, ...] = ()
    is_held: bool = False


@dataclass(frozen=True)
class RequestBudgets:
    """The budgets of one request for one address."""

    #: What this visitor asked for themselves; refused aloud.
    networks: tuple[Budget, ...]
    share: Budget
    device: Budget | None
    is_device_of_address: bool
    #: What others asked for, too; silent.
    neighbours: Budget
    mailbox: Budget
    reserve: Budget
    #: Above these a form may ask for a proof; they refuse nobody.
    soft: tuple[Budget, ...]

    def asked(self, decision: Decision) -> tuple[Budget, ...]:
        """Return the budgets that are asked to count, counted or not: as many whatever
        others asked for. An email is taken from the mailbox or from the reserve.
        """
        other = self.mailbox if self.reserve in decision.mail else self.reserve
        return tuple(budget for budget in self.all if budget is not other)

    @property
    def all(self) -> tuple[Budget, ...]:
        """All budgets, whichever of them decides."""
        silent = (self.neighbours, self.mailbox, self.reserve)
        device = (self.device,) if self.device else ()
        return (*self.networks, self.share, *device, *silent, *self.soft)

    def decide(self, counts: Mapping[str, int]) -> Decision:
        """Return what becomes of the request, from what was counted so far."""
        known = self.device if self.device and self.device.is_open(counts) else None
        own = (known,) if known else (*self.networks, self.share)
        if refused := tuple(each for each in own if not each.is_open(counts)):
            return Decision(refused=refused)
        if known and self.is_device_of_address:
            return Decision(own=own)
        return self._with_mail(own, counts)

    def _with_mail(
        self, own: tuple[Budget, ...], counts: Mapping[str, int]
    ) -> Decision:
        """Return from which budget the email is taken, if there is one left."""
        if not self.neighbours.is_open(counts):
            return Decision(own=own, is_held=True)
        if self.mailbox.is_open(counts):
            return Decision(own=own, mail=(self.neighbours, self.mailbox))
        if self._is_first(counts) and self.reserve.is_open(counts):
            return Decision(own=own, mail=(self.neighbours, self.reserve))
        return Decision(own=own, mail=(self.neighbours,), is_held=True)

    def raced(self, decision: Decision, counted: Mapping[str, int]) -> list[Budget]:
        """Return what an email that a race has made one too many is given back to.

        A network that has more than its share takes nothing from the mailbox, and of
        several that are the first of a network one is.
        """
        over = [each for each in decision.mail if each.is_overdrawn(counted)]
        if self.neighbours in over:
            return list(decision.mail)
        later = any(counted.get(each.key, 0) > 1 for each in self.neighbours.windows)
        return [self.reserve] if later and self.reserve in decision.mail else over

    def _is_first(self, counts: Mapping[str, int]) -> bool:
        """Whether this network has not asked for this address today."""
        return not any(counts[window.key] for window in self.neighbours.windows)


def of_request(
    ip_address: str | None, email: str, device: str, *, is_proven: bool
) -> RequestBudgets:
    """Return the budgets of a request; nothing asks whether there is an account."""
    address = address_key(email)
    client, wider = client_network(ip_address), wider_networks(ip_address)
    widest = wider[-1] if wider else client
    share = conf.request_rate_per_ip_and_email
    networks = tuple(of_network(network) for network in wider)
    return RequestBudgets(
        networks=networks if is_proven else (of_client(ip_address), *networks),
        share=_budget(Scope.REQUEST_IP_EMAIL, f"{client} {address}", share),
        device=of_device(device) if device else None,
        is_device_of_address=bool(device) and is_known_for(device, email),
        neighbours=_budget(Scope.REQUEST_EMAIL, f"{widest} {address}", share),
        mailbox=_budget(Scope.REQUEST_EMAIL, address, conf.request_rate_per_email),
        reserve=_budget(
            Scope.REQUEST_EMAIL, f"reserve {address}", conf.request_rate_reserved
        ),
        soft=soft(ip_address),
    )


def of_client(ip_address: str | None) -> Budget:
    """Return the budget of an IPv4 address or IPv6 /64."""
    network = client_network(ip_address)
    return _budget(Scope.REQUEST_IP, network, conf.request_rate_per_ip)


def of_network(network: str) -> Budget:
    """Return the budget of a wider network."""
    scope, rates = {
        "24": (Scope.REQUEST_IPV4_24, conf.request_rate_per_ipv4_24),
        "56": (Scope.REQUEST_IPV6_56, conf.request_rate_per_ipv6_56),
        "48": (Scope.REQUEST_IPV6_48, conf.request_rate_per_ipv6_48),
    }[network.rpartition("/")[2]]
    return _budget(scope, network, rates)


def of_device(device: str) -> Budget:
    """Return the budget of the browsers that have logged in to an account before."""
    return _budget(Scope.REQUEST_DEVICE, device, conf.request_rate_per_device)


def of_mailbox(email: str) -> Budget:
    """Return the budget of an address that everybody shares."""
    rates = conf.request_rate_per_email
    return _budget(Scope.REQUEST_EMAIL, address_key(email), rates)


def of_staff(email: str) -> Budget:
    """Return the budget of an address that staff have for themselves."""
    return _budget(Scope.STAFF_EMAIL, address_key(email), conf.staff_rate_per_email)


def of_attempts(ip_address: str | None) -> Budget:
    """Return the budget of a client's attempts at links that open nothing."""
    network = client_network(ip_address)
    return _budget(Scope.CONFIRM_IP, network, conf.confirm_rate_per_ip)


def of_link(token_id: int) -> Budget:
    """Return the budget of attempts with a link that works: nobody without it can use
    that up.
    """
    return _budget(Scope.CONFIRM_LINK, str(token_id), conf.confirm_rate_per_ip)


def of_second_factor(user_id: object) -> Budget:
    """Return the budget of an account's codes. Only who has a link of it can use that
    up, and a new link has no budget of its own.
    """
    return _budget(Scope.SECOND_FACTOR, str(user_id), conf.second_factor_rate)


def soft(ip_address: str | None) -> tuple[Budget, ...]:
    """Return the soft budgets of a client and of the site, where the site has some."""
    client, network = conf.challenge_rate_per_ip, client_network(ip_address)
    found = (
        _budget(Scope.CHALLENGE_IP, network, client),
        _budget(Scope.CHALLENGE_SITE, "site", conf.challenge_rate_per_site),
    )
    return tuple(budget for budget in found if budget.windows)


def _budget(scope: Scope, value: str, rates: tuple[str, ...]) -> Budget:
    return Budget(scope, counters.windows(scope, value, rates))
