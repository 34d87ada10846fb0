from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry, Counter

from connectors.process.frames import FrameError, Frames
from connectors.process.samples import Family, families
from connectors.process.workers import BrokenWorkerError, Link
from connectors.snapshot import Changes
from connectors.sources.gathered import Recipient
from connectors.sources.handover import decode
from proxy.worker_messages import FrameKind, send_number
from proxy.worker_talk import WorkerTalk
from tests.builders import connector

A = connector("a")
NEWS = Changes(connectors={A.key: A})


class Scene:
    """A conversation whose worker is played by the test."""

    def __init__(self, ours: Frames, worker: Frames, deadline: float) -> None:
        self.worker = worker
        self.recipient = Recipient(Changes(), 0)
        self.served: list[tuple[int, int]] = []
        self.counted: list[tuple[int, tuple[Family, ...]]] = []
        self.talk = WorkerTalk(
            Link(5, 1, ours),
            self.recipient,
            lambda *served: self.served.append(served),
            lambda *counted: self.counted.append(counted),
            deadline,
        )
        self.running = asyncio.create_task(self.talk.run())

    async def got(self) -> tuple[int, bytes]:
        frame = await asyncio.wait_for(self.worker.receive(), 5)
        assert frame is not None
        return frame


@asynccontextmanager
async def talking(deadline: float = 5.0) -> AsyncIterator[Scene]:
    ours, theirs = [await Frames.over(end) for end in socket.socketpair()]
    scene = Scene(ours, theirs, deadline)
    try:
        yield scene
    finally:
        scene.running.cancel()
        await asyncio.wait({scene.running})
        await ours.abort()
        await theirs.abort()


async def test_a_change_is_sent_and_answered_before_the_next_one() -> None:
    async with talking() as scene:
        scene.recipient.add(NEWS, 1)
        kind, piece = await scene.got()
        assert (kind, decode(piece)) == (FrameKind.PIECE, NEWS)
        assert await scene.got() == (FrameKind.SERVE, b"1")
        for generation in (2, 3):
            scene.recipient.add(Changes(connectors={A.key: None}), generation)
        waiting = asyncio.create_task(scene.got())
        assert not (await asyncio.wait({waiting}, timeout=0.05))[0]
        send_number(scene.worker, FrameKind.SERVED, 1)
        kind, piece = await waiting
        assert (kind, decode(piece)) == (FrameKind.PIECE, Changes(connectors={A.key: None}))
        assert await scene.got() == (FrameKind.SERVE, b"3")
        send_number(scene.worker, FrameKind.SERVED, 3)
        await scene.worker.close()
        await asyncio.wait_for(scene.running, 5)
        assert scene.served == [(5, 1), (5, 3)]


async def test_one_that_does_not_read_is_given_up() -> None:
    async with talking(deadline=0.1) as scene:
        many = [connector(f"c-{number}", address="https://" + "a" * 1000) for number in range(3000)]
        scene.recipient.add(Changes(connectors={one.key: one for one in many}), 1)
        with pytest.raises(BrokenWorkerError, match=r"does not serve a change within 0\.1 s"):
            await asyncio.wait_for(scene.running, 5)


async def test_one_that_reads_and_does_not_serve_is_given_up() -> None:
    async with talking(deadline=0.1) as scene:
        scene.recipient.add(NEWS, 1)
        with pytest.raises(BrokenWorkerError):
            await asyncio.wait_for(scene.running, 5)


async def test_metrics_are_asked_for_once_at_a_time() -> None:
    registry = CollectorRegistry()
    Counter("asked", "Asked.", registry=registry).inc()
    async with talking() as scene:
        counting = scene.talk.count()
        assert scene.talk.count() is counting
        assert await scene.got() == (FrameKind.COUNT, b"")
        for encoded in families(registry):
            scene.worker.send(FrameKind.FAMILY, encoded)
        scene.worker.send(FrameKind.COUNTED)
        await asyncio.wait_for(counting, 5)
        ((number, (family,)),) = scene.counted
        assert (number, family.name) == (5, "asked")
        scene.talk.tell(FrameKind.REOPEN)
        assert await scene.got() == (FrameKind.REOPEN, b"")


async def test_who_waits_for_metrics_of_one_that_is_gone_waits_no_longer() -> None:
    async with talking() as scene:
        counting = scene.talk.count()
        await scene.worker.abort()
        await asyncio.wait({scene.running})
        assert counting.done()


@pytest.mark.parametrize(
    ("kind", "payload"), [(FrameKind.SETTINGS, b""), (99, b""), (FrameKind.SERVED, b"one"), (FrameKind.FAMILY, b"\xc1")]
)
async def test_what_no_worker_says(kind: int, payload: bytes) -> None:
    async with talking() as scene:
        scene.worker.send(kind, payload)
        with pytest.raises(BrokenWorkerError, match="is not understood"):
            await asyncio.wait_for(scene.running, 5)


async def test_a_frame_that_breaks_off() -> None:
    ours, theirs = socket.socketpair()
    talk = WorkerTalk(Link(0, 1, await Frames.over(ours)), Recipient(Changes(), 0), print, print)
    theirs.send(b"\x00\x00")
    theirs.close()
    with pytest.raises(FrameError):
        await asyncio.wait_for(talk.run(), 5)
    await talk.frames.abort()


async def test_one_that_hangs_is_ended() -> None:
    async with talking(deadline=0.1) as scene:
        for _ in range(2):
            assert await scene.got() == (FrameKind.COUNT, b"")
            scene.worker.send(FrameKind.COUNTED)
        with pytest.raises(BrokenWorkerError, match="has not answered"):
            await asyncio.wait_for(scene.running, 5)
    assert scene.counted == [(5, ()), (5, ())]
