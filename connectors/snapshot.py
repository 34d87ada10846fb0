"""The Snapshot: all objects as one frozen value, each Connector looked at once, indexed as requests ask."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import is_
from types import MappingProxyType
from typing import Generic, TypeVar

from connectors.credentials.reading import as_read
from connectors.dial.upstream_proxy import UpstreamProxies
from connectors.judgement import Judgement
from connectors.objects.addresses import TransportAddress
from connectors.objects.connector import Connector, ConnectorKey
from connectors.objects.connector_class import ConnectorClass
from connectors.objects.feature_flags import FeatureFlags
from connectors.objects.names import HostForm
from connectors.objects.secret import SERVICE_ACCOUNT_TOKEN, KeyPair, Secret, SecretKey, SecretValue
from connectors.objects.violation import Violation
from connectors.plan import Plan
from connectors.rules.examination import Examined
from connectors.tls.pool import ApiServer, ClientTls, Trust
from connectors.trust import NONE, Authorities


@dataclass(frozen=True, slots=True)
class Objects:
    """Everything a source knows at one moment; names are unique within a kind.

    `malformed` says what is wrong with the shape of Connectors and classes that the API server holds all the same.
    Such an object is in `connectors` or `classes` with its metadata alone, so that its status can tell. The keys
    are ConnectorKeys and names of classes. `unread` says of Secrets why it is not known yet whether they exist.
    `authorities` are the Secrets whose CAs are trusted for all; `api_server` is the cluster's own, where there is one.
    `own_addresses`: where the installation's pods and Services listen, as far as the source knows. `logins` are those
    of upstream proxies, by the proxy's name, all of them; None: they have not changed.
    """

    connectors: tuple[Connector, ...] = ()
    classes: tuple[ConnectorClass, ...] = ()
    secrets: tuple[Secret, ...] = ()
    flags: FeatureFlags = field(default_factory=FeatureFlags)
    malformed: Mapping[ConnectorKey | str, Violation] = field(default_factory=dict)
    unread: Mapping[SecretKey, str] = field(default_factory=dict)
    authorities: tuple[Secret, ...] = ()
    api_server: ApiServer | None = None
    own_addresses: frozenset[TransportAddress] = frozenset()
    logins: Mapping[str, SecretValue] | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """What has changed since the source spoke last, by name; None: it is gone. A field that is None has not changed.

    See Objects for what is meant by each; "" in `unread`: it is known now whether there is such a Secret.
    """

    connectors: Mapping[ConnectorKey, Connector | None] = field(default_factory=dict)
    classes: Mapping[str, ConnectorClass | None] = field(default_factory=dict)
    secrets: Mapping[SecretKey, Secret | None] = field(default_factory=dict)
    flags: FeatureFlags | None = None
    malformed: Mapping[ConnectorKey | str, Violation | None] = field(default_factory=dict)
    unread: Mapping[SecretKey, str] = field(default_factory=dict)
    authorities: tuple[Secret, ...] | None = None
    api_server: ApiServer | None = None
    own_addresses: frozenset[TransportAddress] | None = None
    logins: Mapping[str, SecretValue] | None = None

    def __bool__(self) -> bool:
        """Whether anything has changed."""
        named = (self.connectors, self.classes, self.secrets, self.malformed, self.unread)
        others = (self.flags, self.authorities, self.api_server, self.own_addresses, self.logins)
        return any(named) or any(one is not None for one in others)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a process makes of each Connector: Plans for traffic, Judgements for status, or both.

    `hosts` knows the names that Connectors have as hosts of this proxy; the default knows more of them than most need,
    so that no loop goes unseen. `proxies`: those on the way to tools; None: they are not known here.
    """

    plans: bool = True
    judgements: bool = True
    hosts: HostForm = field(default_factory=lambda: HostForm(localhost=True))
    proxies: UpstreamProxies | None = None


EVERYTHING = Wanted()


@dataclass(frozen=True, slots=True)
class TokenOwner:
    """The ServiceAccount that a token belongs to."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One moment of all objects. A request reads it once and keeps it to its end.

    `plans` and `judgements` have every Connector, or none if the process does not use them (see Wanted).
    `class_violations` is keyed by the class's name and lists every class, those without a violation too.
    `caller_headers` are the headers, in lower case, that may hold a caller's token by the word of any valid class;
    `proxy_uris` are the addresses that classes give for their proxies, a path or a URL. `authorities` are the CAs.
    `client_tls` is everything that may be brought to a handshake while this snapshot serves. `own_addresses` are those
    of the installation itself, which are not dialled. `changed` and
    `changed_classes` are what differs from the snapshot before; what is gone belongs to it. `proxies`: see Wanted, with
    their logins.
    """

    generation: int
    plans: Mapping[ConnectorKey, Plan]
    judgements: Mapping[ConnectorKey, Judgement]
    classes: Mapping[str, ConnectorClass]
    token_owners: Mapping[bytes, TokenOwner]
    flags: FeatureFlags
    class_violations: Mapping[str, tuple[Violation, ...]] = field(default_factory=dict)
    caller_headers: frozenset[bytes] = frozenset()
    proxy_uris: frozenset[str] = frozenset()
    authorities: Authorities = NONE
    client_tls: frozenset[ClientTls] = frozenset()
    own_addresses: frozenset[TransportAddress] = frozenset()
    changed: tuple[ConnectorKey, ...] = ()
    changed_classes: tuple[str, ...] = ()
    proxies: UpstreamProxies | None = None

    def owner_of(self, token: bytes) -> TokenOwner | None:
        """Whose token of the service-account-token Secrets this is. It looks up a digest, so timing tells nothing."""
        return self.token_owners.get(token_digest(token))


def token_digest(token: bytes) -> bytes:
    """The digest by which a token is looked up."""
    return hashlib.sha256(token).digest()


Key = TypeVar("Key", bound=Hashable)
Made = TypeVar("Made")


# What did not change is not made again: this is the one place that knows how to tell.
class Memo(Generic[Key, Made]):
    """Keeps what was made, by key, together with the instances that it was made of.

    Values are compared by identity: that costs nothing however large they are, shows no secret, and is exact, since
    sources keep an object's instance for as long as its content stays.
    """

    # One for each Connector and class, of thousands.
    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[Key, tuple[Sequence[object], Made]] = {}

    def get(self, key: Key, inputs: Sequence[object]) -> Made | None:
        """What was made of the very same inputs; None if the inputs differ, or nothing was made."""
        kept = self._kept.get(key)
        if kept is None or len(kept[0]) != len(inputs) or not all(map(is_, kept[0], inputs)):
            return None
        return kept[1]

    def put(self, key: Key, inputs: Sequence[object], made: Made) -> Made:
        """Keep, in place of what was made before."""
        self._kept[key] = (inputs, made)
        return made

    def forget(self, key: Key) -> None:
        """Drop what was made for this key."""
        self._kept.pop(key, None)


To = TypeVar("To", bound=Hashable)


# An index in both directions of one kind of reference. It costs what changes.
class Referrers(Generic[To]):
    """Which Connectors refer to a thing; each refers to one at most."""

    __slots__ = ("_from",)

    def __init__(self) -> None:
        # Most Secrets have one referrer, and a set for one is five times as large as a tuple.
        self._from: dict[To, tuple[ConnectorKey, ...] | set[ConnectorKey]] = {}

    def __contains__(self, to: To) -> bool:
        return to in self._from

    def __iter__(self) -> Iterator[To]:
        return iter(self._from)

    def of(self, to: To) -> Collection[ConnectorKey]:
        """Those that refer to it."""
        return self._from.get(to, ())

    def add(self, to: To, key: ConnectorKey) -> None:
        """Note that `key` refers to it."""
        found = self._from.get(to)
        if found is None:
            self._from[to] = (key,)
        elif isinstance(found, set):
            found.add(key)
        elif key not in found:
            self._from[to] = {*found, key}

    def move(self, key: ConnectorKey, before: To | None, now: To | None) -> None:
        """`key` referred to `before` and refers to `now`; None: to nothing."""
        if before is not None:
            self.remove(before, key)
        if now is not None:
            self.add(now, key)

    def remove(self, to: To, key: ConnectorKey) -> None:
        """Note that `key` no longer refers to it."""
        found = self._from.get(to)
        if isinstance(found, set):
            found.discard(key)
            if not found:
                del self._from[to]
        elif found == (key,):
            del self._from[to]


class TokenOwners:
    """Whose the tokens of service-account-token Secrets are, while Secrets come and go: an index by the token's digest.

    Of two Secrets with one token the first by namespace and name counts.
    """

    def __init__(self) -> None:
        self._digests: dict[SecretKey, bytes] = {}
        self._claims: dict[bytes, dict[SecretKey, TokenOwner]] = {}
        self._owners: dict[bytes, TokenOwner] = {}
        self._current: Mapping[bytes, TokenOwner] | None = None

    def set(self, key: SecretKey, secret: Secret | None) -> None:
        """The Secret of that name now; None if there is none."""
        if (digest := self._digests.pop(key, None)) is not None:
            del self._claims[digest][key]
            self._settle(digest)
        is_token = secret is not None and secret.type == SERVICE_ACCOUNT_TOKEN
        token = as_read(secret)[0].data.get("token") if secret is not None and is_token else None
        # An empty value must not become the token of callers who send an empty one.
        if secret is None or token is None or not token.reveal():
            return
        name = secret.metadata.annotations.get("kubernetes.io/service-account.name", secret.metadata.name)
        self._digests[key] = digest = token_digest(token.reveal())
        self._claims.setdefault(digest, {})[key] = TokenOwner(secret.metadata.namespace, name)
        self._settle(digest)

    def current(self) -> Mapping[bytes, TokenOwner]:
        """All of them as one value."""
        if self._current is None:
            self._current = MappingProxyType(dict(self._owners))
        return self._current

    def _settle(self, digest: bytes) -> None:
        claims = self._claims[digest]
        if claims:
            # The first by name, in whatever order they came: so a restart changes nothing.
            self._owners[digest] = claims[min(claims)]
        else:
            del self._claims[digest], self._owners[digest]
        self._current = None


class Handshakes:
    """The CAs and certificates that handshakes with tools need, counted while Connectors and CAs come and go."""

    def __init__(self) -> None:
        self._trusts: dict[SecretKey | None, tuple[ClientTls, ...]] = {}
        self._shown: dict[ConnectorKey, tuple[ClientTls, ...]] = {}
        self._counts: dict[ClientTls, int] = {}
        self._current: frozenset[ClientTls] | None = None

    def of_trust(self, key: SecretKey | None, trust: Trust | None) -> None:
        """The trust of Connectors that refer to this Secret with CAs (None: to none). `trust` None: they are gone."""
        self._count(self._trusts.pop(key, ()), -1)
        if trust is not None:
            self._trusts[key] = both = _both(trust, None)
            self._count(both, 1)

    def of_connector(self, key: ConnectorKey, examined: Examined | None) -> None:
        """A Connector that may show a certificate; None: it is gone."""
        self._count(self._shown.pop(key, ()), -1)
        if examined is not None and examined.credential.certificate is not None:
            self._shown[key] = both = _both(examined.inputs.trust, examined.credential.certificate)
            self._count(both, 1)

    def current(self) -> frozenset[ClientTls]:
        """All of it as one value."""
        if self._current is None:
            self._current = frozenset(self._counts)
        return self._current

    def _count(self, used: tuple[ClientTls, ...], step: int) -> None:
        for tls in used:
            count = self._counts.get(tls, 0) + step
            if count:
                self._counts[tls] = count
            else:
                del self._counts[tls]
            # It has just come or gone; otherwise the set is the same.
            if count == 0 or count == step:
                self._current = None


def _both(trust: Trust, certificate: KeyPair | None) -> tuple[ClientTls, ...]:
    return ClientTls(trust.pool, certificate), ClientTls(trust.at_api_server, certificate)
