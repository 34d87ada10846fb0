"""The Snapshot: all objects as one frozen value, each Connector looked at once, indexed as requests ask."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from connectors.authorities import NONE, Authorities, Given, gather
from connectors.class_checks import check_connector_class
from connectors.examination import Inputs, examine, secret_key_of
from connectors.judgement import Judgement, judgement_of
from connectors.model.connector import Connector, ConnectorKey
from connectors.model.connector_class import ConnectorClass
from connectors.model.feature_flags import FeatureFlags
from connectors.model.host_form import HostForm
from connectors.model.key_pair import KeyPair
from connectors.model.secret import SERVICE_ACCOUNT_TOKEN, Secret, SecretKey
from connectors.model.violation import Violation, errors
from connectors.plan import Plan, compile_plan
from connectors.tls.pool import ApiServer, ClientTls, Trust


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
    `inputs` is what they were made of. `class_violations` is keyed by the class's name and lists every class, those
    without a violation too. `caller_headers` are the headers, in lower case, that may hold a caller's token by the word
    of any valid class; `proxy_uris` are the addresses that classes give for their proxies, a path or a URL.
    `authorities` are the CAs.
    """

    generation: int
    plans: Mapping[ConnectorKey, Plan]
    judgements: Mapping[ConnectorKey, Judgement]
    classes: Mapping[str, ConnectorClass]
    token_owners: Mapping[bytes, TokenOwner]
    flags: FeatureFlags
    inputs: Mapping[ConnectorKey, Inputs] = field(default_factory=dict)
    class_violations: Mapping[str, tuple[Violation, ...]] = field(default_factory=dict)
    caller_headers: frozenset[bytes] = frozenset()
    proxy_uris: frozenset[str] = frozenset()
    authorities: Authorities = NONE

    def client_tls(self) -> frozenset[ClientTls]:
        """Everything that may be brought to a handshake while this snapshot serves."""
        # By identity at first: thousands of Connectors share a handful of them.
        trusts = {id(trust): trust for trust in (self.authorities.trust, *self.authorities.own_trust.values())}
        shown: list[tuple[Trust, KeyPair | None]] = [(trust, None) for trust in trusts.values()]
        made: tuple[Plan | Judgement, ...] = (*self.plans.values(), *self.judgements.values())
        for of_one in made:
            if of_one.credential.certificate:
                shown.append((of_one.trust, of_one.credential.certificate))
        pools = ((pool, certificate) for trust, certificate in shown for pool in (trust.pool, trust.at_api_server))
        return frozenset(ClientTls(pool, certificate) for pool, certificate in pools)

    def owner_of(self, token: bytes) -> TokenOwner | None:
        """Whose token of the service-account-token Secrets this is. Looks up a digest: no timing to learn from."""
        return self.token_owners.get(_digest(token))


def build(objects: Objects, previous: Snapshot | None = None, wanted: Wanted = EVERYTHING) -> Snapshot:
    """All objects -> Snapshot. A Connector of which nothing changed keeps what `previous` made of it."""
    classes = {item.metadata.name: item for item in objects.classes}
    class_violations = {name: _judged(item, objects.malformed.get(name), previous) for name, item in classes.items()}
    secrets = {item.key: item for item in objects.secrets}
    authorities = _authorities(objects, secrets, previous)
    made = _Made({}, {}, {})
    for connector in objects.connectors:
        key, secret_key = connector.key, secret_key_of(connector)
        secret, class_name = secrets.get(secret_key), connector.spec.connector_class_name
        inputs = Inputs(
            connector,
            classes.get(class_name),
            class_violations.get(class_name, ()),
            secret,
            objects.malformed.get(key),
            objects.unread.get(secret_key, "") if secret is None else "",
            authorities.trust_of(connector),
            authorities.own_of(connector),
        )
        if previous and key in previous.inputs and inputs.same(previous.inputs[key]):
            made.keep(key, previous)
        else:
            made.make(key, inputs, wanted)
    return Snapshot(
        generation=previous.generation + 1 if previous else 1,
        plans=MappingProxyType(made.plans),
        judgements=MappingProxyType(made.judgements),
        classes=MappingProxyType(classes),
        token_owners=MappingProxyType(_token_owners(objects.secrets)),
        flags=objects.flags,
        inputs=MappingProxyType(made.inputs),
        class_violations=MappingProxyType(class_violations),
        caller_headers=frozenset(item.caller_header for item in _usable(classes, class_violations)) - {b""},
        proxy_uris=frozenset(item.spec.proxy.uri for item in objects.classes if item.spec.proxy) - {""},
        authorities=authorities,
    )


@dataclass(frozen=True, slots=True)
class _Made:
    """What is made of Connectors, while it is being made."""

    inputs: dict[ConnectorKey, Inputs]
    plans: dict[ConnectorKey, Plan]
    judgements: dict[ConnectorKey, Judgement]

    def keep(self, key: ConnectorKey, previous: Snapshot) -> None:
        """Take over what was made before."""
        self.inputs[key] = previous.inputs[key]
        if key in previous.plans:
            self.plans[key] = previous.plans[key]
        if key in previous.judgements:
            self.judgements[key] = previous.judgements[key]

    def make(self, key: ConnectorKey, inputs: Inputs, wanted: Wanted) -> None:
        """Look at the Connector once, and make what is wanted of that."""
        self.inputs[key] = inputs
        examined = examine(inputs)
        if wanted.plans:
            self.plans[key] = compile_plan(examined, wanted.hosts)
        if wanted.judgements:
            self.judgements[key] = judgement_of(examined)


def _authorities(objects: Objects, secrets: Mapping[SecretKey, Secret], previous: Snapshot | None) -> Authorities:
    enabled = objects.flags.enable_custom_ca_certs
    given = Given(enabled, objects.authorities, secrets, objects.unread, objects.api_server)
    return gather(given, objects.connectors, previous.authorities if previous else NONE)


def _usable(
    classes: Mapping[str, ConnectorClass], violations: Mapping[str, tuple[Violation, ...]]
) -> Iterator[ConnectorClass]:
    return (item for name, item in classes.items() if not errors(violations[name]))


def _judged(
    connector_class: ConnectorClass, malformed: Violation | None, previous: Snapshot | None
) -> tuple[Violation, ...]:
    if malformed is not None:
        return (malformed,)
    name = connector_class.metadata.name
    if previous is not None and previous.classes.get(name) is connector_class:
        return previous.class_violations[name]
    return check_connector_class(connector_class)


def _token_owners(secrets: tuple[Secret, ...]) -> dict[bytes, TokenOwner]:
    owners = {}
    for secret in secrets:
        token = secret.data.get("token")
        if secret.type == SERVICE_ACCOUNT_TOKEN and token is not None and token.reveal():
            name = secret.metadata.annotations.get("kubernetes.io/service-account.name", secret.metadata.name)
            owners[_digest(token.reveal())] = TokenOwner(secret.metadata.namespace, name)
    return owners


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
