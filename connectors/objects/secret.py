"""core/v1 Secret, with every value behind SecretValue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, NoReturn, final

from connectors.objects.metadata import ObjectMeta

REDACTED = "**********"


# A secret is a type: it cannot be printed, compared, hashed by content, copied into a pickle or formatted.
@final
class SecretValue:
    """Bytes that only `reveal()` shows; the name is chosen so that a grep finds every place that looks.

    Equal only if the same instance, so no comparison can leak a secret by its timing or a test's message.
    """

    __slots__ = ("__value",)

    def __init__(self, value: bytes) -> None:
        self.__value = value

    def reveal(self) -> bytes:
        """The secret bytes themselves. Call it as late as possible and keep no reference."""
        return self.__value

    def __repr__(self) -> str:
        return f"SecretValue({REDACTED})"

    def __str__(self) -> str:
        return REDACTED

    def __format__(self, spec: str) -> str:
        return REDACTED

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a SecretValue is never pickled or copied")


BASIC_AUTH = "kubernetes.io/basic-auth"
SERVICE_ACCOUNT_TOKEN = "kubernetes.io/service-account-token"  # noqa: S105 - a type's name
BEARER_TOKEN = "connectors.cpaas.io/bearer-token"  # noqa: S105 - a type's name
TLS = "kubernetes.io/tls"
DOCKER_CONFIG = "kubernetes.io/dockerconfigjson"
OPAQUE = "Opaque"


class SecretKey(NamedTuple):
    """What identifies a Secret while it exists."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Secret:
    """One Secret: `data` is decoded, with stringData already merged over it as the API server does."""

    metadata: ObjectMeta
    type: str
    data: Mapping[str, SecretValue]

    @property
    def key(self) -> SecretKey:
        """(namespace, name)."""
        return SecretKey(self.metadata.namespace, self.metadata.name)


@dataclass(frozen=True, slots=True, eq=False)
class KeyPair:
    """A certificate chain, its leaf first, and the private key, both in PEM.

    Two are never equal: a connection that was authenticated with one must not be used for another.
    """

    chain: bytes = field(repr=False)
    key: SecretValue
