from __future__ import annotations

import asyncio
import io

import msgspec
import pytest

from proxy.access_log import AccessLine, AccessLog, timestamp
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
