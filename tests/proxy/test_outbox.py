from __future__ import annotations

import asyncio

import pytest

from proxy.outbox import MOST, Outbox
from tests.proxy.test_client import Wire


class Noted(Wire):
    """Says to a list when it is written to."""

    def __init__(self, name: str, said: list[str]) -> None:
        super().__init__()
        self._name, self._said = name, said

    def write(self, data: bytes | bytearray | memoryview) -> None:
        super().write(data)
        self._said.append(f"{self._name} {bytes(data).decode()}")


async def test_what_is_put_is_sent_in_its_order_at_the_end_of_the_turn() -> None:
    said: list[str] = []
    one, other, outbox = Noted("one", said), Noted("other", said), Outbox()
    outbox.put(one, b"1")
    outbox.put(other, b"2")
    outbox.put(one, b"3")
    assert said == []
    await asyncio.sleep(0)
    assert said == ["one 1", "other 2", "one 3"]
    outbox.put(one, b"4")
    await asyncio.sleep(0)
    assert said[3:] == ["one 4"]


async def test_what_was_flushed_is_not_sent_again() -> None:
    wire, outbox = Wire(), Outbox()
    outbox.flush()
    outbox.put(wire, b"1")
    outbox.flush()
    assert wire.sent == b"1"
    outbox.put(wire, b"2")
    await asyncio.sleep(0)
    assert wire.sent == b"12"


async def test_a_lot_does_not_wait() -> None:
    wire, outbox = Wire(), Outbox()
    for _ in range(2):
        outbox.put(wire, bytes(MOST // 2))
    assert wire.sent == b""
    outbox.put(wire, b"1")
    assert len(wire.sent) == MOST + 1
    outbox.put(wire, b"2")
    assert len(wire.sent) == MOST + 1, "what was sent does not count"


async def test_a_defect_of_one_connection_keeps_nothing_from_the_others(caplog: pytest.LogCaptureFixture) -> None:
    broken, other, outbox = Broken(), Wire(), Outbox()
    outbox.put(broken, b"1")
    outbox.put(other, b"2")
    await asyncio.sleep(0)
    assert (broken.ended, other.sent) == ("abort", b"2")
    assert "please report it" in caplog.text


class Broken(Wire):
    """Cannot be written to."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        raise RuntimeError


async def test_a_connection_that_closes_gets_nothing_and_the_others_theirs() -> None:
    closing, open_one, outbox = Wire(), Wire(), Outbox()
    outbox.put(closing, b"1")
    outbox.put(open_one, b"2")
    closing.abort()
    await asyncio.sleep(0)
    assert (closing.sent, open_one.sent) == (b"", b"2")
