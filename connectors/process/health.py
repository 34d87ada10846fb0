"""The admin port: /livez, /readyz, /metrics, and whatever routes a process adds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import CollectorRegistry, disable_created_metrics, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from connectors.process.listening import listen
from connectors.process.parsers import HostPort

# What is still missing before this process can serve, None if nothing is.
Readiness = Callable[[], str | None]
# What an operator should know about a process, though it serves.
Details = Callable[[], Iterable[str]]

# Seconds an idle connection stays open; aiohttp's own default is an hour, longer than any load balancer's.
KEEP_ALIVE = 75.0

# Seconds that open admin requests get at the end: they are small, and the traffic port was drained before.
SHUTDOWN = 2.0


@dataclass(slots=True)
class Shown:
    """What /metrics shows. `gather` is awaited before: it brings into the registry what others know."""

    registry: CollectorRegistry
    gather: Callable[[], Awaitable[None]] | None = None


def health_routes(waits: Sequence[Readiness], shown: Shown, details: Details = tuple) -> list[web.RouteDef]:
    """Routes that any process offers; GET and HEAD. `details` are added to what /readyz says, ready or not."""

    async def livez(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        missing = [problem for readiness in waits if (problem := readiness())]
        notes = "".join(f"note: {detail}\n" for detail in details())
        if missing:
            lines = "".join(f"missing: {item}\n" for item in missing)
            return web.Response(status=503, text=f"not ready\n{lines}{notes}")
        return web.Response(text=f"ok\n{notes}")

    async def metrics(_: web.Request) -> web.Response:
        if shown.gather is not None:
            await shown.gather()
        # Rendering some thousand lines takes 30 ms: in a thread, so that traffic does not wait for a scrape.
        body = await asyncio.get_running_loop().run_in_executor(None, _exposed, shown.registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    return [web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", metrics)]


def _exposed(registry: CollectorRegistry) -> bytes:
    # Without this, each counter and histogram has a second series with the time of its making, which servers do not
    # read in this format. The switch is for all registries of the process; setting it again costs nothing.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    return generate_latest(registry)


class AdminServer:
    """Serves an application on the admin port."""

    def __init__(self, app: web.Application, listen: HostPort) -> None:
        self._listen = listen
        self._runner = web.AppRunner(
            app, access_log=None, keepalive_timeout=KEEP_ALIVE, shutdown_timeout=SHUTDOWN, handle_signals=False
        )

    async def start(self) -> None:
        """Bind and serve.

        Raises:
            OSError: the port is taken, or the host is not one of this machine.
        """
        await self._runner.setup()
        try:
            for listener in await listen(self._listen.host, self._listen.port):
                await web.SockSite(self._runner, listener).start()
        except OSError:
            await self._runner.cleanup()
            raise

    @property
    def port(self) -> int:
        """The port it listens on, chosen by the kernel where 0 was asked for. Only after `start`."""
        port: int = self._runner.addresses[0][1]
        return port

    async def stop(self) -> None:
        """Close the port; open requests get SHUTDOWN seconds."""
        await self._runner.cleanup()
