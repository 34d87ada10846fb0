"""The webhook's port: so many connections at most, and those that ask nothing make room first.

Not the event loop's own server: that tells of a connection when its handshake is over, so none could be counted or
ended before.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

from aiohttp import web

from connectors.process.clock import Clock
from connectors.process.listening import PAUSE, listen
from connectors.process.parsers import HostPort
from controller.admission.metrics import AdmissionMetrics

# Connections at once. An API server keeps one or two and opens one for each review that runs beside others; with three
# of them and turns for 66 reviews that is fewer. Each costs some 100 KiB with its TLS buffers.
MOST = 128
# For the TLS handshake: an API server needs milliseconds.
HANDSHAKE_SECONDS = 10.0
# For the handshake and the head of the first request together.
SILENCE_SECONDS = 20.0
# Connections that wait in the kernel to be accepted.
BACKLOG = 128


class Place:
    """One connection. `running`: its reviews that are not answered yet; `since`: when it was last heard of."""

    def __init__(self, connection: socket.socket, since: float) -> None:
        self.connection = connection
        self.since = since
        self.began = False
        self.asked = False
        self.running = 0
        self.opening: asyncio.Task[None] | None = None
        self.transport: asyncio.BaseTransport | None = None

    @property
    def gone(self) -> bool:
        """Whether it has ended."""
        if self.transport is not None:
            return self.transport.is_closing()
        return self.opening is not None and self.opening.done()

    def end(self) -> None:
        """Close it, in whichever state it is."""
        if self.opening is not None:
            self.opening.cancel()
        # The other end learns it at once, also in the middle of a handshake, which has no transport yet.
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        if isinstance(self.transport, asyncio.Transport):
            self.transport.abort()


class BoundedListener:
    """Accepts connections for aiohttp, which calls `asked` and `answered` around each request."""

    def __init__(
        self,
        protocol: Callable[[], web.RequestHandler],
        context: Callable[[], ssl.SSLContext],
        clock: Clock,
        metrics: AdmissionMetrics,
        silence: float = SILENCE_SECONDS,
    ) -> None:
        """`context` gives what the next handshake is held with; `silence`: see SILENCE_SECONDS."""
        # The one that the kernel chose where 0 was asked for; 0 before `start`.
        self.port = 0
        self._protocol = protocol
        self._context = context
        self._clock = clock
        self._metrics = metrics
        self._silence = silence
        self._listeners: list[socket.socket] = []
        self._places: dict[web.RequestHandler, Place] = {}
        self._pauses: set[asyncio.TimerHandle] = set()

    async def start(self, where: HostPort) -> None:
        """Listen.

        Raises:
            OSError: the port is taken, or the host is not one of this machine.
        """
        self._listeners = await listen(where.host, where.port, BACKLOG)
        self.port = self._listeners[0].getsockname()[1]
        for listener in self._listeners:
            asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def close(self) -> None:
        """Accept no more. What has asked stays; a connection that has not is closed."""
        for pause in self._pauses:
            pause.cancel()
        for listener in self._listeners:
            asyncio.get_running_loop().remove_reader(listener)
            listener.close()
        self._listeners.clear()
        for place in self._places.values():
            if not place.asked:
                place.end()

    async def closed(self) -> None:
        """Wait until nothing of `close` is left."""
        opening = [place.opening for place in self._places.values() if place.opening is not None]
        for task in opening:
            task.cancel()
        await asyncio.gather(*opening, return_exceptions=True)
        self._places.clear()

    def asked(self, protocol: web.RequestHandler) -> None:
        """The head of a request is there."""
        if (place := self._places.get(protocol)) is None:
            return
        place.asked, place.since = True, self._clock.monotonic()
        place.running += 1
        # While the loop has not told of the transport yet, to cancel would close it: a first request can be as quick.
        if place.opening is not None and place.transport is not None:
            place.opening.cancel()

    def answered(self, protocol: web.RequestHandler) -> None:
        """A request of which `asked` has told is over."""
        if (place := self._places.get(protocol)) is not None:
            place.running -= 1
            place.since = self._clock.monotonic()

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError:
            self._later(listener)
            return
        connection.setblocking(False)
        if not self._room():
            self._metrics.refused_connection()
            connection.close()
            return
        protocol = self._protocol()
        place = self._places[protocol] = Place(connection, self._clock.monotonic())
        place.opening = asyncio.get_running_loop().create_task(self._open(place, protocol))
        place.opening.add_done_callback(lambda _: None if place.began else connection.close())

    def _later(self, listener: socket.socket) -> None:
        """No descriptor is left: the socket stays readable, and to try again at once would take all the CPU."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(listener)
        self._pauses.add(loop.call_later(PAUSE, lambda: loop.add_reader(listener, self._accept, listener)))

    async def _open(self, place: Place, protocol: web.RequestHandler) -> None:
        """The handshake, and the wait for the first request, which cancels this."""
        # From here on the loop closes the socket; of a task that is cancelled before its first step nothing does.
        place.began = True
        try:
            place.transport, _ = await asyncio.get_running_loop().connect_accepted_socket(
                lambda: protocol, place.connection, ssl=self._context(), ssl_handshake_timeout=HANDSHAKE_SECONDS
            )
        except OSError:  # ssl.SSLError and TimeoutError are OSErrors too
            self._metrics.failed_handshake()
            return
        await self._clock.sleep(place.since + self._silence - self._clock.monotonic())
        if not place.asked:
            place.end()

    def _room(self) -> bool:
        """Whether there is a place; if not, one that asks nothing makes room, or the one that is idle for longest."""
        for protocol in [protocol for protocol, place in self._places.items() if place.gone]:
            del self._places[protocol]
        if len(self._places) < MOST:
            return True
        idle = [
            (place.asked, place.since, id(place), protocol)
            for protocol, place in self._places.items()
            if not place.running
        ]
        if not idle:
            return False
        *_, protocol = min(idle)
        self._metrics.made_room()
        self._places.pop(protocol).end()
        return True
