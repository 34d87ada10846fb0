"""A relay that reads nothing of what it passes on: what the kernel and uvloop cost alone, before a line of ours.

`python -m bench.unread PORT` listens on a free port of 127.0.0.1, prints it, and connects to PORT once for each client.
"""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import uvloop

HOST = "127.0.0.1"


class Side(asyncio.Protocol):
    """One end; what it receives goes out at the other."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: Side | None = None
        self._early = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It can be written to."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Pass it on, once the other side is there."""
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)
        else:
            self._early += data

    def connection_lost(self, exc: Exception | None) -> None:
        """The other side ends, too."""
        self.transport = None
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()

    def join(self, other: Side) -> None:
        """What comes from now on goes to `other`, and what came before."""
        self.other, other.other = other, self
        if self._early and other.transport is not None:
            other.transport.write(self._early)


class Client(Side):
    """A client's end, which dials the tool."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port
        self._dialling: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is there: dial."""
        super().connection_made(transport)
        self._dialling = asyncio.get_running_loop().create_task(self._dial())

    async def _dial(self) -> None:
        _, tool = await asyncio.get_running_loop().create_connection(Side, HOST, self._port)
        self.join(tool)


async def serve(port: int) -> None:
    """Relay to this port until the process ends."""
    server = await asyncio.get_running_loop().create_server(lambda: Client(port), HOST, 0)
    print(f"listening on {server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
