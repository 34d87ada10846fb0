"""A look at a token before anybody is asked whose it is. It only sorts: it never says yes. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple, Protocol

import msgspec
from msgspec import Struct

from connectors.json_depth import too_deep
from connectors.objects.user import User
from proxy.callers.budgets import Budget
from proxy.callers.jwks import Key, decoded
from proxy.callers.tokens import Claims

# Signatures a second of one address that are looked at, saved up for so many seconds, and of all addresses together as
# many as of so many: 65 us each at the most common of the costly kinds, so one address takes 7 ms of a second, and all
# together 130 ms.
SIGNATURES = 100.0
SAVED = 2.0
OVERALL = 20
# Bytes of a token's header. Kubernetes writes two members, 90 bytes.
MAX_HEADER = 1024


class Keys(Protocol):
    """The part of SigningKeys that is needed."""

    issuer: str

    def find(self, issuer: str, kid: str) -> Key | None:
        """The key of that id, if that is the issuer."""


class Seen(NamedTuple):
    """A token, with what was read of it already, and the client address it came from."""

    token: bytes
    claims: Claims
    client: str

    def __repr__(self) -> str:
        return f"Seen({self.client})"  # a token is a password


class _Header(Struct, frozen=True):
    alg: str = ""
    kid: str = ""


class _Subject(Struct, frozen=True):
    iss: str = ""
    sub: str = ""


class LocalLook:
    """Whether a token is signed by the API server, as far as is known here."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._budget = Budget(SIGNATURES, SAVED, OVERALL)

    def tenant(self, seen: Seen, audiences: Collection[str], now: float) -> str:
        """The namespace of the ServiceAccount that the token is of, if its signature says so; else empty.

        It must be for one of `audiences`, or for the issuer, by which most API servers call themselves. `now`:
        monotonic, in seconds. That it has not ended was looked at before.
        """
        claims = seen.claims
        if claims.ends is None or claims.audiences.isdisjoint((*audiences, self._keys.issuer)):
            return ""
        head, _, signature = seen.token.rpartition(b".")
        try:
            algorithm, key, tenant = self._signer(head)
        except ValueError:
            return ""
        if key is None or not tenant:
            return ""
        # Behind all that costs nothing: anybody can write a token that only lacks the signature.
        if self._budget.wait(seen.client, now) or self._budget.wait_of_all(now):
            return ""
        self._budget.spend(seen.client, now)
        return tenant if _is_signed(key, algorithm, head, signature) else ""

    def _signer(self, head: bytes) -> tuple[str, Key | None, str]:
        """The algorithm and key that the token names, and the namespace of its subject.

        Raises:
            ValueError: it is no JSON Web Token.
        """
        first, _, second = head.partition(b".")
        header, payload = decoded(first[:MAX_HEADER]), decoded(second)
        if too_deep(header) or too_deep(payload):
            raise ValueError("it is nested too deeply")
        named = msgspec.json.decode(header, type=_Header)
        subject = msgspec.json.decode(payload, type=_Subject)
        account = User(username=subject.sub).service_account
        return named.alg, self._keys.find(subject.iss, named.kid), account.namespace if account else ""


def _is_signed(key: Key, algorithm: str, head: bytes, signature: bytes) -> bool:
    try:
        # In the key's own algorithm, whatever the token names (RFC 8725 section 3.1).
        return algorithm == key.algorithm and key.has_signed(head, decoded(signature))
    except ValueError:
        return False
