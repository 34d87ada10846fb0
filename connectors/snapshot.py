"""The Snapshot: all objects as one frozen value, each Connector looked at once, indexed as requests ask."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from connectors.authorities import NONE, Authorities
from connectors.judgement import Judgement
from connectors.model.connector import Connector, ConnectorKey
from connectors.model.connector_class import ConnectorClass
from connectors.model.feature_flags import FeatureFlags
from connectors.model.host_form import HostForm
from connectors.model.secret import Secret, SecretKey
from connectors.model.violation import Violation
from connectors.plan import Plan
from connectors.tls.pool import ApiServer, ClientTls


@dataclass(frozen=True, slots=True)
class Objects:
    """Everything a source knows at one moment; names are unique within a kind.

    `malformed` says what does not fit into the shape of a Connector or class that the API server holds all the same;
    such an object stands in `connectors` or `classes` with its metadata alone, so that its status can tell. The keys
    are ConnectorKeys and names of classes. `unread` says of Secrets why nobody knows yet whether they exist.
    `authorities` are the Secrets whose CAs are trusted for all; `api_server` is the cluster's own, where there is one.
    """

    connectors: tuple[Connector, ...] = ()
    classes: tuple[ConnectorClass, ...] = ()
    secrets: tuple[Secret, ...] = ()
    flags: FeatureFlags = field(default_factory=FeatureFlags)
    malformed: Mapping[ConnectorKey | str, Violation] = field(default_factory=dict)
    unread: Mapping[SecretKey, str] = field(default_factory=dict)
    authorities: tuple[Secret, ...] = ()
    api_server: ApiServer | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """What is other than a source said before, by name; None: it is gone. What is None as a whole is as before.

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

    def __bool__(self) -> bool:
        """Whether there is any."""
        named = (self.connectors, self.classes, self.secrets, self.malformed, self.unread)
        return any(named) or any(one is not None for one in (self.flags, self.authorities, self.api_server))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a process makes of each Connector: Plans for traffic, Judgements for status, or both.

    `hosts` knows the names that Connectors have as hosts of this proxy; the default knows more of them than most need,
    so that no loop goes unseen.
    """

    plans: bool = True
    judgements: bool = True
    hosts: HostForm = field(default_factory=lambda: HostForm(localhost=True))


EVERYTHING = Wanted()


@dataclass(frozen=True, slots=True)
class TokenOwner:
    """Whose token it is: a ServiceAccount of a namespace."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One moment of all objects. A request reads it once and keeps it to its end.

    `plans` and `judgements` are of every Connector; where the process has no use for them there are none (see Wanted).
    `class_violations` is keyed by the class's name and lists every class, those without a violation too.
    `caller_headers` are the headers, in lower case, that may hold a caller's token by the word of any valid class;
    `proxy_uris` are the addresses that classes give for their proxies, a path or a URL. `authorities` are the CAs.
    `client_tls` is everything that may be brought to a handshake while this snapshot serves. `changed` and
    `changed_classes` are what is other than in the snapshot before, what is gone included.
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
    changed: tuple[ConnectorKey, ...] = ()
    changed_classes: tuple[str, ...] = ()

    def owner_of(self, token: bytes) -> TokenOwner | None:
        """Whose token of the service-account-token Secrets this is. Looks up a digest: no timing to learn from."""
        return self.token_owners.get(token_digest(token))


def token_digest(token: bytes) -> bytes:
    """By which a token is looked up."""
    return hashlib.sha256(token).digest()
