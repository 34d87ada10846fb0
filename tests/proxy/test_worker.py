from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Gauge

from connectors.kube.access import Access
from connectors.process.frames import Frames
from connectors.process.heap import settle_new
from connectors.process.listening import ABSENT, Counts, listen
from connectors.process.logs import Logging
from connectors.process.samples import read_family
from connectors.snapshot import Changes
from connectors.sources.handover import encode
from proxy.settings import ProxySettings, Timeouts
from proxy.worker import Worker, main
from proxy.worker_messages import FrameKind, WorkerSettings, encode_settings, send_number
from tests.builders import connector, connector_class
from tests.peers.dialogue import OK
from tests.peers.raw_client import connected
from tests.peers.raw_upstream import RawUpstream

REQUEST = b"GET /x HTTP/1.1\r\nHost: c-tool.default.localhost\r\n\r\n"
SECONDS = 10.0
MANY = 10_000
"""Samples: pieces enough that two who count get into each other's way, each larger than what a socket holds."""
ROOT = Path(__file__).parents[2]


class Scene:
    """A worker on this loop; the test is its parent."""

    def __init__(self, parent: Frames, worker: Worker, port: int, counts: Counts) -> None:
        self.parent = parent
        self.port = port
        self.counts = counts
        self.running = asyncio.create_task(worker.run())

    async def serve(self, number: int, changes: Changes) -> None:
        for piece in encode(changes):
            self.parent.send(FrameKind.PIECE, piece)
        send_number(self.parent, FrameKind.SERVE, number)
        assert await self.got() == (FrameKind.SERVED, b"%d" % number)

    async def got(self) -> tuple[int, bytes]:
        frame = await asyncio.wait_for(self.parent.receive(), SECONDS)
        assert frame is not None
        return frame

    async def ended(self) -> int:
        return await asyncio.wait_for(asyncio.shield(self.running), SECONDS)


@asynccontextmanager
async def working(registry: CollectorRegistry | None = None) -> AsyncIterator[Scene]:
    ours, theirs = [await Frames.over(end) for end in socket.socketpair()]
    (listener,), counts = await listen("127.0.0.1", 0, 64), Counts.make(2)
    port = listener.getsockname()[1]
    proxy = ProxySettings(port=port, timeouts=Timeouts(drain=5.0), workers=2)
    settings = WorkerSettings(
        number=1, listeners=(listener.detach(),), counts=counts.descriptor, logging=Logging(), proxy=proxy
    )
    scene = Scene(ours, Worker(theirs, settings, registry or CollectorRegistry(), None), port, counts)
    try:
        yield scene
    finally:
        await ours.abort()
        await asyncio.wait({scene.running}, timeout=SECONDS)
        await theirs.abort()


def of(address: str) -> Changes:
    tool = connector("tool", address=address)
    return Changes(connectors={tool.key: tool}, classes={"demo": connector_class()})


def with_many() -> CollectorRegistry:
    """Metrics larger than a socket's buffers."""
    registry = CollectorRegistry()
    many = Gauge("many", "Many.", ("name",), registry=registry)
    for number in range(MANY):
        many.labels(f"{number}-{'x' * 400}").set(1)
    return registry


@pytest.fixture(autouse=True)
def _settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """What pytest has collected stays frozen: to visit it takes longer than each of these tests."""
    monkeypatch.setattr("connectors.process.heap.settle", settle_new)


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    yield
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


async def test_it_serves_what_it_is_told_and_tells_its_metrics() -> None:
    async with working() as scene, RawUpstream() as tool:
        await scene.serve(7, of(tool.address))
        assert scene.counts.of(1) == 0
        async with connected(scene.port) as client:
            client.send(REQUEST)
            stream = await tool.accept()
            await stream.read_head()
            assert scene.counts.of(1) == 1
            stream.send(OK)
            assert b" 200 OK\r\n" in await client.read_head()
        await scene.serve(8, Changes(connectors={connector("tool").key: None}))
        async with connected(scene.port) as client:
            client.send(REQUEST)
            assert b" 404 " in await client.read_head()
        scene.parent.send(FrameKind.COUNT)
        names = set()
        while (frame := await scene.got())[0] == FrameKind.FAMILY:
            names.add(read_family(frame[1]).name)
        assert frame == (FrameKind.COUNTED, b"")
        assert "connectors_proxy_requests" in names
        assert "connectors_proxy_snapshot_generation" not in names


@pytest.mark.parametrize("how", ["told", "parent gone", "SIGTERM"])
async def test_it_finishes_what_runs_and_tells_its_last_metrics(how: str) -> None:
    async with working() as scene, RawUpstream() as tool:
        await scene.serve(1, of(tool.address))
        async with connected(scene.port) as client:
            client.send(REQUEST)
            stream = await tool.accept()
            await stream.read_head()
            if how == "told":
                scene.parent.send(FrameKind.DRAIN)
            elif how == "SIGTERM":
                signal.raise_signal(signal.SIGTERM)
            else:
                await scene.parent.abort()
            while scene.counts.of(1) != ABSENT:  # noqa: ASYNC110 - memory has no events
                await asyncio.sleep(0.01)
            stream.send(OK)
            assert b" 200 OK\r\n" in await client.read_to_eof()
        if how != "parent gone":
            while (await scene.got())[0] != FrameKind.COUNTED:
                pass
        assert await scene.ended() == 0


async def test_its_last_metrics_do_not_come_between_those_of_a_scrape() -> None:
    async with working(with_many()) as scene:
        await scene.serve(1, Changes())
        scene.parent.send(FrameKind.COUNT)
        answers = [[await scene.got()]]
        scene.parent.send(FrameKind.DRAIN)
        await asyncio.sleep(0.2)  # until the last ones are made, too; nothing is read meanwhile
        while (frame := await scene.parent.receive()) is not None:
            answers[-1].append(frame)
            if frame[0] == FrameKind.COUNTED:
                answers.append([])
        assert await scene.ended() == 0
    for answer in answers[:-1]:
        told = [read_family(payload) for kind, payload in answer if kind == FrameKind.FAMILY]
        assert sum(len(family.samples) for family in told if family.name == "many") == MANY
    assert len(answers) == 3


async def test_one_that_is_told_to_end_before_it_serves_begins_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.worker.LAST_WORDS", 0.2)  # seconds for its last metrics, which are not read here
    tools = [connector(f"tool-{number}", address="https://tool.example") for number in range(2000)]
    async with working(with_many()) as scene:
        for piece in encode(
            Changes(connectors={tool.key: tool for tool in tools}, classes={"demo": connector_class()})
        ):
            scene.parent.send(FrameKind.PIECE, piece)
        send_number(scene.parent, FrameKind.SERVE, 1)
        scene.parent.send(FrameKind.DRAIN)
        assert await scene.ended() == 0
        assert scene.counts.of(1) == ABSENT


async def test_in_a_hurry_it_cuts_off_what_runs() -> None:
    async with working() as scene, RawUpstream() as tool:
        await scene.serve(1, of(tool.address))
        async with connected(scene.port) as client:
            client.send(REQUEST)
            await (await tool.accept()).read_head()
            scene.parent.send(FrameKind.DRAIN)
            scene.parent.send(FrameKind.END)
            assert await scene.ended() == 0
            await client.wait_lost()


@pytest.mark.parametrize(
    ("kind", "payload"),
    [(FrameKind.PIECE, b"\xc1canary-77d2"), (FrameKind.SERVE, b"x"), (FrameKind.SERVED, b"1"), (99, b"")],
)
async def test_what_is_not_understood_ends_it(kind: int, payload: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with working() as scene:
        await scene.serve(1, of("https://tool.example"))
        scene.parent.send(kind, payload)
        assert await scene.ended() == 1
    assert "is not understood, draining" in caplog.text
    assert "canary" not in caplog.text


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\x00\x00\x00\x01\x01x",
        b"\x00\x00\x00\x00\x09",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x00",
    ],
)
def test_a_process_that_is_told_nothing_sensible_ends(sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    ours, theirs = socket.socketpair()
    ours.send(sent)
    ours.shutdown(socket.SHUT_WR)
    try:
        assert main([str(theirs.detach())]) == (1 if sent else 0)
    finally:
        ours.close()
    assert ("cannot begin" in caplog.text) is bool(sent)


def test_what_its_settings_name_must_be_there(caplog: pytest.LogCaptureFixture) -> None:
    ours, theirs = socket.socketpair()
    settings = WorkerSettings(
        number=0,
        listeners=(),
        counts=Counts.make(1).descriptor,
        logging=Logging(),
        proxy=ProxySettings(audit_log="/nosuch/audit.log"),
    )
    payload = encode_settings(settings)
    ours.send(len(payload).to_bytes(4, "big") + bytes([FrameKind.SETTINGS]) + payload)
    root = logging.getLogger()
    before = root.handlers[:]
    try:
        assert main([str(theirs.detach())]) == 1
    finally:
        root.handlers[:] = before
        logging.captureWarnings(capture=False)
        ours.close()


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
async def test_what_it_inherits_it_hands_to_no_program_that_it_starts(tmp_path: Path) -> None:
    plugin, told = tmp_path / "login", tmp_path / "descriptors"
    status = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "t"}}
    plugin.write_text(
        f"#!/bin/sh\nls -l /proc/self/fd >{told}.new; mv {told}.new {told}\necho '{json.dumps(status)}'\n"
    )
    plugin.chmod(0o700)
    login = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin), "interactiveMode": "Never"}
    kubeconfig = {
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"exec": login}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    }  # fmt: skip
    (tmp_path / "config").write_text(json.dumps(kubeconfig))
    ours, theirs = socket.socketpair()
    (listener,), counts = await listen("127.0.0.1", 0, 64), Counts.make(2)
    inherited = (listener.fileno(), counts.descriptor)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "proxy.worker", str(theirs.fileno()), pass_fds=(theirs.fileno(), *inherited), cwd=ROOT
    )
    theirs.close()
    parent = await Frames.over(ours)
    settings = WorkerSettings(
        number=0,
        listeners=(inherited[0],),
        counts=inherited[1],
        logging=Logging(),
        proxy=ProxySettings(workers=2),
        access=Access(tmp_path / "config"),
    )
    parent.send(FrameKind.SETTINGS, encode_settings(settings))
    inode = os.fstat(listener.fileno()).st_ino
    async with asyncio.timeout(SECONDS):
        while not told.exists():  # noqa: ASYNC110 - files have no events
            await asyncio.sleep(0.02)
    await parent.abort()
    await process.wait()
    listener.close()
    found = told.read_text()
    assert f"socket:[{inode}]" not in found
    assert "memfd:" not in found
