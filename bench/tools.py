"""Many tools in one process, cheap enough not to be what is measured: `python -m bench.tools`, and what they have seen.

Each has a port of its own. The path USER is 401 without a Basic credential, and always at a tool that refuses; one that
hangs takes connections and never answers. Every other path is 200. Each tool counts what it is asked, how much of it
at once, and how long each path below LIVE went without being asked.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from contextlib import AsyncExitStack
from enum import StrEnum
from typing import Any, cast

import aiohttp
import msgspec
import uvloop
from aiohttp import web

from standalone.child import Child
from standalone.demo import CHECKOUT

HOST = "127.0.0.1"
# What follows is the name of who is probed: the path that is asked in turns.
LIVE = "/live/"
USER = "/user"
ANSWERS = {200: b"HTTP/1.1 200 OK\r\n", 401: b"HTTP/1.1 401 Unauthorized\r\n"}
LINE = r"^tools: (\{.*\})$"


class Manner(StrEnum):
    """How a tool answers."""

    WELL = "well"
    REFUSING = "refusing"
    HANGING = "hanging"


class Tally(msgspec.Struct):
    """What was seen since `begin`. `gaps`: seconds between two requests for one path, its last one included."""

    manner: Manner = Manner.WELL
    requests: int = 0
    now: int = 0
    most: int = 0
    asked: dict[str, float] = {}
    gaps: list[float] = []

    def begin(self) -> None:
        """Count anew. What goes on now, and when a path was asked last, is not forgotten."""
        self.requests, self.most, self.gaps = 0, self.now, []

    def enter(self) -> None:
        """Somebody has connected."""
        self.now += 1
        self.most = max(self.most, self.now)

    def leave(self) -> None:
        """Somebody has an answer, or has gone."""
        self.now -= 1

    def ask(self, path: str, now: float) -> None:
        """A request; `now` in seconds."""
        self.requests += 1
        if path.startswith(LIVE):
            if path in self.asked:
                self.gaps.append(now - self.asked[path])
            self.asked[path] = now

    def waiting(self, now: float) -> list[float]:
        """Seconds since each path was asked."""
        return [now - last for last in self.asked.values()]


class Told(msgspec.Struct, frozen=True):
    """What one tool, or all of them, have seen; see Tally. `waiting`: seconds since each path was asked."""

    manner: Manner
    requests: int
    most: int
    gaps: list[float]
    waiting: list[float]


class Visit(asyncio.Protocol):
    """One connection, one request."""

    def __init__(self, tallies: tuple[Tally, ...], after: float) -> None:
        """`tallies` count it; the first of them is the tool's. It answers after `after` seconds."""
        self._tallies = tallies
        self._after = after
        self._head = b""
        self._open = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it: from here to the answer it is one of those at once."""
        self._transport = cast("asyncio.Transport", transport)
        self._open = True
        for tally in self._tallies:
            tally.enter()

    def data_received(self, data: bytes) -> None:
        """Answer once the head is there."""
        done, self._head = b"\r\n\r\n" in self._head, self._head + data
        if done or b"\r\n\r\n" not in self._head:
            return
        path = self._head.split(b" ", 2)[1].decode("ascii")
        for tally in self._tallies:
            tally.ask(path, time.monotonic())
        manner = self._tallies[0].manner
        if manner is not Manner.HANGING:
            known = b"\r\nauthorization: basic " in self._head.lower() and manner is Manner.WELL
            status = 401 if path == USER and not known else 200
            asyncio.get_running_loop().call_later(self._after, self._answer, ANSWERS[status])

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over, answered or not."""
        self._leave()

    def _answer(self, line: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(line + b"Content-Length: 2\r\nConnection: close\r\n\r\nok")
        self._leave()
        self._transport.close()

    def _leave(self) -> None:
        if self._open:
            self._open = False
            for tally in self._tallies:
                tally.leave()


class ToolsRun:
    """The process with the tools, as who measures sees it. `addresses` are theirs, in the order of `manners`."""

    def __init__(self, child: Child, control: str, addresses: list[str], manners: list[Manner]) -> None:
        self.child = child
        self.addresses = addresses
        self.manners = manners
        self._control = control

    @classmethod
    async def start(cls, manners: list[Manner], after: float) -> ToolsRun:
        """A tool for each of `manners`, answering after `after` seconds."""
        command = [sys.executable, "-m", "bench.tools", "--after", str(after), *manners]
        child = await Child.start("the tools", command, cwd=CHECKOUT)
        try:
            said = json.loads((await child.line(LINE))[1])
        except BaseException:
            await child.stop()
            raise
        return cls(child, said["control"], said["tools"], manners)

    async def begin(self) -> None:
        """Count anew."""
        async with aiohttp.ClientSession() as session, session.post(self._control) as answer:
            answer.raise_for_status()

    async def seen(self) -> tuple[Told, list[Told]]:
        """What all of them have seen together, and each."""
        async with aiohttp.ClientSession() as session, session.get(self._control) as answer:
            whole, *each = msgspec.json.decode(await answer.read(), type=list[Told])
        return whole, each


def _told(tally: Tally, now: float) -> Told:
    return Told(tally.manner, tally.requests, tally.most, tally.gaps, tally.waiting(now))


async def _serve(exits: AsyncExitStack, manners: list[Manner], after: float) -> dict[str, Any]:
    """Start them; returns where they are."""
    loop = asyncio.get_running_loop()
    whole, each = Tally(), [Tally(manner) for manner in manners]
    ports = []
    for tally in each:
        server = await loop.create_server(lambda tally=tally: Visit((tally, whole), after), HOST, 0)  # type: ignore[misc]
        exits.callback(server.close)
        ports.append(server.sockets[0].getsockname()[1])

    async def tell(_: web.Request) -> web.Response:
        now = time.monotonic()
        return web.Response(body=msgspec.json.encode([_told(tally, now) for tally in (whole, *each)]))

    async def begin(_: web.Request) -> web.Response:
        for tally in (whole, *each):
            tally.begin()
        return web.Response()

    app = web.Application()
    app.add_routes([web.get("/", tell), web.post("/", begin)])
    runner = web.AppRunner(app, access_log=None)
    exits.push_async_callback(runner.cleanup)
    await runner.setup()
    await web.TCPSite(runner, HOST, 0).start()
    addresses = [f"http://{HOST}:{port}" for port in ports]
    return {"control": f"http://{HOST}:{runner.addresses[0][1]}/", "tools": addresses}


async def _run(manners: list[Manner], after: float) -> None:
    async with AsyncExitStack() as exits:
        print(f"tools: {json.dumps(await _serve(exits, manners, after))}", flush=True)
        await asyncio.Event().wait()


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser("python -m bench.tools", description=__doc__)
    parser.add_argument("manners", nargs="+", type=Manner)
    parser.add_argument("--after", type=float, default=0.0, help="seconds until a tool answers")
    given = parser.parse_args()
    uvloop.run(_run(given.manners, given.after))


if __name__ == "__main__":
    main()
