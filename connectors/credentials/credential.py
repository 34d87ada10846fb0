"""A credential ready to be injected, and what it means for queries."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote_from_bytes, unquote_to_bytes

from connectors.http.message import Headers, RequestHead
from connectors.objects.reasons import ConditionReason
from connectors.objects.secret import KeyPair, SecretValue


class CredentialError(Exception):
    """A Secret cannot serve as a credential. The message names keys and types, never a value."""

    def __init__(self, reason: ConditionReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class InjectionError(Exception):
    """Nothing here makes a credential of Secrets of this type: it is the class that would have to change."""


@dataclass(frozen=True, slots=True)
class Owned:
    """The header fields and query parameters that belong to the proxy alone: a caller's are removed.

    Header names are folded by `fold`; query names are percent-decoded and in lower case.
    """

    headers: frozenset[bytes] = frozenset()
    query: frozenset[bytes] = frozenset()

    def __or__(self, other: Owned) -> Owned:
        return Owned(self.headers | other.headers, self.query | other.query)


# Query parameters to inject, in order.
Parameters = tuple[tuple[bytes, SecretValue], ...]


@dataclass(frozen=True, slots=True)
class Credential:
    """What a scheme made of one Secret: fields to inject, in order. Names are ASCII; values are ready for the wire.

    `certificate` is shown to the tool when it asks for one in the handshake.
    """

    headers: tuple[tuple[bytes, SecretValue], ...] = ()
    query: Parameters = ()
    certificate: KeyPair | None = None


# Bytes of a value that is looked for in an address; shorter ones stand there by chance.
_MIN_SHOWN = 8
# Looks at an address: as it is, and percent-decoded up to three times; logins nest one address in another.
_MAX_ENCODINGS = 4
ANONYMOUS = Credential()
# Never passed on, not even for anonymous Connectors: these fields are for the proxy alone (threat 21).
CALLERS_OWN = Owned(headers=frozenset({b"authorization", b"proxy-authorization", b"x-openapi-address"}))


def fold(name: bytes) -> bytes:
    """Fold a field name as tools behind CGI or WSGI do: case, and `_` for `-` (RFC 3875 section 4.1.18).

    Without this, a caller's `Private_Token` would reach such a tool in the same variable as the injected field.
    """
    # Short ones only: a cache of what peers make up must not become their storage.
    return _short_fold(name) if len(name) <= _CACHED else _fold(name)


def _fold(name: bytes) -> bytes:
    return name.lower().replace(b"_", b"-")


# Bytes of a name that is remembered folded; the longest registered field name has 41.
_CACHED = 64
_short_fold = lru_cache(maxsize=4096)(_fold)


def revealed(credential: Credential) -> Headers:
    """The header fields to inject, ready for the wire. The caller's own of these names must be gone by then."""
    return tuple((name, value.reveal()) for name, value in credential.headers)


def proves_nothing(credential: Credential) -> bool:
    """Whether a tool could take a request with it for one without."""
    values = (*credential.headers, *credential.query)
    return credential.certificate is None and not any(value.reveal() for _, value in values)


def add_query(parameters: Parameters, head: RequestHead) -> RequestHead:
    """Add the parameters behind the caller's, percent-encoded (RFC 3986 section 2.1); the rest of the target stays.

    The caller's own parameters of these names must be gone already (proxy/inject.py).
    """
    target = head.target
    for name, value in parameters:
        separator = b"" if target.endswith((b"?", b"&")) else b"&" if b"?" in target else b"?"
        target += separator + _quote(name) + b"=" + _quote(value.reveal())
    return RequestHead(head.method, target, head.headers, head.version)


def is_shown(value: bytes, parameters: Parameters) -> bool:
    """Whether `value` holds a value of these parameters: as it is, or percent-encoded, once or over again.

    Values below 8 bytes are not looked for: they stand in addresses by chance.
    """
    secrets = [_spaced(secret.reveal().strip()) for _, secret in parameters]
    secrets = [secret for secret in secrets if len(secret) >= _MIN_SHOWN]
    for _ in range(_MAX_ENCODINGS):
        if any(secret in _spaced(value) for secret in secrets):
            return True
        value, encoded = unquote_to_bytes(value), value
        if value == encoded:
            break
    return False


def _spaced(raw: bytes) -> bytes:
    """In forms a `+` is a space; so both sides are compared with every `+` read as one."""
    return raw.replace(b"+", b" ")


def _quote(raw: bytes) -> bytes:
    return quote_from_bytes(raw, safe="").encode("ascii")


def without_query(target: bytes, names: frozenset[bytes]) -> bytes:
    """The target without the caller's query parameters of these names; every other byte stays."""
    path, mark, query = target.partition(b"?")
    if not mark or not names:
        return target
    pairs = query.split(b"&")
    kept = [left for pair in pairs if (left := _without_parts(pair, names)) is not None]
    if kept == pairs:
        return target
    return path + mark + b"&".join(kept) if kept else path


def _without_parts(pair: bytes, names: frozenset[bytes]) -> bytes | None:
    """Tools on Rack 2, older Python or Perl split at `;` too: what they would read as an owned name goes as well."""
    parts = [part for part in pair.split(b";") if _query_name(part) not in names]
    return b";".join(parts) if parts else None


def _query_name(pair: bytes) -> bytes:
    """Decoded, and in lower case: some frameworks read names so, and to them `API_KEY` would be the injected one."""
    return unquote_to_bytes(pair.partition(b"=")[0].replace(b"+", b" ")).lower()
