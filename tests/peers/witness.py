"""A tool at an address of a namespace that keeps who came: its testimony holds for connections of no word too."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable
from contextlib import suppress
from types import TracebackType
from typing import Self

from tests.peers.namespace import Namespace, family_of
from tests.peers.raw_stream import SECONDS, PeerTimeoutError, RawStream

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
"""Whoever asks again has to dial again."""


class Witness:
    """Use as `async with Witness(namespace, ip, port) as tool:`. Each request is answered alike.

    `heads` are the requests; with TLS, `server_names` are the names that were asked for (SNI).
    """

    def __init__(
        self, namespace: Namespace, ip: str, port: int, *, answer: bytes = OK, tls: ssl.SSLContext | None = None
    ) -> None:
        self.heads: list[bytes] = []
        self.server_names: list[str | None] = []
        self._namespace = namespace
        self._ip = ip
        self._port = port
        self._answer = answer
        self._tls = tls
        self._peers: list[int] = []
        self._own: set[int] = set()
        self._changed = asyncio.Condition()
        self._accepted: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()
        if tls:
            tls.sni_callback = lambda _, name, __: self.server_names.append(name)

    async def __aenter__(self) -> Self:
        self._listener = self._namespace.bound(self._ip, self._port)
        self._listener.listen()
        self._listener.setblocking(False)
        self._go(self._accept())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for accepted in self._accepted:
            accepted.close()  # a task that never had its turn did not
        self._listener.close()

    async def strangers(self) -> int:
        """How many connections others have made until now, those that nobody has accepted yet included."""
        with self._namespace.bound(self._ip, 0) as own:
            own.setblocking(False)
            port = own.getsockname()[1]
            self._own.add(port)
            # A listener's queue keeps its order: once this one is accepted, all that came before it are.
            await asyncio.get_running_loop().sock_connect(own, (self._ip, self._port))
            async with asyncio.timeout(SECONDS), self._changed:
                await self._changed.wait_for(lambda: port in self._peers)
        return sum(peer not in self._own for peer in self._peers)

    async def _accept(self) -> None:
        while True:
            accepted, peer = await asyncio.get_running_loop().sock_accept(self._listener)
            self._accepted.append(accepted)
            self._go(self._serve(accepted))
            async with self._changed:
                self._peers.append(peer[1])
                self._changed.notify_all()

    async def _serve(self, accepted: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with suppress(OSError, PeerTimeoutError):  # who does not like the certificate, or says nothing, goes
            _, stream = await loop.connect_accepted_socket(RawStream, accepted, ssl=self._tls)
            try:
                self.heads.append(await stream.read_head())
                stream.send(self._answer)
                stream.close()
                await stream.wait_lost()
            finally:
                stream.transport.abort()

    def _go(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class Deaf:
    """Use as `with Deaf(namespace, ip, port):`. Takes no connection and refuses none: its line is full.

    Linux drops the first packet of a connection to a listener whose queue is full, as a dead host does.
    """

    def __init__(self, namespace: Namespace, ip: str, port: int) -> None:
        self._listener = namespace.bound(ip, port)
        self._waiting = namespace.new_socket(family_of(ip))
        self._place = (ip, port)

    def __enter__(self) -> Self:
        self._listener.listen(0)
        self._waiting.connect(self._place)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._waiting.close()
        self._listener.close()
