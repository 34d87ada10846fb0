"""One dial of HttpClient: aiohttp connects to the addresses that were checked, and to nothing else."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Sequence

from aiohttp import AddrInfoType
from aiohttp.abc import AbstractResolver, ResolveResult

from connectors.dial.failure import DeniedError
from connectors.dial.reading import BoundedSocket


class Dial(AbstractResolver):
    """What aiohttp asks instead of a name server, and where it gets its sockets from, for one connection.

    It does not ask about a host that is an IP address; so the socket is where every address passes.
    """

    def __init__(self, candidates: Sequence[str]) -> None:
        """`candidates` may be dialled, and are tried in this order, the families by turns (RFC 8305)."""
        self._candidates = candidates
        self._sockets: list[socket.socket] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The candidates, whatever the host."""
        return [
            ResolveResult(hostname=host, host=ip, port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST)
            for ip in self._candidates
        ]

    def socket(self, info: AddrInfoType) -> socket.socket:
        """A socket to connect to an address (aiohttp's `socket_factory`).

        Raises:
            DeniedError: the address is none of the candidates.
        """
        family, kind, protocol, _, address = info
        if address[0] not in self._candidates:
            raise DeniedError("not checked")
        made = BoundedSocket(family, kind, protocol)
        self._sockets.append(made)
        return made

    def drop(self) -> None:
        """End the connection now: closing one with TLS in order waits for the other side, which may never care."""
        for made in self._sockets:
            with contextlib.suppress(OSError):  # closed already, or never connected
                made.shutdown(socket.SHUT_RDWR)

    async def close(self) -> None:
        """Nothing to close: `drop` is for the connection, and whoever made this calls it."""
