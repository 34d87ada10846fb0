"""Whose tokens those of service-account-token Secrets are, while Secrets come and go. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from connectors.model.secret import SERVICE_ACCOUNT_TOKEN, Secret, SecretKey
from connectors.snapshot import TokenOwner, token_digest


class TokenOwners:
    """An index by the token's digest. Of two Secrets with one token the first by namespace and name counts."""

    def __init__(self) -> None:
        self._digests: dict[SecretKey, bytes] = {}
        self._claims: dict[bytes, dict[SecretKey, TokenOwner]] = {}
        self._owners: dict[bytes, TokenOwner] = {}
        self._current: Mapping[bytes, TokenOwner] | None = None

    def set(self, key: SecretKey, secret: Secret | None) -> None:
        """The Secret of that name now; None where there is none."""
        if (digest := self._digests.pop(key, None)) is not None:
            del self._claims[digest][key]
            self._settle(digest)
        token = secret.data.get("token") if secret and secret.type == SERVICE_ACCOUNT_TOKEN else None
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
            self._owners[digest] = claims[min(claims)]
        else:
            del self._claims[digest], self._owners[digest]
        self._current = None
