from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path

import msgspec
import pytest

from proxy.audit.audit_file import AuditFile
from proxy.audit.audit_log import AuditCaller, AuditLog, AuditLogError, AuditRecord, Decision, UsedSecret

RECORD = AuditRecord(
    time="2026-01-02T03:04:05.678Z",
    request="00000000deadbeef-1",
    caller=AuditCaller("system:serviceaccount:team:builder", "u-1", ("a",), "build-7"),
    connector="team/tool",
    connector_uid="u-2",
    address="https://tool.example/api",
    method="GET",
    path="/a",
    decision=Decision.ALLOWED,
    reason="",
    status=200,
    bytes_in=1,
    bytes_out=2,
    duration=0.5,
    authorization=0.125,
    upstream=0.25,
    secret=UsedSecret("login", "7"),
)
LINE = msgspec.json.encode(RECORD) + b"\n"


class Desk:
    """An audit log at a path, and what it lost."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lost = 0
        self.log = AuditLog(AuditFile(str(path)), self._count)

    def _count(self, number: int) -> None:
        self.lost += number

    async def write(self, number: int = 1) -> None:
        for _ in range(number):
            self.log.write(RECORD)
        await asyncio.sleep(0)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path / "audit.log")
    made.log.open()
    return made


async def test_records_of_a_turn_are_written_together_in_the_next(desk: Desk) -> None:
    desk.log.write(RECORD)
    desk.log.write(RECORD)
    assert desk.path.read_bytes() == b""
    await asyncio.sleep(0)
    assert desk.path.read_bytes() == LINE * 2
    assert msgspec.json.decode(LINE, type=AuditRecord) == RECORD


async def test_a_rename_without_a_signal(desk: Desk) -> None:
    await desk.write()
    moved = desk.path.with_suffix(".1")
    desk.path.rename(moved)
    desk.log.follow()
    assert desk.path.read_bytes() == b""
    await desk.write(2)
    assert (moved.read_bytes(), desk.path.read_bytes()) == (LINE, LINE * 2)


async def test_a_removal_is_noticed_by_the_next_record(desk: Desk) -> None:
    await desk.write()
    desk.path.unlink()
    await desk.write()
    assert desk.path.read_bytes() == LINE
    assert desk.lost == 0


async def test_a_hang_up_opens_the_file_anew_and_loses_nothing(desk: Desk) -> None:
    moved = desk.path.with_suffix(".1")
    desk.log.write(RECORD)
    desk.path.rename(moved)
    desk.log.reopen()
    await desk.write()
    desk.log.reopen()
    assert desk.path.read_bytes() + moved.read_bytes() == LINE * 2


async def test_closing_writes_what_is_queued_and_a_late_record_still_comes(desk: Desk) -> None:
    desk.log.write(RECORD)
    desk.log.close()
    assert desk.path.read_bytes() == LINE
    await desk.write()
    assert desk.path.read_bytes() == LINE * 2


async def test_a_full_disk_is_counted_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk(Path("/dev/full"))
    desk.log.open()
    with caplog.at_level(logging.ERROR):
        await desk.write(3)
        await desk.write()
    assert desk.lost == 4
    assert [record.getMessage() for record in caplog.records] == [
        "audit records are lost: cannot write to /dev/full: No space left on device"
    ]


async def test_a_removed_file_that_cannot_come_back_is_counted(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.path.unlink()
    desk.path.mkdir()
    with caplog.at_level(logging.ERROR):
        await desk.write(2)
        desk.log.reopen()
    assert desk.lost == 2
    (record,) = caplog.records
    assert "Is a directory" in record.getMessage()


class ShortOnce(AuditFile):
    """A disk that is full in the middle of a record, and has room again behind it."""

    def __init__(self, path: Path, room: int) -> None:
        super().__init__(str(path))
        self._room: int | None = room

    def append(self, data: bytes) -> int:
        if self._room is None:
            return super().append(data)
        if self._room == 0:
            self._room = None
            raise OSError(28, "No space left on device")
        written = super().append(data[: self._room])
        self._room -= written
        return written


@pytest.mark.parametrize(
    ("room", "whole", "lost"),
    [(1, 0, 3), (len(LINE) - 2, 0, 3), (len(LINE), 1, 2), (len(LINE) + 1, 1, 2), (3 * len(LINE) - 2, 2, 1)],
)
async def test_a_record_that_was_cut_off_spoils_no_other(tmp_path: Path, room: int, whole: int, lost: int) -> None:
    desk = Desk(tmp_path / "audit.log")
    desk.log = AuditLog(ShortOnce(desk.path, room), desk._count)
    desk.log.open()
    await desk.write(3)
    assert desk.lost == lost
    await desk.write(2)
    lines = desk.path.read_bytes().splitlines(keepends=True)
    assert lines.count(LINE) == whole + 2
    assert len(lines) == whole + 2 + (1 if room % len(LINE) else 0)


async def test_a_pipe_whose_reader_left_costs_records_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    desk = Desk(path)
    desk.log.open()
    await desk.write()
    assert os.read(reader, 10_000) == LINE
    os.close(reader)
    await desk.write()
    assert desk.lost == 1


@pytest.mark.parametrize("name", ["absent/audit.log", ""])
def test_what_cannot_be_opened_says_why(tmp_path: Path, name: str) -> None:
    desk = Desk(tmp_path / name)
    with pytest.raises(AuditLogError, match=r"cannot write to .*: (No such file|Is a dir).*; .*--audit-log"):
        desk.log.open()


TORN = LINE[:20]


async def test_behind_a_torn_end_a_record_begins_on_a_line_of_its_own(tmp_path: Path) -> None:
    """Left by a process that was killed, or by a disk that was full: also where a hang-up opens the same file again."""
    desk = Desk(tmp_path / "audit.log")
    desk.path.write_bytes(TORN)
    desk.log.open()
    await desk.write()
    assert desk.path.read_bytes() == TORN + b"\n" + LINE
    with desk.path.open("ab") as other:
        other.write(TORN)
    desk.log.reopen()
    await desk.write()
    assert desk.path.read_bytes() == TORN + b"\n" + LINE + TORN + b"\n" + LINE


async def test_a_new_file_begins_with_a_record_whatever_became_of_the_old(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "audit.log")
    desk.log = AuditLog(ShortOnce(desk.path, 5), desk._count)
    desk.log.open()
    await desk.write()
    desk.path.rename(tmp_path / "old")
    await desk.write()
    assert desk.path.read_bytes() == LINE


class ShortTwice(ShortOnce):
    """Cuts one record off, and the one behind it within."""

    def append(self, data: bytes) -> int:
        before = self._room
        try:
            return super().append(data)
        finally:
            if before == 0:
                self.next_room()

    def next_room(self) -> None:
        self._room, self._again = (len(LINE) + 1, False) if self._again else (None, False)

    _again = True


async def test_what_is_lost_behind_a_torn_record_is_counted_rightly(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "audit.log")
    desk.log = AuditLog(ShortTwice(desk.path, 5), desk._count)
    desk.log.open()
    await desk.write()
    assert desk.lost == 1
    await desk.write(2)
    assert desk.lost == 2, "the line break behind the torn one is no part of a record"
