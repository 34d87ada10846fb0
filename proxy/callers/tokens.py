"""What a caller presents: the tokens of a request, what a token says of itself, and for whom it may be made. Pure."""

from __future__ import annotations

import binascii
from base64 import b64decode, urlsafe_b64decode
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import msgspec
from msgspec import Struct

from connectors.http.message import RequestHead
from connectors.json_depth import too_deep
from connectors.objects.connector import ConnectorKey
from connectors.objects.names import proxy_host
from connectors.rules.values import is_absolute

AUTHORIZATION = b"authorization"
WEBSOCKET_PROTOCOL = b"sec-websocket-protocol"
# Kubernetes' form of Bearer for WebSockets: behind it stands the token in base64url, without padding
# (k8s.io/apiserver, pkg/authentication/request/websocket).
_BEARER_PROTOCOL = b"base64url.bearer.authorization.k8s.io."
# Bytes. A token with many audiences has 2 KiB; a longer text is not a token, and is never asked about.
MAX_TOKEN = 16 * 1024
# Tokens of one request that are looked at: Authorization's, and those of two other fields. Each may cost a question
# to the API server, and no client has more than one token to show.
MAX_CANDIDATES = 3

T = TypeVar("T", bound=Struct)


class Presented(NamedTuple):
    """A token, and the field it stood in, in lower case. It has no readable repr: it is a caller's password."""

    token: bytes
    header: bytes

    def __repr__(self) -> str:
        return f"Presented({self.header!r})"


class Claims(NamedTuple):
    """For whom the token was made, and when it ends (seconds since the epoch; None: it does not say)."""

    audiences: frozenset[str] = frozenset()
    ends: float | None = None


class _End(Struct, frozen=True):
    exp: float | None = None


class _For(Struct, frozen=True):
    aud: str | tuple[str, ...] = ()


def presented_tokens(head: RequestHead, declared: frozenset[bytes]) -> tuple[Presented, ...]:
    """What may be the caller's token, Authorization's first. `declared`: names of further fields, in lower case.

    A field that stands there twice, or cannot be read, holds no token: unknown means deny. Last comes the one among the
    WebSocket protocols, which may be spread over several fields (RFC 6455 section 4.1), but hold one token only.
    """
    found = [Presented(_credentials(_single(head, AUTHORIZATION)), AUTHORIZATION)]
    for name in dict.fromkeys(name.lower() for name, _ in head.headers):
        if name in declared:
            found.append(Presented(_single(head, name), name))
    found.append(Presented(_from_protocols(head.values(WEBSOCKET_PROTOCOL)), WEBSOCKET_PROTOCOL))
    return tuple(item for item in found if _is_token(item.token))[:MAX_CANDIDATES]


def claims_of(token: bytes) -> Claims:
    """`aud` and `exp` (RFC 7519 sections 4.1.3 and 4.1.4); empty for a token that is not a JSON Web Token.

    Nothing here is verified: it only narrows what the API server has confirmed.
    """
    parts = token.split(b".")
    if len(parts) != 3:
        return Claims()
    try:
        payload = urlsafe_b64decode(parts[1] + b"=" * (-len(parts[1]) % 4))
    except ValueError:
        return Claims()
    # Anybody can write a payload: some thousand brackets would end a decoder's recursion.
    if too_deep(payload):
        return Claims()
    # Each claim is read apart, so that an odd one hides nothing of the other.
    audiences = _read(payload, _For()).aud
    return Claims(frozenset((audiences,) if isinstance(audiences, str) else audiences), _read(payload, _End()).exp)


def audiences_of(key: ConnectorKey, proxy_uris: frozenset[str], cluster_domain: str) -> frozenset[str]:
    """The audiences of tokens that are minted for this Connector: what its `status.proxy.httpAddress.url` can be.

    `proxy_uris` are those of all classes, not of its own alone: that would tell a caller, who may not know, whether
    there is such a Connector and of which class. An address that several Connectors share is not an audience of one.
    """
    own = f"http://{proxy_host(key, f'svc.{cluster_domain}')}"
    suffix = f"/namespaces/{key.namespace}/connectors/{key.name}"
    within = {own, *(own + uri.rstrip("/") for uri in proxy_uris if not is_absolute(uri))}
    shared = {uri.rstrip("/") for uri in proxy_uris if is_absolute(uri)}
    return frozenset(within | {base + suffix for base in within | shared})


def _single(head: RequestHead, name: bytes) -> bytes:
    values = head.values(name)
    return values[0].strip() if len(values) == 1 else b""


def _credentials(field: bytes) -> bytes:
    """Bearer (RFC 6750 section 2.1), or Basic (RFC 7617) with the token as password, or as user name without one."""
    scheme, _, rest = field.partition(b" ")
    match scheme.lower():
        case b"bearer":
            return rest.strip()
        case b"basic":
            return _basic(rest.strip())
        case _:
            return b""


def _basic(encoded: bytes) -> bytes:
    try:
        username, colon, password = b64decode(encoded, validate=True).partition(b":")
    except binascii.Error:
        return b""
    return (password or username) if colon else b""


def _from_protocols(values: Sequence[bytes]) -> bytes:
    tokens = [protocol for value in values for protocol in _protocols(value) if _bears_token(protocol)]
    if len(tokens) != 1:
        return b""
    encoded = tokens[0][len(_BEARER_PROTOCOL) :]
    try:
        return b64decode(encoded + b"=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        return b""


def without_bearer_protocol(value: bytes) -> bytes | None:
    """Sec-WebSocket-Protocol without the callers' tokens in it, valid or not; None where nothing else is in it."""
    if _BEARER_PROTOCOL not in value.lower():
        return value
    kept = [protocol for protocol in _protocols(value) if not _bears_token(protocol)]
    return b", ".join(kept) or None


def _protocols(value: bytes) -> list[bytes]:
    return [protocol.strip() for protocol in value.split(b",")]


def _bears_token(protocol: bytes) -> bool:
    # In any case, although the API server wants lower case: what it does not read must not reach it either.
    return protocol.lower().startswith(_BEARER_PROTOCOL)


def _is_token(text: bytes) -> bool:
    # A text that no header can hold was given to no caller; a question about it would be wasted.
    return 0 < len(text) <= MAX_TOKEN and text.isascii() and text.decode("ascii").isprintable()


def _read(payload: bytes, otherwise: T) -> T:
    try:
        return msgspec.json.decode(payload, type=type(otherwise))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return otherwise
