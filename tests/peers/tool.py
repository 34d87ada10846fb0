"""A tool made of one handler, on a port of the kernel's choice."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from aiohttp import web


async def serve_tool(exits: AsyncExitStack, answer: Callable[[web.Request], Awaitable[web.Response]]) -> str:
    """Serve every method and path by `answer` until `exits` are left; returns what a Connector's spec.address takes."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    exits.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return f"http://127.0.0.1:{runner.addresses[0][1]}"
