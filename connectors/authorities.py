"""The Secrets with CA certificates -> whom each Connector trusts (requirement, "Custom CA Certificates"). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from connectors.model.connector import Connector
from connectors.model.secret import Secret, SecretKey
from connectors.tls.certificates import Bundle, Certificate, read_bundle
from connectors.tls.pool import SYSTEM_TRUST, ApiServer, Trust, trust_of

T = TypeVar("T")

LABEL = "connectors.cpaas.io/ca-cert"
"""Of Secrets in the system namespace: with the value "true" their certificates are trusted for every Connector."""


def is_for_all(secret: Secret, system_namespace: str) -> bool:
    """Whether the certificates of this Secret are trusted for every Connector."""
    return secret.metadata.namespace == system_namespace and secret.metadata.labels.get(LABEL) == "true"


def ca_secret_key_of(connector: Connector) -> SecretKey | None:
    """The Secret of spec.caCertSecretRef: always of the Connector's own namespace; None where it names none."""
    reference = connector.spec.ca_cert_secret_ref
    if reference is None or not reference.name:
        return None
    return SecretKey(connector.metadata.namespace, reference.name)


@dataclass(frozen=True, slots=True)
class Authority:
    """A Secret with what was found in it."""

    secret: Secret
    bundle: Bundle


@dataclass(frozen=True, slots=True)
class OwnAuthority:
    """What a Connector's spec.caCertSecretRef leads to. `name` is empty where there is none.

    `bundle` is None where there is no such Secret; or, where `unread` says why, where nobody knows that yet.
    """

    name: str = ""
    bundle: Bundle | None = None
    unread: str = ""


NO_REFERENCE = OwnAuthority()


@dataclass(frozen=True, slots=True)
class Given:
    """What a source has of it: `for_all` are the labelled Secrets, `secrets` all those that may be referred to."""

    enabled: bool
    for_all: tuple[Secret, ...] = ()
    secrets: Mapping[SecretKey, Secret] = field(default_factory=dict)
    unread: Mapping[SecretKey, str] = field(default_factory=dict)
    api_server: ApiServer | None = None


@dataclass(frozen=True, slots=True)
class Authorities:
    """All CAs at one moment. With the flag off there are none: the system's store is all that is trusted.

    `trust` is that of whoever has no CA of its own. `own`, `own_trust` and `own_state` are by the Secret that a
    Connector refers to; where there is no such Secret, only `own_state` says so.
    """

    enabled: bool = False
    for_all: tuple[Authority, ...] = ()
    own: Mapping[SecretKey, Authority] = field(default_factory=dict)
    trust: Trust = SYSTEM_TRUST
    own_trust: Mapping[SecretKey, Trust] = field(default_factory=dict)
    own_state: Mapping[SecretKey, OwnAuthority] = field(default_factory=dict)
    api_server: ApiServer | None = None

    def trust_of(self, connector: Connector) -> Trust:
        """Whom this Connector trusts: all layers together."""
        key = ca_secret_key_of(connector)
        return self.own_trust.get(key, self.trust) if key else self.trust

    @property
    def by_source(self) -> Mapping[str, tuple[Authority, ...]]:
        """The Secrets of each layer, by the name that metrics have for it."""
        return {"global": self.for_all, "connector": tuple(self.own.values())}

    def own_of(self, connector: Connector) -> OwnAuthority | None:
        """What the Connector's own reference leads to; None with the flag off."""
        if not self.enabled:
            return None
        key = ca_secret_key_of(connector)
        return self.own_state[key] if key else NO_REFERENCE


NONE = Authorities()


def gather(given: Given, connectors: Iterable[Connector], previous: Authorities = NONE) -> Authorities:
    """The layers of every Connector. A Secret that is the same instance as before is not parsed again.

    What is equal to what was before stays the same instance too: thousands of Connectors are compared by it.
    """
    if not given.enabled:
        return NONE
    known = {id(authority.secret): authority for authority in (*previous.for_all, *previous.own.values())}

    def read(secret: Secret) -> Authority:
        return known.get(id(secret)) or Authority(secret, _read(secret))

    for_all = tuple(read(secret) for secret in given.for_all)
    referred = {key for connector in connectors if (key := ca_secret_key_of(connector))}
    own = {key: read(secret) for key in referred if (secret := given.secrets.get(key))}
    shared = [certificate for authority in for_all for certificate in authority.bundle.certificates]
    same = _same(for_all, previous.for_all) and given.api_server == previous.api_server

    def trust(before: Trust | None, certificates: Iterable[Certificate], *, kept: bool) -> Trust:
        if before is not None and kept and same:
            return before
        return _kept(before, trust_of((*shared, *certificates), given.api_server))

    def state(key: SecretKey) -> OwnAuthority:
        if authority := own.get(key):
            return OwnAuthority(key.name, authority.bundle)
        return OwnAuthority(key.name, None, given.unread.get(key, ""))

    own_trust = {
        key: trust(previous.own_trust.get(key), authority.bundle.certificates, kept=previous.own.get(key) is authority)
        for key, authority in own.items()
    }
    own_state = {key: _kept(previous.own_state.get(key), state(key)) for key in referred}
    everybody = trust(previous.trust, (), kept=previous.enabled)
    return Authorities(True, for_all, own, everybody, own_trust, own_state, given.api_server)


def _read(secret: Secret) -> Bundle:
    try:
        return read_bundle(secret.data)
    except Exception as error:  # noqa: BLE001 - one Secret that no code of ours expected must not stop all others
        return Bundle(problems=(f"it cannot be read ({type(error).__name__})",), invalid=1)


def _same(these: Sequence[Authority], those: Sequence[Authority]) -> bool:
    """The very same, in the same order."""
    return len(these) == len(those) and all(this is that for this, that in zip(these, those, strict=True))


def _kept(before: T | None, now: T) -> T:
    return before if before is not None and before == now else now
