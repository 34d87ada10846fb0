from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
import warnings
from collections.abc import Iterator

import pytest
from aiohttp import web

from connectors.process.health import AdminServer
from connectors.process.logs import (
    HTTP_SERVER,
    JsonFormatter,
    LogFormat,
    LogLevel,
    NoHttpQuoted,
    TextFormatter,
    set_up_logging,
)
from connectors.process.parsers import HostPort


@pytest.fixture
def restored_logging() -> Iterator[None]:
    names = ["", "aiohttp", "asyncio", "kubernetes_asyncio", "watchfiles"]
    before = {name: logging.getLogger(name).level for name in names}
    handlers = logging.getLogger().handlers[:]
    logging.captureWarnings(capture=False)
    yield
    logging.captureWarnings(capture=False)
    logging.getLogger().handlers[:] = handlers
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)
    for added in logging.getLogger(HTTP_SERVER).filters[:]:
        logging.getLogger(HTTP_SERVER).removeFilter(added)


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
def test_what_a_library_warns_of_is_a_record_too() -> None:
    stream = io.StringIO()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        set_up_logging(LogFormat.JSON, LogLevel.INFO, stream)
        warnings.warn("an odd\nserial number", stacklevel=1)
    (line,) = stream.getvalue().splitlines()
    said = json.loads(line)
    assert said["level"] == "warning"
    assert "UserWarning: an odd\nserial number" in said["message"]


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


NO_HTTP = [
    b"GET / HTTP/1.1\r\nAuthori zation: Bearer canary\r\n\r\n",
    b"POST / HTTP/1.1\r\nContent-Length: canary\r\n\r\n",
    b"canary canary canary\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\ncanary\r\n",
]


async def raw(port: int, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    answer = await reader.read()
    writer.close()
    return answer


async def test_t14_a_request_that_is_no_http_is_not_quoted(restored_logging: None) -> None:
    stream = io.StringIO()
    set_up_logging(LogFormat.TEXT, LogLevel.DEBUG, stream)
    set_up_logging(LogFormat.TEXT, LogLevel.DEBUG, stream)
    assert [type(found) for found in logging.getLogger(HTTP_SERVER).filters] == [NoHttpQuoted]
    app = web.Application()

    async def broken(_: web.Request) -> web.Response:
        raise RuntimeError("told")

    async def reads(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    app.router.add_get("/", broken)
    app.router.add_post("/", reads)
    server = AdminServer(app, HostPort("127.0.0.1", 0))
    await server.start()
    for sent in NO_HTTP:
        assert b" 400 " in await raw(server.port, sent)
    assert b" 500 " in await raw(server.port, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    await server.stop()
    assert "canary" not in stream.getvalue()
    assert "RuntimeError: told" in stream.getvalue(), "what is wrong with our own code is told"


@pytest.mark.parametrize("kind", ["HttpProcessingError", "RequestPayloadError"])
def test_t14_what_quotes_a_request_that_is_no_http_is_dropped(kind: str) -> None:
    made = record("Error handling request")
    error = type(kind, (Exception,), {})("canary")
    made.exc_info = (type(error), error, None)
    assert not NoHttpQuoted().filter(made)
    made.exc_info = (ValueError, ValueError("other"), None)
    assert NoHttpQuoted().filter(made)
