"""Plays requests on a proxy that has seen their like and on a fresh one, and sets side by side what is seen of both."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from proxy.settings import ProxySettings
from tests.peers.answering_tool import AnsweringTool, read_chunks, turns
from tests.peers.inner_proxy import InnerProxy
from tests.peers.manifests import Manifest
from tests.peers.raw_client import connect
from tests.peers.raw_stream import PeerTimeoutError, RawStream
from tests.peers.seen import (
    Logged,
    Seen,
    check_same,
    gained,
    masked_answers,
    masked_line,
    masked_record,
    measured,
)

TIMES = 4
"""How often a request is sent so that whatever can be remembered of it is: nothing is at first sight."""
ROUNDS = 3
"""How often the probes are played: what they leave behind must not change what they get either."""
SECONDS = 10.0
ONE_LOOP = pytest.mark.asyncio(loop_factories=["uvloop"])
"""For what does not depend on the loop: how bytes are judged, what is counted and kept."""

_LAST = re.compile(rb"\r\nConnection: close\r\n|HTTP/1\.1 101 ")
"""In an answer behind which the connection ends; a tunnel ends with the tool."""
Objects = Callable[[str], Sequence[Manifest]]
"""The manifests for a tool at this address."""


@dataclass
class Scene:
    """A proxy, its tool, and one client that connects again where its connection has ended.

    `answered` is how many final answers the client has got, which is how many requests it has sent; `answers` are those
    since the last look.
    """

    proxy: InnerProxy
    tool: AnsweringTool
    audit_file: Path
    has_access_log: bool = True
    has_audit_log: bool = True
    client: RawStream | None = None
    answers: list[bytes] = field(default_factory=list)
    answered: int = 0
    _counts: dict[str, float] = field(default_factory=dict)
    _start: int = 0
    _broken: frozenset[RawStream] = frozenset()

    def filled(self, data: bytes) -> bytes:
        """With the tool's authority in the place of `<tool>`."""
        return data.replace(b"<tool>", self.tool.authority)

    def swap(self, objects: Objects) -> None:
        """Let other objects serve."""
        self.proxy.swap(*objects(self.tool.address))

    async def connected(self) -> RawStream:
        """The client's connection: the kept one, or another where that has ended."""
        if self.client is None or self.client.is_closed:
            self.leave()
            self.client = await connect(self.proxy.port)
        return self.client

    def leave(self) -> None:
        """The client goes; the next request comes over another connection."""
        if self.client is not None:
            self.client.transport.abort()
        self.client = None

    def forget(self) -> None:
        """Let go of what the peers have kept of the requests."""
        self.answers.clear()
        self.tool.requests.clear()
        for stream in (*self.tool.connections, *((self.client,) if self.client else ())):
            stream.forget()

    async def asks(self, request: bytes, *, answers: int = 1, cuts: Sequence[int] = ()) -> bytes:
        """Send, in pieces that end at `cuts`, and read so many answers, or all that comes where the connection ends."""
        client = await self.connected()
        request = self.filled(request)
        await _send(client, request, cuts)
        start = client.consumed
        for _ in range(answers):
            begun = await read_head(client)
            self.answered += bool(begun)
            if not begun or not await read_rest(client, begun, request):
                break
        if _LAST.search(client.received_from(start)):
            await client.wait_closed(SECONDS)
        got = client.received_from(start) + ending(client)
        self.answers.append(masked_answers(got))
        return got

    async def settled(self) -> dict[str, float]:
        """No request is running, and the tool has said all; what was counted by then."""
        async with asyncio.timeout(SECONDS):
            while True:
                at_work, counted = measured(self.proxy.registry)
                if not at_work and not self.tool.answering:
                    break
                await asyncio.sleep(0)
        await turns(10)
        return counted

    async def mark(self) -> None:
        """What is seen is seen from here."""
        self._mark(await self.settled())

    def _mark(self, counted: dict[str, float]) -> None:
        self._counts = counted
        self._start = len(self.tool.requests)
        self._broken = frozenset(self.tool.unfinished)
        self.answers.clear()

    async def seen(self) -> Seen:
        """What was seen since the mark; the next look begins here."""
        counted = await self.settled()
        seen = Seen(
            tool=(*self.tool.requests[self._start :], *self._unfinished()),
            client=tuple(self.answers),
            metrics=gained(self._counts, counted),
        )
        self._mark(counted)
        return seen

    async def logged(self, start: int, end: int) -> Logged:
        """What was written down of these requests, counted from the first one. Lines may come late, in batches."""
        if self.has_access_log:
            await until(lambda: len(self.lines) >= end)
        if self.has_audit_log:
            await until(lambda: len(self.records) >= end)
        lines, records = self.lines[start:end], self.records[start:end]
        return Logged(tuple(map(masked_line, lines)), tuple(map(masked_record, records)))

    def _unfinished(self) -> list[bytes]:
        return [connection.unread for connection in self.tool.unfinished if connection not in self._broken]

    @property
    def lines(self) -> list[str]:
        """The access log."""
        return self.proxy.log.getvalue().splitlines()

    @property
    def records(self) -> list[str]:
        """The audit log; empty where there is none."""
        return self.audit_file.read_text(encoding="utf-8").splitlines() if self.audit_file.is_file() else []


Move = bytes | Callable[[Scene], Awaitable[object]]
"""A request to send, or something else to do."""
Stage = Callable[..., Awaitable[Scene]]
"""(objects, settings=None, cluster=None, *, dialer=None, audit=True) -> Scene; all of a test have one tool."""


async def play(scene: Scene, moves: Sequence[Move]) -> None:
    """Do these, one after the other."""
    for move in moves:
        if isinstance(move, bytes):
            await scene.asks(move)
        else:
            await move(scene)


async def prime(scene: Scene, *moves: Move, times: int = TIMES) -> None:
    """Do these until all that can be remembered of them is."""
    for _ in range(times):
        await play(scene, moves)


@dataclass(frozen=True, slots=True)
class Same:
    """Compares each of `probes`, behind `primes`, with the same on a proxy that has seen nothing at all.

    `change` is done between the two, and before the probe on the fresh proxy.
    """

    primes: Sequence[Move]
    probes: Sequence[Move]
    change: Callable[[Scene], Awaitable[object]] | None = None
    times: int = TIMES

    async def check(self, stage: Stage, objects: Objects, settings: ProxySettings | None = None) -> tuple[Seen, ...]:
        """Play all; returns what is seen of the fresh ones."""
        fresh = [await stage(objects, settings) for _ in self.probes]
        expected = tuple([await self._fresh(scene, probe) for scene, probe in zip(fresh, self.probes, strict=True)])
        known = await stage(objects, settings)
        await prime(known, *self.primes, times=self.times)
        start = known.answered
        if self.change:
            await self.change(known)
        await known.mark()
        for number in range(ROUNDS):
            for probe, wanted in zip(self.probes, expected, strict=True):
                await play(known, [probe])
                check_same(await known.seen(), wanted, f"round {number}, {probe!r}")
        await check_logs(known, start, [scene for _ in range(ROUNDS) for scene in fresh])
        return expected

    async def _fresh(self, scene: Scene, probe: Move) -> Seen:
        if self.change:
            await self.change(scene)
        await scene.mark()
        await play(scene, [probe])
        seen = await scene.seen()
        scene.leave()
        await scene.proxy.proxy.drain()
        return seen


async def check_logs(known: Scene, start: int, fresh: Sequence[Scene]) -> None:
    """What one proxy has written down from its request `start` on is what the fresh ones have, one after the other."""
    # Each log is read once: a proxy that has seen much has much to read.
    own = {id(scene): await scene.logged(0, scene.answered) for scene in fresh}
    got, first = await known.logged(start, start + sum(scene.answered for scene in fresh)), start
    for number, scene in enumerate(fresh):
        part = slice(start - first, start - first + scene.answered)
        check_same(Logged(got.access[part], got.audit[part]), own[id(scene)], f"log of play {number}")
        start += scene.answered
    assert known.answered == start
    for lines in (known.lines, known.records):
        assert len(lines) in (0, start), lines[start:]


async def read_head(client: RawStream) -> bytes:
    """Consume interim answers and a final one's head; nothing where the connection ends before."""
    try:
        head = await client.read_head(SECONDS)
        while head[9:10] == b"1" and head[9:12] != b"101":
            head = await client.read_head(SECONDS)
    except PeerTimeoutError:
        assert client.is_closed, f"neither an answer nor an end; got {client.received!r}"
        await client.read_to_eof()
        return b""
    return head


async def read_rest(client: RawStream, head: bytes, request: bytes) -> bool:
    """Consume the answer's body; whether the connection still stands behind it."""
    try:
        await _read_body(client, head.lower(), request)
    except PeerTimeoutError:
        assert client.is_closed, f"neither an answer nor an end; got {client.received!r}"
        await client.read_to_eof()
    return not client.is_closed


async def _read_body(client: RawStream, head: bytes, request: bytes) -> None:
    if request.lstrip(b"\r\n").startswith(b"HEAD ") or head[9:12] in (b"204", b"304", b"101"):
        return
    _, found, rest = head.partition(b"\r\ncontent-length: ")
    if found:
        await client.read_exactly(int(rest.partition(b"\r\n")[0]), SECONDS)
    elif b"\r\ntransfer-encoding: chunked\r\n" in head:
        await read_chunks(client)
    else:
        await client.read_to_eof(SECONDS)


def ending(client: RawStream) -> bytes:
    """How the connection has ended, as a mark behind its bytes; nothing where it stands."""
    if not client.is_closed:
        return b""
    return b"<reset>" if client.was_reset else b"<end>"


async def until(true: Callable[[], bool]) -> None:
    """Let the loop turn until `true`: what is waited for shows on neither side of the wire."""
    async with asyncio.timeout(SECONDS):
        while not true():  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.0005)


async def _send(client: RawStream, data: bytes, cuts: Sequence[int]) -> None:
    start = 0
    for end in (*sorted(cuts), len(data)):
        if end > start:
            if client.lost:
                return  # what was sent before was answered, or cut
            client.send(data[start:end])
            start = end
            if end < len(data):
                await turns()
