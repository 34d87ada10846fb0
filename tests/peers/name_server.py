"""A name server that says what a test has written down, one answer after the other: what DNS rebinding is made of."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from tests.peers.raw_stream import SECONDS

_A, _AAAA, _IN = 1, 28, 1
_NO_SUCH_NAME = 3
_RESPONSE, _AUTHORITATIVE, _RECURSION_WANTED, _RECURSION_AVAILABLE = 0x8000, 0x0400, 0x0100, 0x0080
_HEAD = struct.Struct("!6H")
_THE_NAME = 0xC00C
"""A pointer to the question's name, which always stands behind the head (RFC 1035 section 4.1.4)."""


class NameServer(asyncio.DatagramProtocol):
    """Answers questions for A and AAAA. A name that has no script does not exist; no answer counts for any time."""

    def __init__(self) -> None:
        self._scripts: dict[str, tuple[Sequence[str], ...]] = {}
        self._asked: Counter[tuple[str, int]] = Counter()
        self._transport: asyncio.DatagramTransport | None = None
        self._changed = asyncio.Event()

    def says(self, name: str, *answers: Sequence[str]) -> None:
        """From now on, who looks `name` up gets these addresses, of both families, in turn; the last ones stay."""
        self._scripts[name] = answers
        for kind in (_A, _AAAA):
            self._asked.pop((name, kind), None)

    def lookups(self, name: str) -> int:
        """How often `name` has been looked up since its script was set: the system asks for A and AAAA each time."""
        return max(self._asked[name, _A], self._asked[name, _AAAA])

    async def looked_up(self, name: str, times: int) -> None:
        """Wait until `name` has been looked up so often."""
        async with asyncio.timeout(SECONDS):
            while self.lookups(name) < times:
                await self._changed.wait()

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        assert self._transport is not None
        self._transport.sendto(self._answer(data), addr)
        self._changed.set()
        self._changed = asyncio.Event()

    def _answer(self, data: bytes) -> bytes:
        number, flags, *_ = _HEAD.unpack_from(data)
        labels, place = [], _HEAD.size
        while size := data[place]:
            labels.append(data[place + 1 : place + 1 + size].decode("ascii"))
            place += 1 + size
        name = ".".join(labels).lower()
        kind, _ = struct.unpack_from("!HH", data, place + 1)
        question = data[_HEAD.size : place + 5]
        records = [struct.pack("!3HIH", _THE_NAME, kind, _IN, 0, len(ip)) + ip for ip in self._addresses(name, kind)]
        said = _RESPONSE | _AUTHORITATIVE | _RECURSION_AVAILABLE | flags & _RECURSION_WANTED
        if name not in self._scripts:
            said |= _NO_SUCH_NAME
        return _HEAD.pack(number, said, 1, len(records), 0, 0) + question + b"".join(records)

    def _addresses(self, name: str, kind: int) -> list[bytes]:
        script = self._scripts.get(name)
        if not script:
            return []
        answer = script[min(self._asked[name, kind], len(script) - 1)]
        self._asked[name, kind] += 1
        size = {_A: 4, _AAAA: 16}.get(kind, 0)
        return [ip for ip in (ipaddress.ip_address(text).packed for text in answer) if len(ip) == size]


@asynccontextmanager
async def name_server(bound: socket.socket) -> AsyncIterator[NameServer]:
    """Serve on a UDP socket for the length of a block."""
    bound.setblocking(False)
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(NameServer, sock=bound)
    try:
        yield server
    finally:
        transport.close()
