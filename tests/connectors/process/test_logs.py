from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest

from connectors.process.logs import JsonFormatter, LogFormat, LogLevel, TextFormatter, set_up_logging


@pytest.fixture
def restored_logging() -> Iterator[None]:
    names = ["", "aiohttp", "asyncio", "kubernetes_asyncio", "watchfiles"]
    before = {name: logging.getLogger(name).level for name in names}
    handlers = logging.getLogger().handlers[:]
    yield
    logging.getLogger().handlers[:] = handlers
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


def record(message: str, *arguments: object, fields: object = None, failed: bool = False) -> logging.LogRecord:
    failure = None
    if failed:
        try:
            raise RuntimeError("broke")
        except RuntimeError:
            failure = sys.exc_info()
    made = logging.LogRecord("part", logging.WARNING, __file__, 1, message, arguments, failure)
    made.created = 1729045664.25
    if fields is not None:
        made.fields = fields
    return made


def test_text_line() -> None:
    line = TextFormatter().format(record("read %d files", 3, fields={"path": "/a"}))
    assert line == "2024-10-16T02:27:44.250Z WARNING part: read 3 files path=/a"


@pytest.mark.parametrize("character", ["\n", "\r", "\x1b", "\x00", "\x85", "\u2028"])
def test_text_record_stays_one_line(character: str) -> None:
    line = TextFormatter().format(record("a%sb", character, fields={"k": character}))
    assert character not in line
    assert len(line.splitlines()) == 1


def test_json_line() -> None:
    entry = json.loads(JsonFormatter().format(record("read %d files", 3, fields={"status": 200, "level": "forged"})))
    assert entry == {
        "time": "2024-10-16T02:27:44.250Z",
        "level": "warning",
        "logger": "part",
        "message": "read 3 files",
        "status": 200,
    }


def test_json_line_takes_any_text_and_value() -> None:
    line = JsonFormatter().format(record("\n\ud800%s", "\x00", fields={"path": object}))
    assert "\n" not in line
    assert json.loads(line)["message"] == "\n\ud800\x00"


def test_traceback_is_kept() -> None:
    assert "RuntimeError: broke" in TextFormatter().format(record("x", failed=True))
    assert "RuntimeError: broke" in json.loads(JsonFormatter().format(record("x", failed=True)))["exception"]


@pytest.mark.usefixtures("restored_logging")
def test_level_and_format() -> None:
    stream = io.StringIO()
    set_up_logging(LogFormat.JSON, LogLevel.WARNING, stream)
    logging.getLogger("a").info("not seen")
    logging.getLogger("a").warning("seen")
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["seen"]


@pytest.mark.usefixtures("restored_logging")
def test_setting_up_twice_writes_once() -> None:
    stream = io.StringIO()
    set_up_logging(LogFormat.TEXT, LogLevel.INFO, stream)
    set_up_logging(LogFormat.TEXT, LogLevel.INFO, stream)
    logging.getLogger("a").info("once")
    assert len(stream.getvalue().splitlines()) == 1


@pytest.mark.usefixtures("restored_logging")
@pytest.mark.parametrize("name", ["kubernetes_asyncio.client.rest", "asyncio", "aiohttp.access", "watchfiles.main"])
def test_t14_libraries_stay_quiet_at_debug(name: str) -> None:
    stream = io.StringIO()
    set_up_logging(LogFormat.TEXT, LogLevel.DEBUG, stream)
    logging.getLogger("ours").debug("seen")
    logging.getLogger(name).debug("response body: a Secret")
    assert [line.split(": ")[1] for line in stream.getvalue().splitlines()] == ["seen"]


@pytest.mark.usefixtures("restored_logging")
def test_pinned_loggers_are_not_louder_than_asked() -> None:
    stream = io.StringIO()
    set_up_logging(LogFormat.TEXT, LogLevel.ERROR, stream)
    logging.getLogger("asyncio").warning("slow callback")
    assert stream.getvalue() == ""
