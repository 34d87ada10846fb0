from __future__ import annotations

import asyncio
import io

import msgspec
import pytest

from proxy.audit.access_log import AT_ONCE, AccessLine, AccessLog, timestamp
from proxy.settings import AccessLogFormat

LINE = AccessLine(
    time="2026-01-02T03:04:05.678Z",
    caller="team/builder",
    connector="team/tool",
    method="GET",
    path="/a",
    status=200,
    bytes_in=1,
    bytes_out=2,
    duration=0.5,
    upstream=0.25,
    reason="",
    request="00000000deadbeef-1",
)
NOBODY = AccessLine(
    "2026-01-02T03:04:05.678Z", "", "", "-", "-", 400, 0, 0, 0.0, 0.0, "client timeout", "00000000deadbeef-2"
)


async def next_turn() -> None:
    await asyncio.sleep(0)


async def test_text() -> None:
    stream = io.StringIO()
    log = AccessLog(stream, AccessLogFormat.TEXT)
    log.write(LINE)
    log.write(NOBODY)
    assert stream.getvalue() == ""
    await next_turn()
    assert stream.getvalue().splitlines() == [
        (
            "2026-01-02T03:04:05.678Z access caller=team/builder connector=team/tool method=GET path=/a status=200 "
            "in=1 out=2 duration=0.5000 upstream=0.2500 reason=- request=00000000deadbeef-1"
        ),
        (
            "2026-01-02T03:04:05.678Z access caller=- connector=- method=- path=- status=400 in=0 out=0 "
            'duration=0.0000 upstream=0.0000 reason="client timeout" request=00000000deadbeef-2'
        ),
    ]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        pytest.param("team/a\u009b2Jb", "team/a\\x9b2Jb", id="C1 control"),
        pytest.param("team/a\x1b[0m\n", "team/a\\x1b[0m\\n", id="C0 control"),
        pytest.param("team/\u00fc\u202e", "team/\\xfc\\u202e", id="not ASCII"),
        pytest.param("a connector=b", '"a connector=b"', id="another field"),
        pytest.param('a" status=200 "', '"a\\" status=200 \\""', id="quotes"),
        pytest.param("a\\x9b", "a\\\\x9b", id="backslash"),
    ],
)
async def test_no_field_can_forge_or_drive_a_terminal(name: str, shown: str) -> None:
    stream = io.StringIO()
    fields = {"caller": name, "connector": name, "method": name, "path": name, "reason": name}
    AccessLog(stream, AccessLogFormat.TEXT).write(msgspec.structs.replace(LINE, **fields))
    await next_turn()
    (line,) = stream.getvalue().splitlines()
    assert all(f" {field}={shown}" in line for field in fields)


async def test_json() -> None:
    stream = io.StringIO()
    AccessLog(stream, AccessLogFormat.JSON).write(LINE)
    await next_turn()
    (line,) = stream.getvalue().splitlines()
    assert msgspec.json.decode(line, type=AccessLine) == LINE


class FailingOnce(io.StringIO):
    """A pipe that was full for a moment."""

    failed = False

    def write(self, text: str) -> int:
        if not self.failed:
            self.failed = True
            raise BlockingIOError
        return super().write(text)


async def test_lines_that_come_one_after_the_other_are_written_together() -> None:
    stream = Stream()
    log = AccessLog(stream, AccessLogFormat.TEXT)
    log.write(LINE)
    await next_turn()
    assert stream.writes == [1], "the first one at once"
    for _ in range(3):
        log.write(LINE)
        await next_turn()
    assert stream.writes == [1]
    async with asyncio.timeout(5):
        await stream.written.wait()
    assert stream.writes == [1, 3], "without another one that drives it"


async def test_lines_wait_for_no_more_than_one_go_can_take() -> None:
    stream = Stream()
    log = AccessLog(stream, AccessLogFormat.TEXT)
    log.write(LINE)
    await next_turn()
    for _ in range(AT_ONCE):
        log.write(LINE)
    await next_turn()
    assert stream.writes == [1, AT_ONCE]
    log.write(LINE)
    log.flush()
    assert stream.writes == [1, AT_ONCE, 1]


class Stream(io.StringIO):
    """Notes how many lines each write has; `written`: there was a second one."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[int] = []
        self.written = asyncio.Event()

    def write(self, text: str) -> int:
        self.writes.append(text.count("\n"))
        if len(self.writes) > 1:
            self.written.set()
        return super().write(text)


async def test_a_stream_that_failed_is_written_to_again() -> None:
    stream = FailingOnce()
    log = AccessLog(stream, AccessLogFormat.TEXT)
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context["exception"]))
    log.write(NOBODY)
    await next_turn()
    log.write(LINE)
    await next_turn()
    assert [type(failure) for failure in failures] == [BlockingIOError]
    assert stream.getvalue().count("\n") == 1


class Failing(io.StringIO):
    """A pipe whose reader is gone."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


async def test_a_stream_that_fails_fails_no_request() -> None:
    log = AccessLog(Failing(), AccessLogFormat.TEXT)
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context["exception"]))
    for _ in range(AT_ONCE):
        log.write(LINE)
    await next_turn()
    await next_turn()
    assert [type(failure) for failure in failures] == [BrokenPipeError]


async def test_what_comes_behind_the_end_is_written_at_once() -> None:
    stream = io.StringIO()
    log = AccessLog(stream, AccessLogFormat.TEXT)
    log.write(NOBODY)
    log.close()
    assert stream.getvalue().count("\n") == 1
    log.write(LINE)
    await next_turn()
    assert stream.getvalue().count("\n") == 2


async def test_the_end_fails_nobody_though_the_stream_does() -> None:
    log = AccessLog(Failing(), AccessLogFormat.TEXT)
    log.write(LINE)
    log.close()


def test_flush_without_lines_writes_nothing() -> None:
    stream = io.StringIO()
    AccessLog(stream, AccessLogFormat.TEXT).flush()
    assert stream.getvalue() == ""


def test_off_is_not_enabled() -> None:
    assert not AccessLog(io.StringIO(), AccessLogFormat.OFF).enabled
    assert AccessLog(io.StringIO(), AccessLogFormat.JSON).enabled


@pytest.mark.parametrize(
    ("now", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1.0625, "1970-01-01T00:00:01.062Z"),
        (1767323045.999999, "2026-01-02T03:04:05.999Z"),
    ],
)
def test_timestamp(now: float, text: str) -> None:
    assert timestamp(now) == text
