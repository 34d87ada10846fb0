"""What is to be done with the Secret's certificates now. Pure: parsed certificates, the published bundle and the time.

An authority is renewed in steps, so that at no moment an API server is asked to trust what it does not know yet: the
new one is put in front of the old and published; an overlap later it issues the serving certificate; another overlap
later the old one goes. The overlap is for whoever is slow to hear: API servers of the configuration, replicas of the
Secret.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from ipaddress import ip_address

RENEW_AFTER = 2 / 3
"""Of a life, as cert-manager's default has it: with ninety days, there are thirty left to notice that it fails."""

BACKDATE = timedelta(days=1)
"""A certificate is valid so long before it is made, for API servers whose clock is behind that of the replica that
made it: hours are soon had where somebody took local time for UTC. Lives count from when it was made."""


@dataclass(frozen=True, slots=True)
class Times:
    """How long things live, and what is waited between the steps of a new authority."""

    leaf_life: timedelta = timedelta(days=90)
    authority_life: timedelta = timedelta(days=3650)
    overlap: timedelta = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate of ca.crt. `begins` is when it was made."""

    fingerprint: str
    begins: datetime
    ends: datetime

    def valid(self, now: datetime) -> bool:
        """By its dates."""
        return self.begins - BACKDATE <= now < self.ends


@dataclass(frozen=True, slots=True)
class Leaf:
    """The serving certificate, whose key fits. `issuer`: the authority of ca.crt that issued it, empty for none."""

    issuer: str
    names: Set[str]
    begins: datetime
    ends: datetime

    def valid(self, now: datetime) -> bool:
        """By its dates."""
        return self.begins - BACKDATE <= now < self.ends


@dataclass(frozen=True, slots=True)
class Held:
    """What the Secret holds. `authorities`: newest first; `can_sign`: ca.key fits the newest."""

    authorities: tuple[Authority, ...] = ()
    can_sign: bool = False
    leaf: Leaf | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """The caBundles of the webhook configuration: what all of them hold, and since when each was seen there."""

    since: dict[str, datetime]


NOTHING_PUBLISHED = Published({})


class Action(Enum):
    """What to write into the Secret; WAIT writes nothing."""

    START_ANEW = "a new authority, and a certificate of it at once"
    ADD_AUTHORITY = "a new authority in front of the old; the certificate stays"
    ISSUE = "a new certificate of the newest authority"
    DROP_OLD = "the newest authority alone"
    WAIT = "nothing"


@dataclass(frozen=True, slots=True)
class Plan:
    """The action, why, and when to look again at the latest (for WAIT alone)."""

    action: Action
    why: str = ""
    until: datetime | None = None


def plan(held: Held, published: Published, names: Set[str], times: Times, now: datetime) -> Plan:
    """The next step. `names`: what the certificate must be good for."""
    problem = _unusable(held, canonical(names), now)
    newest = held.authorities[0] if held.authorities else None
    if newest is None or not newest.valid(now) or not held.can_sign:
        unable = newest is None or not held.can_sign
        why = "there is no authority that could sign" if unable else "the authority is not valid at this time"
        return Plan(Action.START_ANEW if problem else Action.ADD_AUTHORITY, why)
    if problem or held.leaf is None:
        return Plan(Action.ISSUE, problem)
    if _due(newest.begins, newest.ends) <= now:
        return Plan(Action.ADD_AUTHORITY, "two thirds of the authority's life are over")
    if held.leaf.issuer != newest.fingerprint:
        return _take_over(held.leaf, newest, published, times, now)
    if _due(held.leaf.begins, held.leaf.ends) <= now:
        return Plan(Action.ISSUE, "two thirds of the certificate's life are over")
    return _settle(held, held.leaf, newest, times, now)


def names_of_next(held: Held, names: Set[str], now: datetime) -> frozenset[str]:
    """What the next certificate is good for: `names`, and those of one that is not due to be renewed.

    During a roll-out there are replicas of two configurations; without its names each would undo what the other wrote.
    """
    leaf = held.leaf
    kept = leaf.names if leaf is not None and _due(leaf.begins, leaf.ends) > now else frozenset[str]()
    return canonical(names) | kept


def serves(held: Held, now: datetime) -> bool:
    """Whether its certificate is good for those who know its authorities, whatever is to be done next."""
    return not _unusable(held, frozenset(), now)


def canonical(names: Iterable[str]) -> frozenset[str]:
    """IP addresses as a certificate says them: of the ways to write one, a second would be lacking for ever."""
    return frozenset(_canonical(name) for name in names)


def _canonical(name: str) -> str:
    try:
        return str(ip_address(name))
    except ValueError:
        return name


def _unusable(held: Held, names: Set[str], now: datetime) -> str:
    """Why the certificate cannot serve, empty where it can. Then there is nothing to be careful of."""
    leaf = held.leaf
    alive = {item.fingerprint for item in held.authorities if item.valid(now)}
    if leaf is None:
        return "there is no certificate with its key"
    if leaf.ends <= now:
        return "the certificate ended"
    if not leaf.valid(now):
        return "the certificate is not valid yet"
    if leaf.issuer not in alive:
        return "no authority in ca.crt issued the certificate"
    if not names <= leaf.names:
        return "the certificate lacks a name"
    return ""


def _take_over(leaf: Leaf, newest: Authority, published: Published, times: Times, now: datetime) -> Plan:
    since = published.since.get(newest.fingerprint)
    if since is None:
        return Plan(Action.WAIT, until=leaf.ends)
    if since + times.overlap > now:
        return Plan(Action.WAIT, until=min(since + times.overlap, leaf.ends))
    return Plan(Action.ISSUE, "the new authority is published")


def _settle(held: Held, leaf: Leaf, newest: Authority, times: Times, now: datetime) -> Plan:
    until = min(_due(leaf.begins, leaf.ends), _due(newest.begins, newest.ends))
    if len(held.authorities) == 1:
        return Plan(Action.WAIT, until=until)
    if leaf.begins + times.overlap > now:
        return Plan(Action.WAIT, until=min(until, leaf.begins + times.overlap))
    return Plan(Action.DROP_OLD, "nothing is served of the old authority any more")


def _due(begins: datetime, ends: datetime) -> datetime:
    return begins + (ends - begins) * RENEW_AFTER
