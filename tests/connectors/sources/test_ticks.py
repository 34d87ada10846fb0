from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path

from connectors.sources.files import Listing, list_files
from connectors.sources.ticks import INTERVAL, PATIENCE, REST, settled, ticks


async def test_the_first_tick_comes_at_once_and_others_without_any_change(tmp_path: Path) -> None:
    clock = asyncio.get_running_loop().time
    begin = clock()
    async with aclosing(ticks([tmp_path])) as pulse:
        await anext(pulse)
        assert clock() - begin < INTERVAL
        await anext(pulse)
        await anext(pulse)
    assert clock() - begin < 4 * INTERVAL + 1


async def test_a_missing_path_ticks_too(tmp_path: Path) -> None:
    async with aclosing(ticks([tmp_path / "lacking"])) as pulse:
        await anext(pulse)
        await asyncio.wait_for(anext(pulse), 4 * INTERVAL)


async def test_files_at_rest_are_waited_for_briefly(tmp_path: Path) -> None:
    clock = asyncio.get_running_loop().time
    begin = clock()
    await settled(lambda: list_files([tmp_path]), list_files([tmp_path]))
    assert REST <= clock() - begin < PATIENCE


async def test_files_that_keep_changing_are_not_waited_for_forever(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    size = iter(range(1, 10_000))
    clock = asyncio.get_running_loop().time

    def growing() -> Listing:
        file.write_bytes(b"x" * next(size))
        return list_files([tmp_path])

    begin = clock()
    await settled(growing, list_files([tmp_path]))
    assert PATIENCE <= clock() - begin < PATIENCE + 1
