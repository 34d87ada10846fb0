"""core/v1 Secret, with every value behind SecretValue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from connectors.model.metadata import ObjectMeta
from connectors.model.secret_value import SecretValue

BASIC_AUTH = "kubernetes.io/basic-auth"
SERVICE_ACCOUNT_TOKEN = "kubernetes.io/service-account-token"  # noqa: S105 - a type's name
BEARER_TOKEN = "connectors.cpaas.io/bearer-token"  # noqa: S105 - a type's name
TLS = "kubernetes.io/tls"
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
