from __future__ import annotations

import asyncio
import os
import signal

import pytest

from connectors.process.run import Signals, refuse, run, until


def test_run_returns_the_exit_code() -> None:
    async def work() -> int:
        await asyncio.sleep(0)
        return 3

    assert run(work()) == 3


async def test_the_first_signal_asks_and_the_second_hurries() -> None:
    signals = Signals()
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(signals.first.wait(), 5)
    assert not signals.second.is_set()
    os.kill(os.getpid(), signal.SIGINT)
    await asyncio.wait_for(signals.second.wait(), 5)


async def test_a_hang_up_does_what_was_asked_for_and_ends_nothing() -> None:
    signals, heard = Signals(), asyncio.Event()
    signals.on_hang_up(heard.set)
    os.kill(os.getpid(), signal.SIGHUP)
    await asyncio.wait_for(heard.wait(), 5)
    assert not signals.first.is_set()


async def test_until_work_ends() -> None:
    done: list[int] = []

    async def work() -> None:
        done.append(1)

    assert await until(asyncio.Event(), work())
    assert done


async def test_until_the_event_cuts_it_off() -> None:
    event, cancelled = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        try:
            event.set()
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    assert not await until(event, work())
    await asyncio.wait_for(cancelled.wait(), 5)


async def test_a_failure_of_the_work_is_raised() -> None:
    async def work() -> None:
        raise LookupError("broken")

    with pytest.raises(LookupError, match="broken"):
        await until(asyncio.Event(), work())


def test_a_refusal_names_the_program(capsys: pytest.CaptureFixture[str]) -> None:
    assert refuse("python -m x", "no way") == 1
    assert capsys.readouterr().err == "python -m x: error: no way\n"
