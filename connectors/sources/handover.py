"""Objects on their way from the process that follows a source to those that serve, over an inherited socket.

The one encoder of objects. It looks at Secrets, since it hands on their values: what it makes goes to a socket whose
other end a process of this program has inherited, never to a file, an argument or the environment.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from connectors.objects.addresses import TransportAddress
from connectors.objects.connector import Connector, ConnectorKey
from connectors.objects.connector_class import ConnectorClass
from connectors.objects.feature_flags import FeatureFlags
from connectors.objects.metadata import ObjectMeta
from connectors.objects.secret import Secret, SecretKey, SecretValue
from connectors.objects.violation import Violation
from connectors.snapshot import Changes
from connectors.tls.pool import ApiServer

# Bytes of objects that make a piece: encoded in a millisecond or two, in which no request goes on.
PIECE = 256 * 1024

# The extension code of an integer beyond 64 bits, which MessagePack has none for and a manifest may hold.
_BIG = 1
_NOT_HANDED_ON = "cannot be handed to the processes that serve; see the log, and write the object without what is odd"


class HandoverError(Exception):
    """What came is not a piece. The message quotes nothing of it, since it may hold Secrets."""


class _Secret(Struct, frozen=True, array_like=True):
    metadata: ObjectMeta
    type: str
    data: dict[str, bytes]

    def __repr__(self) -> str:
        # A Struct shows its fields, and a traceback with locals would show these.
        return "_Secret(...)"


class _Piece(Struct, array_like=True):
    """A part of Changes. Connectors and classes are encoded each for itself, so that one cannot cost the others."""

    connectors: list[tuple[str, str, bytes | None]] = []
    classes: list[tuple[str, bytes | None]] = []
    secrets: list[tuple[str, str, _Secret | None]] = []
    malformed: list[tuple[str | None, str, Violation | None]] = []
    unread: list[tuple[str, str, str]] = []
    flags: FeatureFlags | None = None
    authorities: list[_Secret] | None = None
    api_server: ApiServer | None = None
    own_addresses: frozenset[TransportAddress] | None = None
    logins: dict[str, bytes] | None = None

    def __repr__(self) -> str:
        return "_Piece(...)"


def _extension(code: int, data: memoryview) -> int:
    if code != _BIG:
        raise ValueError("no extension of this encoder")
    return int(bytes(data))


_ENCODER = msgspec.msgpack.Encoder()
_PIECE = msgspec.msgpack.Decoder(_Piece)
_CONNECTOR = msgspec.msgpack.Decoder(Connector, ext_hook=_extension)
_CLASS = msgspec.msgpack.Decoder(ConnectorClass, ext_hook=_extension)


def encode(changes: Changes, odd: set[ConnectorKey | str] | None = None) -> Iterator[bytes]:
    """Pieces that `decode` understands; put together in their order they say the same. At least one, maybe empty.

    `odd`: the objects that the same reader was told are malformed since no encoder takes them; it is kept current, so
    that the reader hears when one of them is well again.
    """
    making = _Making()
    for connector_key, connector in changes.connectors.items():
        raw = making.raw(connector, connector_key)
        making.piece.connectors.append((*connector_key, raw))
        yield from making.full()
    for name, connector_class in changes.classes.items():
        making.piece.classes.append((name, making.raw(connector_class, name)))
        yield from making.full()
    for secret_key, secret in changes.secrets.items():
        making.piece.secrets.append((*secret_key, making.secret(secret) if secret else None))
        yield from making.full()
    for of, violation in changes.malformed.items():
        if of not in making.odd:
            making.malformed(of, violation)
            yield from making.full()
    making.told(changes, set() if odd is None else odd)
    for secret_key, why in changes.unread.items():
        making.piece.unread.append((*secret_key, why))
    if changes.authorities is not None:
        making.piece.authorities = [making.secret(secret) for secret in changes.authorities]
    making.piece.flags = changes.flags
    making.piece.api_server = changes.api_server
    making.piece.own_addresses = changes.own_addresses
    if changes.logins is not None:
        making.piece.logins = {name: login.reveal() for name, login in changes.logins.items()}
    yield making.done()


def decode(piece: bytes) -> Changes:
    """The part of Changes that a piece holds.

    Raises:
        HandoverError: the bytes are not a piece.
    """
    try:
        found = _PIECE.decode(piece)
        connectors = {ConnectorKey(*key): _CONNECTOR.decode(raw) if raw else None for *key, raw in found.connectors}
        classes = {name: _CLASS.decode(raw) if raw else None for name, raw in found.classes}
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError):
        raise HandoverError("what came is not a piece of a snapshot") from None
    return Changes(
        connectors,
        classes,
        {SecretKey(space, name): _read(secret) if secret else None for space, name, secret in found.secrets},
        found.flags,
        {name if space is None else ConnectorKey(space, name): why for space, name, why in found.malformed},
        {SecretKey(space, name): why for space, name, why in found.unread},
        None if found.authorities is None else tuple(map(_read, found.authorities)),
        found.api_server,
        found.own_addresses,
        None if found.logins is None else {name: SecretValue(login) for name, login in found.logins.items()},
    )


class _Making:
    """The piece that is being made. `odd`: the objects that cannot be encoded, which are served as malformed."""

    def __init__(self) -> None:
        self.piece = _Piece()
        self.odd: dict[ConnectorKey | str, None] = {}
        self._size = 0

    def raw(self, item: Connector | ConnectorClass | None, of: ConnectorKey | str) -> bytes | None:
        """A Connector or class; of one that no encoder takes the metadata, as sources do with what is malformed."""
        if item is None:
            return None
        try:
            encoded = _encoded(item)
        except (ValueError, OverflowError, TypeError, RecursionError):
            self.odd[of] = None
            encoded = _ENCODER.encode(type(item)(metadata=item.metadata))
        self._size += len(encoded)
        return encoded

    def secret(self, secret: Secret) -> _Secret:
        """A Secret with its values."""
        data = {name: value.reveal() for name, value in secret.data.items()}
        self._size += sum(map(len, data.values())) + 256
        return _Secret(secret.metadata, secret.type, data)

    def malformed(self, of: ConnectorKey | str, violation: Violation | None) -> None:
        """What is wrong with an object."""
        space, name = of if isinstance(of, ConnectorKey) else (None, of)
        self.piece.malformed.append((space, name, violation))
        self._size += 64

    def told(self, changes: Changes, odd: set[ConnectorKey | str]) -> None:
        """Say which objects are odd, and which of those that were told to be are not any more."""
        well = {of for of in odd if of in changes.connectors or of in changes.classes} - self.odd.keys()
        for of in self.odd:
            self.malformed(of, Violation("spec", _NOT_HANDED_ON))
        # The source never called these malformed, so it will not say that they are well again.
        for of in well - changes.malformed.keys():
            self.malformed(of, None)
        odd.difference_update(well)
        odd.update(self.odd)

    def full(self) -> Iterator[bytes]:
        """The piece, if it has become large enough."""
        if self._size >= PIECE:
            yield self.done()

    def done(self) -> bytes:
        """The piece as it is; another one begins."""
        piece, self.piece, self._size = self.piece, _Piece(), 0
        return _ENCODER.encode(piece)


def _encoded(item: Connector | ConnectorClass) -> bytes:
    try:
        return _ENCODER.encode(item)
    except OverflowError:
        return _ENCODER.encode(_with_big_integers(msgspec.to_builtins(item)))


def _with_big_integers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_big_integers(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_with_big_integers(item) for item in value]
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 64:
        return msgspec.msgpack.Ext(_BIG, str(value).encode())
    return value


def _read(secret: _Secret) -> Secret:
    return Secret(secret.metadata, secret.type, {name: SecretValue(value) for name, value in secret.data.items()})
