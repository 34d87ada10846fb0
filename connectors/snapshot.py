"""The Snapshot: all objects as one frozen value, each Connector judged and bound once, indexed as requests ask."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from connectors.authorities import NONE, Authorities, Given, OwnAuthority, gather
from connectors.class_checks import check_connector_class
from connectors.credentials.credential import ANONYMOUS, CALLERS_OWN, Credential, CredentialError, Owned, fold
from connectors.credentials.registry import credential_of, owned_by
from connectors.expressions.subject import Subject
from connectors.model.addresses import Address, declared_addresses
from connectors.model.checks import check_connector
from connectors.model.connector import Connector, ConnectorKey
from connectors.model.connector_class import ConnectorClass
from connectors.model.feature_flags import FeatureFlags
from connectors.model.key_pair import KeyPair
from connectors.model.reasons import ConditionReason, Reason
from connectors.model.refusal import Refusal
from connectors.model.secret import SERVICE_ACCOUNT_TOKEN, Secret, SecretKey
from connectors.model.violation import Violation, errors
from connectors.tls.pool import SYSTEM_TRUST, ApiServer, ClientTls, Trust


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


@dataclass(frozen=True, slots=True, eq=False)
class Binding:
    """A Connector with all that a request to it needs.

    `secret_problem` is why its Secret cannot serve, None where it can or none is asked for; `unread` is set where
    nobody knows yet whether there is such a Secret, and is then the problem's message. `refusal` is what every
    request gets instead of the tool's answer. `addresses` is keyed by extension name; "" is spec.address. `trust` is
    whose certificates are believed; `authority` what spec.caCertSecretRef leads to, None where custom CAs are off.
    """

    connector: Connector
    connector_class: ConnectorClass | None
    secret: Secret | None = None
    violations: tuple[Violation, ...] = ()
    addresses: Mapping[str, Address] = field(default_factory=dict)
    credential: Credential = ANONYMOUS
    owned: Owned = CALLERS_OWN
    secret_problem: CredentialError | None = None
    refusal: Refusal | None = None
    unread: str = ""
    trust: Trust = SYSTEM_TRUST
    authority: OwnAuthority | None = None
    key: ConnectorKey = field(init=False)
    class_name: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", self.connector.key)
        object.__setattr__(self, "class_name", self.connector.spec.connector_class_name)

    @property
    def has_proxy(self) -> bool:
        """Whether the class gives its Connectors a proxy address. An unknown class may well have one."""
        return self.connector_class is None or self.connector_class.spec.proxy is not None


@dataclass(frozen=True, slots=True)
class TokenOwner:
    """Whose token it is: a ServiceAccount of a namespace."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One moment of all objects. A request reads it once and keeps it to its end.

    `class_violations` is keyed by the class's name and lists every class, those without a violation too.
    `caller_headers` are the headers, in lower case, that may hold a caller's token by the word of any valid class;
    `proxy_uris` are the addresses that classes give for their proxies, a path or a URL. `authorities` are the CAs.
    """

    generation: int
    bindings: Mapping[ConnectorKey, Binding]
    classes: Mapping[str, ConnectorClass]
    token_owners: Mapping[bytes, TokenOwner]
    flags: FeatureFlags
    class_violations: Mapping[str, tuple[Violation, ...]] = field(default_factory=dict)
    caller_headers: frozenset[bytes] = frozenset()
    proxy_uris: frozenset[str] = frozenset()
    authorities: Authorities = NONE

    def client_tls(self) -> frozenset[ClientTls]:
        """Everything that may be brought to a handshake while this snapshot serves."""
        # By identity at first: thousands of Connectors share a handful of them.
        trusts = {id(trust): trust for trust in (self.authorities.trust, *self.authorities.own_trust.values())}
        bindings = [binding for binding in self.bindings.values() if binding.credential.certificate]
        shown: list[tuple[Trust, KeyPair | None]] = [(trust, None) for trust in trusts.values()]
        shown += [(binding.trust, binding.credential.certificate) for binding in bindings]
        pools = ((pool, certificate) for trust, certificate in shown for pool in (trust.pool, trust.at_api_server))
        return frozenset(ClientTls(pool, certificate) for pool, certificate in pools)

    def owner_of(self, token: bytes) -> TokenOwner | None:
        """Whose token of the service-account-token Secrets this is. Looks up a digest: no timing to learn from."""
        return self.token_owners.get(_digest(token))


def build(objects: Objects, previous: Snapshot | None = None) -> Snapshot:
    """All objects -> Snapshot. A Connector of which nothing changed keeps the Binding of `previous`."""
    classes = {item.metadata.name: item for item in objects.classes}
    class_violations = {name: _judged(item, objects.malformed.get(name), previous) for name, item in classes.items()}
    secrets = {item.key: item for item in objects.secrets}
    authorities = _authorities(objects, secrets, previous)
    bindings = {}
    for connector in objects.connectors:
        connector_class = classes.get(connector.spec.connector_class_name)
        secret_key = secret_key_of(connector)
        secret, unread = secrets.get(secret_key), objects.unread.get(secret_key, "")
        malformed = objects.malformed.get(connector.key)
        trust, authority = authorities.trust_of(connector), None if malformed else authorities.own_of(connector)
        before = previous.bindings.get(connector.key) if previous else None
        unchanged = before is not None and (
            before.connector is connector
            and before.connector_class is connector_class
            and before.secret is secret
            # Where something else is wrong, or nothing, nobody asks for the Secret.
            and before.unread == (unread if before.secret_problem else "")
            and before.trust is trust
            and before.authority is authority
        )
        if before and unchanged:
            bindings[connector.key] = before
            continue
        if malformed:
            bindings[connector.key] = replace(_unreadable(connector, malformed), trust=trust)
            continue
        of_class = class_violations.get(connector.spec.connector_class_name, ())
        bound = bind(connector, connector_class, secret, of_class)
        bound = _unread(bound, unread) if unread and secret is None else bound
        bindings[connector.key] = replace(bound, trust=trust, authority=authority)
    return Snapshot(
        generation=previous.generation + 1 if previous else 1,
        bindings=MappingProxyType(bindings),
        classes=MappingProxyType(classes),
        token_owners=MappingProxyType(_token_owners(objects.secrets)),
        flags=objects.flags,
        class_violations=MappingProxyType(class_violations),
        caller_headers=frozenset(item.caller_header for item in _usable(classes, class_violations)) - {b""},
        proxy_uris=frozenset(item.spec.proxy.uri for item in objects.classes if item.spec.proxy) - {""},
        authorities=authorities,
    )


def _authorities(objects: Objects, secrets: Mapping[SecretKey, Secret], previous: Snapshot | None) -> Authorities:
    enabled = objects.flags.enable_custom_ca_certs
    given = Given(enabled, objects.authorities, secrets, objects.unread, objects.api_server)
    return gather(given, objects.connectors, previous.authorities if previous else NONE)


def _usable(
    classes: Mapping[str, ConnectorClass], violations: Mapping[str, tuple[Violation, ...]]
) -> Iterator[ConnectorClass]:
    return (item for name, item in classes.items() if not errors(violations[name]))


def bind(
    connector: Connector,
    connector_class: ConnectorClass | None,
    secret: Secret | None,
    class_violations: tuple[Violation, ...] = (),
) -> Binding:
    """Judge one Connector against its class, of which `class_violations` are known, and its Secret."""
    if connector_class is None:
        name, violations = connector.spec.connector_class_name, check_connector(connector, None)
        message = f'connectorclass "{name}" not found; create it, or correct spec.connectorClassName'
        if misnamed := next((found for found in violations if found.path == "spec.connectorClassName"), None):
            message = f"Connector {connector.key} is invalid: {misnamed}"  # the name itself may be of any length
        not_found = Refusal(Reason.CONNECTOR_INVALID, message)
        return Binding(connector, None, secret, violations, refusal=not_found)
    violations = of_invalid_class(connector_class, class_violations) + check_connector(connector, connector_class)
    owned = _owned(connector_class)
    if fatal := errors(violations):
        invalid = Refusal(Reason.CONNECTOR_INVALID, f"Connector {connector.key} is invalid: {fatal[0]}")
        return Binding(connector, connector_class, secret, violations, owned=owned, refusal=invalid)
    addresses = declared_addresses(connector, connector_class)
    credential, problem = _credential(connector, connector_class, secret)
    refusal = None
    if problem:
        refusal = Refusal(Reason.CREDENTIAL_UNAVAILABLE, f"Connector {connector.key}: {problem.message}")
    return Binding(connector, connector_class, secret, violations, addresses, credential, owned, problem, refusal)


def _unread(bound: Binding, why: str) -> Binding:
    """The same, where its Secret may exist or not: it does not serve, and nobody is told that it is missing."""
    if bound.secret_problem is None:
        return bound
    problem = CredentialError(ConditionReason.SECRET_PENDING, why)
    refusal = Refusal(Reason.CREDENTIAL_UNAVAILABLE, f"Connector {bound.connector.key}: {why}")
    return replace(bound, secret_problem=problem, refusal=refusal, unread=why)


def _unreadable(connector: Connector, violation: Violation) -> Binding:
    refusal = Refusal(Reason.CONNECTOR_INVALID, f"Connector {connector.key} is invalid: {violation}")
    return Binding(connector, None, violations=(violation,), refusal=refusal)


def _judged(
    connector_class: ConnectorClass, malformed: Violation | None, previous: Snapshot | None
) -> tuple[Violation, ...]:
    if malformed is not None:
        return (malformed,)
    name = connector_class.metadata.name
    if previous is not None and previous.classes.get(name) is connector_class:
        return previous.class_violations[name]
    return check_connector_class(connector_class)


def of_invalid_class(connector_class: ConnectorClass, violations: tuple[Violation, ...]) -> tuple[Violation, ...]:
    """What a broken class means for its Connector: templates of such a class cannot be trusted to compile."""
    fatal = errors(violations)
    if not fatal:
        return ()
    message = f"ConnectorClass {connector_class.metadata.name} is invalid, correct it first: {fatal[0]}"
    return (Violation("spec.connectorClassName", message),)


def _owned(connector_class: ConnectorClass) -> Owned:
    """What any of its types may inject, and the field that may hold a caller's own token (threat 21).

    Of an invalid class too: the names are removed even though no template of it is ever rendered.
    """
    header = connector_class.caller_header
    caller = frozenset({fold(header)}) if header else frozenset()
    return owned_by(connector_class.auth_types) | Owned(headers=caller)


def _credential(
    connector: Connector, connector_class: ConnectorClass, secret: Secret | None
) -> tuple[Credential, CredentialError | None]:
    auth = connector.spec.auth
    if auth is None or auth.secret_ref is None:
        return ANONYMOUS, None
    auth_type = connector_class.auth_type(auth.name)
    if secret is None or auth_type is None:
        message = f'secrets "{auth.secret_ref.name}" not found; create it in namespace {connector.metadata.namespace}'
        return ANONYMOUS, CredentialError(ConditionReason.SECRET_NOT_FOUND, message)
    try:
        return credential_of(auth_type, secret, Subject(connector, connector_class, secret)), None
    except CredentialError as error:
        return ANONYMOUS, error
    except Exception as error:  # noqa: BLE001 - one Secret that no code of ours expected must not stop all others
        message = f"Secret {auth.secret_ref.name} cannot be read as a credential ({type(error).__name__})"
        return ANONYMOUS, CredentialError(ConditionReason.SECRET_KEY_INVALID, message)


def secret_key_of(connector: Connector) -> SecretKey:
    """Always in the Connector's own namespace, whatever secretRef.namespace says (threat 7); checks refuse another."""
    auth = connector.spec.auth
    name = auth.secret_ref.name if auth and auth.secret_ref else ""
    return SecretKey(connector.metadata.namespace, name)


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
