from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from connectors.process.backoff import Backoff
from connectors.process.workers import BrokenWorkerError, Link, Workers, WorkersPlan

MODULE = "tests.connectors.process.echoing_worker"
ECHO, EXIT, GARBAGE, CLOSE_AND_STAY = 1, 2, 3, 4


class Scene:
    """Workers, and what was said to and by them."""

    def __init__(self, number: int, backoff: type[Backoff]) -> None:
        self.links: dict[int, Link] = {}
        self.ended: list[int] = []
        self.came = asyncio.Condition()
        self.talk: Callable[[Link], Coroutine[object, object, None]] = self.listen
        plan = WorkersPlan(MODULE, number, last_words=0.5, backoff=lambda: backoff(0.01, 0.01))
        self.workers = Workers(plan, self.converse, self.ended.append)

    async def converse(self, link: Link) -> None:
        async with self.came:
            self.links[link.number] = link
            self.came.notify_all()
        await self.talk(link)

    async def listen(self, link: Link) -> None:
        while await link.frames.receive():
            pass

    async def another(self, number: int, than: int = 0) -> Link:
        """The link to the worker of that number, once it is another process."""
        async with asyncio.timeout(20), self.came:
            await self.came.wait_for(lambda: number in self.links and self.links[number].pid != than)
        return self.links[number]


@asynccontextmanager
async def running(number: int = 1, backoff: type[Backoff] = Backoff) -> AsyncIterator[Scene]:
    scene = Scene(number, backoff)
    scene.workers.start()
    try:
        yield scene
    finally:
        await scene.workers.kill()
    assert not scene.workers.running


async def test_they_run_the_very_tree_and_are_talked_to(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # The working directory has a module of the same name, which must not count.
    (tmp_path / "tests.py").write_text("raise SystemExit(7)")
    monkeypatch.chdir(tmp_path)
    async with running(2) as scene:
        answers, heard = set[tuple[int, tuple[int, bytes] | None]](), asyncio.Semaphore(0)

        async def talk(link: Link) -> None:
            link.frames.send(ECHO, b"hello")
            answers.add((link.number, await link.frames.receive()))
            heard.release()
            await scene.listen(link)

        scene.talk = talk
        first, second = await scene.another(0), await scene.another(1)
        for _ in range(2):
            await asyncio.wait_for(heard.acquire(), 20)
        assert answers == {(0, (ECHO, b"hello")), (1, (ECHO, b"hello"))}
        assert scene.workers.running == 2
        assert first.pid != second.pid


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
async def test_a_worker_inherits_its_socket_and_standard_streams_alone() -> None:
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    async with running() as scene:

        async def talk(link: Link) -> None:
            link.frames.send(ECHO)
            await link.frames.receive()
            await scene.listen(link)

        scene.talk = talk
        link = await scene.another(0)
        opened = {path.readlink() for path in Path(f"/proc/{link.pid}/fd").iterdir()}
        assert Path(f"/proc/self/fd/{writing}").readlink() not in opened
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
async def test_one_that_ends_is_replaced_and_counted(end: signal.Signals, caplog: pytest.LogCaptureFixture) -> None:
    async with running() as scene:
        first = await scene.another(0)
        os.kill(first.pid, end)
        await scene.another(0, first.pid)
        assert scene.workers.restarts == 1
        assert scene.ended == [0]
    assert f"worker 0 ended (killed by signal {end.value}); another one takes its place" in caplog.text


async def test_what_a_terminal_sends_to_all_of_its_processes_is_left_to_the_parent() -> None:
    async with running() as scene:
        heard = asyncio.Semaphore(0)

        async def talk(link: Link) -> None:
            for number in (signal.SIGINT, signal.SIGHUP):
                link.frames.send(ECHO)
                assert await link.frames.receive() is not None
                os.kill(link.pid, number)
            link.frames.send(ECHO, b"still here")
            assert await link.frames.receive() == (ECHO, b"still here")
            heard.release()
            await scene.listen(link)

        scene.talk = talk
        await asyncio.wait_for(heard.acquire(), 20)


async def test_one_that_cannot_be_started_is_told_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failed = asyncio.Event()

    class Telling(Backoff):
        def next(self) -> float:
            failed.set()
            return super().next()

    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", "/nowhere/python")
        async with running(backoff=Telling) as scene:
            await asyncio.wait_for(failed.wait(), 20)
            patched.undo()
            await scene.another(0)
    assert "worker 0 could not be started: No such file or directory; that is tried again in 0.0 s" in caplog.text


async def test_an_exit_code_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async with running() as scene:
        first = await scene.another(0)
        first.frames.send(EXIT, b"3")
        await scene.another(0, first.pid)
    assert "worker 0 ended (exit code 3)" in caplog.text


async def test_garbage_ends_the_worker_and_not_its_parent(caplog: pytest.LogCaptureFixture) -> None:
    async with running() as scene:
        first = await scene.another(0)
        first.frames.send(GARBAGE)
        await scene.another(0, first.pid)
    assert f"worker 0 (process {first.pid}) is ended: a frame is too large" in caplog.text


async def test_one_that_ends_as_it_is_to_be_killed_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(process: asyncio.subprocess.Process) -> None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        raise ProcessLookupError  # as asyncio does once it has noticed the end

    async with running() as scene:
        first = await scene.another(0)
        monkeypatch.setattr(asyncio.subprocess.Process, "kill", kill)
        first.frames.send(GARBAGE)
        await scene.another(0, first.pid)
        monkeypatch.undo()


async def test_one_that_does_not_keep_to_what_was_agreed_is_killed(caplog: pytest.LogCaptureFixture) -> None:
    async with running() as scene:

        async def talk(link: Link) -> None:
            if scene.workers.restarts == 1:
                raise BrokenWorkerError("it is odd")
            third.set()
            await scene.listen(link)

        first, third = await scene.another(0), asyncio.Event()
        scene.talk = talk
        os.kill(first.pid, signal.SIGKILL)
        await asyncio.wait_for(third.wait(), 20)
    assert "is ended: it is odd" in caplog.text


async def test_one_that_closes_its_end_and_stays_is_killed() -> None:
    async with running() as scene:
        first = await scene.another(0)
        first.frames.send(CLOSE_AND_STAY)
        await scene.another(0, first.pid)


async def test_an_error_of_ours_ends_the_worker_alone(caplog: pytest.LogCaptureFixture) -> None:
    async with running() as scene:
        failing = await scene.another(0)

        async def talk(link: Link) -> None:
            if scene.workers.restarts < 2:
                raise ZeroDivisionError
            third.set()
            await scene.listen(link)

        third = asyncio.Event()
        scene.talk = talk
        os.kill(failing.pid, signal.SIGKILL)
        await asyncio.wait_for(third.wait(), 20)
    assert "talking to it failed" in caplog.text


async def test_once_they_are_to_end_none_is_replaced() -> None:
    async with running(2) as scene:
        links = [await scene.another(number) for number in range(2)]
        scene.workers.no_more()
        for link in links:
            link.frames.send(EXIT, b"0")
        await asyncio.wait_for(scene.workers.ended(), 10)
        assert scene.workers.restarts == 0
        assert sorted(scene.ended) == [0, 1]


async def test_a_worker_ends_with_its_parent() -> None:
    async with running() as scene:
        link = await scene.another(0)
        await link.frames.abort()
        scene.workers.no_more()
        await asyncio.wait_for(scene.workers.ended(), 10)
