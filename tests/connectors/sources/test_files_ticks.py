from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import pytest

from connectors.sources.files import REST, Listing, list_files, settled, ticks

INTERVAL, PATIENCE = 0.2, 0.4
"""Seconds, as if the product had so little patience: its own would only be waited for."""


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.sources.files.INTERVAL", INTERVAL)
    monkeypatch.setattr("connectors.sources.files.PATIENCE", PATIENCE)


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


async def test_what_is_reported_comes_by_name_also_where_a_look_at_everything_is_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def reports(_: object) -> AsyncGenerator[frozenset[str], None]:
        for found in (frozenset[str](), frozenset({"a.yaml"})):
            yield found

    monkeypatch.setattr("connectors.sources.files._reports", reports)
    monkeypatch.setattr("connectors.sources.files._pause", lambda _: 0.0)  # a look at everything is always due
    async with aclosing(ticks([tmp_path])) as pulse:
        assert [await anext(pulse) for _ in range(4)] == [None, None, frozenset({"a.yaml"}), None]
