from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

import pytest

from bench.tools import LIVE, USER, Manner, Tally, Told, ToolsRun
from tests.cluster.installed import POLL
from tests.peers.raw_client import connected
from tests.peers.raw_stream import RawStream

BASIC = "Authorization: Basic eDp5\r\n"
MANNERS = [Manner.WELL, Manner.REFUSING, Manner.HANGING]


@pytest.fixture
async def tools() -> AsyncIterator[ToolsRun]:
    run = await ToolsRun.start(MANNERS, 0.0)
    yield run
    await run.child.stop()


@asynccontextmanager
async def sent(tools: ToolsRun, manner: Manner, path: str, fields: str = "") -> AsyncIterator[RawStream]:
    """A connection over which the request was sent."""
    port = urlsplit(tools.addresses[MANNERS.index(manner)]).port
    assert port is not None
    async with connected(port) as stream:
        stream.send(f"GET {path} HTTP/1.1\r\nHost: tool\r\n{fields}\r\n".encode())
        yield stream


async def until(tools: ToolsRun, true: Callable[[Told], bool]) -> list[Told]:
    """What each has seen, once what all have seen is as wanted."""
    end = time.monotonic() + 10
    while True:
        whole, each = await tools.seen()
        if true(whole):
            return each
        assert time.monotonic() < end, whole
        await asyncio.sleep(POLL)


@pytest.mark.parametrize(
    ("manner", "path", "fields", "status"),
    [
        (Manner.WELL, "/live/a", "", b"200"),
        (Manner.WELL, USER, BASIC, b"200"),
        (Manner.WELL, USER, "", b"401"),
        (Manner.REFUSING, "/live/a", "", b"200"),
        (Manner.REFUSING, USER, BASIC, b"401"),
    ],
)
async def test_answers(tools: ToolsRun, manner: Manner, path: str, fields: str, status: bytes) -> None:
    async with sent(tools, manner, path, fields) as stream:
        assert (await stream.read_to_eof()).split(b" ")[1] == status


async def test_what_hangs_is_at_once_until_the_client_goes(tools: ToolsRun) -> None:
    async with AsyncExitStack() as exits:
        for number in range(3):
            await exits.enter_async_context(sent(tools, Manner.HANGING, f"{LIVE}{number}"))
        await until(tools, lambda whole: whole.requests == 3)
        async with sent(tools, Manner.WELL, f"{LIVE}other") as stream:
            await stream.read_to_eof()
        well, refusing, hanging = await until(tools, lambda whole: whole.most == 4)
        assert (well.most, refusing.most, hanging.most) == (1, 0, 3)
        await tools.begin()
        await until(tools, lambda whole: (whole.requests, whole.most) == (0, 3))
    end = time.monotonic() + 10
    while (await tools.seen())[0].most > 0:
        assert time.monotonic() < end
        await tools.begin()


def test_gaps_are_of_a_path_and_reach_back_behind_the_beginning() -> None:
    tally = Tally()
    tally.ask(LIVE + "a", 10.0)
    tally.ask(LIVE + "b", 11.0)
    tally.ask(LIVE + "a", 70.0)
    assert tally.gaps == [60.0]
    tally.begin()
    tally.ask(LIVE + "a", 129.0)
    tally.ask(LIVE + "b", 141.0)
    tally.ask(USER, 142.0)
    tally.ask(USER, 143.0)
    assert tally.gaps == [59.0, 130.0]
    assert tally.requests == 4
    assert tally.waiting(150.0) == [21.0, 9.0]


def test_at_once_is_the_most_that_was_there_together() -> None:
    tally = Tally()
    tally.enter()
    tally.enter()
    tally.leave()
    tally.enter()
    assert tally.most == 2
    tally.leave()
    tally.begin()
    assert tally.most == 1
