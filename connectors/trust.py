"""The Secrets with CA certificates -> whom each Connector trusts (docs/trust.md). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from connectors.objects.connector import Connector
from connectors.objects.secret import Secret, SecretKey
from connectors.tls.certificates import Bundle, Certificate, read_bundle
from connectors.tls.pool import SYSTEM_TRUST, ApiServer, Trust, trust_of

T = TypeVar("T")

# Of Secrets in the system namespace: with the value "true" their certificates are trusted for every Connector.
LABEL = "connectors.cpaas.io/ca-cert"


def is_for_all(secret: Secret, system_namespace: str) -> bool:
    """Whether the certificates of this Secret are trusted for every Connector."""
    # Only there: elsewhere, the author of any Secret could make all Connectors trust a CA of their own.
    return secret.metadata.namespace == system_namespace and secret.metadata.labels.get(LABEL) == "true"


def ca_secret_key_of(connector: Connector) -> SecretKey | None:
    """The Secret of spec.caCertSecretRef: always of the Connector's own namespace; None if it names none."""
    # Its own namespace, never another (threat 7): a message about the Secret would tell of what is in it.
    reference = connector.spec.ca_cert_secret_ref
    if reference is None or not reference.name:
        return None
    return SecretKey(connector.metadata.namespace, reference.name)


@dataclass(frozen=True, slots=True)
class Authority:
    """A Secret and the certificates found in it."""

    secret: Secret
    bundle: Bundle


@dataclass(frozen=True, slots=True)
class OwnAuthority:
    """What a Connector's spec.caCertSecretRef leads to. `name` is empty if there is none.

    `bundle` is None if there is no such Secret; or if that is not known yet, and `unread` says why.
    """

    name: str = ""
    bundle: Bundle | None = None
    unread: str = ""


NO_REFERENCE = OwnAuthority()


@dataclass(frozen=True, slots=True)
class Authorities:
    """All CAs at one moment. With the flag off there are none: the system's store is all that is trusted.

    `trust` is that of a Connector without a CA of its own. `own` has the Secrets that Connectors refer to.
    """

    enabled: bool = False
    for_all: tuple[Authority, ...] = ()
    own: Mapping[SecretKey, Authority] = field(default_factory=dict)
    trust: Trust = SYSTEM_TRUST

    @property
    def by_source(self) -> Mapping[str, tuple[Authority, ...]]:
        """The Secrets of each layer, by the name that metrics have for it."""
        return {"global": self.for_all, "connector": tuple(self.own.values())}


NONE = Authorities()


class Layers:
    """The layers of every Connector while Secrets come and go: a change costs what it is about.

    A value that equals the one before keeps its instance; so thousands of Connectors are found unchanged by identity.
    """

    def __init__(self) -> None:
        self._for_all: tuple[Authority, ...] = ()
        self._everybody = SYSTEM_TRUST
        self._api_server: ApiServer | None = None
        self._own: dict[SecretKey, Authority] = {}
        self._trust: dict[SecretKey, Trust] = {}
        self._state: dict[SecretKey, OwnAuthority] = {}
        self._current: Authorities | None = None

    def trust_of(self, key: SecretKey | None) -> Trust:
        """The trust of a Connector that refers to this Secret; None: to no Secret."""
        return self._trust.get(key, self._everybody) if key else self._everybody

    def state_of(self, key: SecretKey | None) -> OwnAuthority:
        """What the reference leads to. Call `own` for it first."""
        return self._state[key] if key else NO_REFERENCE

    def for_all(self, secrets: Sequence[Secret], api_server: ApiServer | None) -> bool:
        """Trust these for all. Returns whether `own` has to be called again for each: they count there too."""
        before = {authority.secret.key: authority for authority in self._for_all}
        authorities = tuple(_authority(secret, before.get(secret.key)) for secret in secrets)
        if _same(authorities, self._for_all) and api_server == self._api_server:
            return False
        self._for_all, self._api_server, self._current = authorities, api_server, None
        self._everybody = _kept(self._everybody, trust_of(self._shared(), api_server))
        return True

    def own(self, key: SecretKey, secret: Secret | None, unread: str) -> bool:
        """Set what Connectors get from the Secret that they refer to. Returns whether that has changed."""
        before = (self._trust.get(key), self._state.get(key))
        # Without its own Secret a Connector keeps the CAs that all have: it is served, and its status tells.
        if secret is None:
            self._own.pop(key, None)
            self._trust.pop(key, None)
            state = OwnAuthority(key.name, None, unread)
        else:
            self._own[key] = authority = _authority(secret, self._own.get(key))
            made = trust_of((*self._shared(), *authority.bundle.certificates), self._api_server)
            self._trust[key] = _kept(before[0], made)
            state = OwnAuthority(key.name, authority.bundle)
        self._state[key] = _kept(before[1], state)
        self._current = None
        return before[0] is not self._trust.get(key) or before[1] is not self._state[key]

    def disown(self, key: SecretKey) -> None:
        """Forget a Secret that no Connector refers to any more."""
        for kept in (self._own, self._trust, self._state):
            kept.pop(key, None)
        self._current = None

    def current(self) -> Authorities:
        """All of it as one value."""
        if self._current is None:
            self._current = Authorities(True, self._for_all, dict(self._own), self._everybody)
        return self._current

    def _shared(self) -> tuple[Certificate, ...]:
        return tuple(certificate for authority in self._for_all for certificate in authority.bundle.certificates)


def _authority(secret: Secret, before: Authority | None) -> Authority:
    return before if before is not None and before.secret is secret else Authority(secret, _read(secret))


def _read(secret: Secret) -> Bundle:
    try:
        return read_bundle(secret.data)
    except Exception as error:  # noqa: BLE001 - one Secret that no code of ours expected must not stop all others
        return Bundle(problems=(f"it cannot be read ({type(error).__name__})",), invalid=1)


def _same(these: Sequence[Authority], those: Sequence[Authority]) -> bool:
    """Whether they are the same instances, in the same order."""
    return len(these) == len(those) and all(this is that for this, that in zip(these, those, strict=True))


def _kept(before: T | None, now: T) -> T:
    return before if before is not None and before == now else now
