"""A tool that is nothing but sockets: the test scripts each connection byte by byte."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from types import TracebackType

from tests.peers.ports import bound
from tests.peers.raw_stream import SECONDS, PeerTimeoutError, RawStream

Script = Callable[[RawStream], Awaitable[None]]


class RawUpstream:
    """Listens on a port of 127.0.0.1, or on `listener`. Use as `async with RawUpstream() as tool:`.

    Without a script the test takes connections with `accept()`. A script runs once for each connection; what it raises
    is raised again when the block ends. `paused` connections read nothing until `resume_reading()`. `whole`: the lines
    that mark requests against loops stay in their heads (tests/peers/raw_stream.py).
    """

    def __init__(
        self,
        script: Script | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        paused: bool = False,
        listener: socket.socket | None = None,
        whole: bool = False,
    ) -> None:
        self.connections: list[RawStream] = []
        self._script = script
        self._tls = tls
        self._paused = paused
        self._whole = whole
        self._listener = listener
        self._accepted: asyncio.Queue[RawStream] = asyncio.Queue()
        self._running: list[asyncio.Task[None]] = []
        self._server: asyncio.Server | None = None
        self.port = 0

    async def __aenter__(self) -> RawUpstream:
        loop = asyncio.get_running_loop()
        listener = self._listener or bound("127.0.0.1")[0]
        self.port = listener.getsockname()[1]
        self._server = await loop.create_server(
            lambda: RawStream(self._connected, paused=self._paused, marked=not self._whole),
            sock=listener,
            ssl=self._tls,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop_listening()
        for connection in self.connections:
            if not connection.lost:  # asyncio's transport knows no loop any more, once it has closed behind its buffer
                connection.transport.abort()
        for task in self._running:
            if not task.done():
                task.cancel()
        outcomes = await asyncio.gather(*self._running, return_exceptions=True)
        await asyncio.gather(*(connection.wait_lost() for connection in self.connections))
        failures = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
        if failures and error is None:
            raise failures[0]

    @property
    def address(self) -> str:
        """For spec.address: scheme, 127.0.0.1 and the port (`localhost` with TLS, as certificates name it)."""
        return f"https://localhost:{self.port}" if self._tls else f"http://127.0.0.1:{self.port}"

    async def accept(self, seconds: float = SECONDS) -> RawStream:
        """The next connection that nobody has taken yet."""
        try:
            async with asyncio.timeout(seconds):
                return await self._accepted.get()
        except TimeoutError:
            raise PeerTimeoutError(f"no connection within {seconds:g} s ({len(self.connections)} before)") from None

    def stop_listening(self) -> None:
        """Refuse new connections from now on; those that stand stay."""
        if self._server is not None:
            self._server.close()

    def _connected(self, connection: RawStream) -> None:
        self.connections.append(connection)
        if self._script is None:
            self._accepted.put_nowait(connection)
        else:
            self._running.append(asyncio.ensure_future(self._play(self._script, connection)))

    async def _play(self, script: Script, connection: RawStream) -> None:
        try:
            await script(connection)
        except Exception:
            connection.transport.abort()  # so that the other side does not wait for a script that has failed
            raise


def answering(response: bytes) -> Script:
    """A script that answers each request without a body with the same bytes, on one connection after another."""

    async def script(connection: RawStream) -> None:
        while True:
            try:
                await connection.read_head(seconds=60.0)
            except PeerTimeoutError:
                return
            connection.send(response)

    return script
