"""A canary: a secret and a caller's token that must turn up nowhere but at the tool (threats 14 and 27)."""

from __future__ import annotations

import asyncio
import io
import logging
import pickle
import traceback
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import pytest

from connectors.http.message import RequestHead
from connectors.process.logs import LogFormat, LogLevel, set_up_logging
from proxy.callers.tokens import presented_tokens
from proxy.settings import AccessLogFormat, ClientAuth, Limits, ProxySettings, Timeouts
from tests.peers.dialogue import OK, Dialogue, get, message
from tests.peers.manifests import (
    Manifest,
    auth,
    basic_auth,
    bearer_token,
    caller_token,
    connector,
    connector_class,
    secret,
)
from tests.peers.raw_stream import PeerTimeoutError
from tests.proxy.transcripts.conftest import Talk

CANARY = "c4n4ry/+=&? s3cret"
TOKEN = "c4ller.t0ken.of/ci"
KIND = connector_class(
    "keyed",
    [
        {
            "name": "key",
            "secretType": "Opaque",
            "generator": {
                "headers": [{"name": "X-Key", "value": "{{ .Secret.StringData.key }}"}],
                "query": [{"name": "key", "value": "{{ .Secret.StringData.key }}"}],
            },
        }
    ],
)


def forms() -> list[str]:
    """The canary and the token as they might look anywhere."""
    found = []
    for value in (CANARY, TOKEN):
        raw = value.encode()
        found += [value, quote(value, safe=""), quote(value), raw.hex(), b64encode(raw).decode()]
        found += [b64encode(user + raw).decode() for user in (b"robot:", b"any:", b":")]
        found += [value.replace("/", "\\/"), "c4n4ry", "s3cret", "t0ken"]
    return found


def objects(address: str) -> tuple[Manifest, ...]:
    return (
        connector("tool", address, auth=auth("basicAuth", "basic")),
        connector("bearer", address, auth=auth("bearerAuth", "bearer")),
        connector("keyed", address, "keyed", auth=auth("key", "opaque")),
        connector("wrong", address, auth=auth("basicAuth", "opaque")),
        connector("broken", address, auth=auth("bearerAuth", "broken")),
        connector("gone", "http://127.0.0.1:1", auth=auth("basicAuth", "basic")),
        KIND,
        basic_auth("basic", "robot", CANARY),
        bearer_token("bearer", CANARY),
        bearer_token("broken", CANARY + "\x01"),
        secret("opaque", {"key": CANARY}),
        caller_token("ci", TOKEN),
    )


@pytest.fixture
def debug_log() -> Iterator[io.StringIO]:
    """Everything that is logged, at the lowest level and with the product's own set-up."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    levels = {
        name: logging.getLogger(name).level for name in ("aiohttp", "asyncio", "kubernetes_asyncio", "watchfiles")
    }
    stream = io.StringIO()
    set_up_logging(LogFormat.TEXT, LogLevel.DEBUG, stream)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)
    for name, lowest in levels.items():
        logging.getLogger(name).setLevel(lowest)


BASIC = b"Authorization: Basic " + b64encode(b"any:" + TOKEN.encode())
BEARER = b"Authorization: Bearer " + TOKEN.encode()
REQUESTS = [
    get(b"/", BEARER),
    get(b"/?token=" + TOKEN.encode(), BASIC),
    message(b"GET /x?q=" + TOKEN.encode() + b" HTTP/1.1", b"Host: c-bearer.default", BEARER),
    message(b"GET /x HTTP/1.1", b"Host: c-keyed.default", BASIC),
    message(b"GET /x HTTP/1.1", b"Host: c-wrong.default", BASIC),
    message(b"GET /x HTTP/1.1", b"Host: c-broken.default", BASIC),
    message(b"GET /x HTTP/1.1", b"Host: c-gone.default", BASIC),
    message(b"GET /x HTTP/1.1", b"Host: c-absent.default", BASIC),
    message(b"TRACE / HTTP/1.1", b"Host: <proxy>", BASIC),
    get(b"/", b"Authorization: Bearer " + TOKEN.encode() + b"x"),
    get(b"/", BEARER, BEARER),
    get(b"http://user:" + TOKEN.encode() + b"@<proxy>/x", BEARER),
    get(b"/", b"X-Openapi-Address: http://user:" + TOKEN.encode() + b"@elsewhere", BEARER),
    get(b"/..?" + TOKEN.encode(), BEARER),
    get(b"/", b"X: \x01" + TOKEN.encode(), BEARER),
    message(b"GET / HTTP/1.1", b"Host: " + TOKEN.encode(), BEARER),
    message(b"GET " + TOKEN.encode() + b" HTTP/1.1", b"Host: <proxy>", BEARER),
    message(b"POST / HTTP/1.1", b"Host: <proxy>", BEARER, b"Content-Length: " + TOKEN.encode()),
    message(b"PUT / HTTP/1.1", b"Host: <proxy>", BEARER, b"Transfer-Encoding: chunked", body=TOKEN.encode() + b"\r\n"),
    get(b"/" + b"x" * 400, BEARER),
    get(b"/", b"X: " + b"x" * 2000, BEARER),
    get(b"/", b"Upgrade: websocket", b"Connection: Upgrade", BEARER),
]
ANSWERS = [
    OK,
    b"",
    b"NOT HTTP " + CANARY.encode() + b"\r\n\r\n",
    message(b"HTTP/1.1 200 OK", b"Content-Length: 5", body=b"x"),
    message(b"HTTP/1.1 101 " + CANARY.encode(), b"Upgrade: x"),
    message(b"HTTP/1.1 200 OK", b"X: " + CANARY.encode() + b"\0"),
    message(b"HTTP/1.1 302 Found", b"Location: /?key=x", b"Content-Length: 0"),
]


@pytest.mark.parametrize("log_format", [AccessLogFormat.TEXT, AccessLogFormat.JSON])
async def test_t14_canary_is_nowhere_but_at_the_tool(
    talk: Talk, debug_log: io.StringIO, log_format: AccessLogFormat, tmp_path: Path
) -> None:
    settings = ProxySettings(
        client_auth=ClientAuth.TOKEN,
        access_log=log_format,
        audit_log=str(tmp_path / "audit.log"),
        limits=Limits(head_bytes=1500, target_bytes=300),
        timeouts=Timeouts(first_byte=0.2, idle=0.2, head=0.2, keep_alive=0.2),
    )
    line = await talk(settings=settings)
    line.proxy.swap(*objects(line.upstream.address))
    got = []
    for answer in ANSWERS:
        for request in REQUESTS:
            await line.new_client()
            line.client_sends(request.replace(b"HTTP/1.1\r\n", b"HTTP/1.1\r\nConnection: close\r\n", 1))
            await answer_next(line, answer)
            await line.client.wait_closed()
            got.append(await line.client.read_to_eof())
    for connection in line.upstream.connections:
        await connection.read_to_eof()
    at_tool = b"".join(connection.received for connection in line.upstream.connections)
    assert b64encode(b"robot:" + CANARY.encode()) in at_tool
    assert TOKEN.encode() not in at_tool.replace(b"/?token=" + TOKEN.encode(), b"").replace(
        b"/x?q=" + TOKEN.encode(), b""
    )
    places = {
        "access log": line.proxy.log.getvalue(),
        "audit log": (tmp_path / "audit.log").read_text(encoding="utf-8"),
        "log": debug_log.getvalue(),
        "metrics": line.proxy.exposition,
        "clients": b"".join(got).decode("latin-1"),
    }
    requests = len(REQUESTS) * len(ANSWERS)
    assert len(places["audit log"].splitlines()) == len(places["access log"].splitlines()) >= requests
    assert '"secret":{"name":"basic","resource_version":' in places["audit log"]
    for place, text in places.items():
        found = [form for form in forms() if form in text]
        assert not found, f"{place}: {found}"


async def answer_next(line: Dialogue, answer: bytes) -> None:
    """If the request reaches the tool: answer, and close."""
    accepted = asyncio.ensure_future(line.upstream.accept(seconds=30))
    closed = asyncio.ensure_future(line.client.wait_closed())
    done, pending = await asyncio.wait({accepted, closed}, return_when=asyncio.FIRST_COMPLETED)
    if accepted in done:
        tool = accepted.result()
        with suppress(PeerTimeoutError):
            await tool.read_head()
        tool.send(answer)
        tool.close()
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)


async def test_t14_no_value_of_the_model_shows_it(talk: Talk) -> None:
    line = await talk()
    line.proxy.swap(*objects(line.upstream.address))
    snapshot = line.proxy.store.current
    values: list[object] = [snapshot, *snapshot.plans.values(), *snapshot.judgements.values()]
    for plan, judgement in zip(snapshot.plans.values(), snapshot.judgements.values(), strict=True):
        values += [judgement.connector, judgement.secret, plan.refusal, judgement.secret_problem]
        values += [plan.credential, plan.targets, *plan.targets.values()]
        values += [target.injected for target in plan.targets.values()]
        values += [header for _, header in plan.credential.headers]
    text = "".join(f"{value!r}{value!s}{value}" for value in values)
    assert len(text) > 1000
    assert not [form for form in forms() if form in text]
    for plan in snapshot.plans.values():
        lines = [target.injected for target in plan.targets.values()]
        for header in (*(value for _, value in plan.credential.headers), *lines):
            with pytest.raises(TypeError):
                pickle.dumps(header)


async def test_t14_no_traceback_shows_it() -> None:
    head = RequestHead(b"GET", b"/?" + TOKEN.encode(), ((b"Authorization", b"Bearer " + TOKEN.encode()),))
    (presented,) = presented_tokens(head, frozenset())
    assert presented.token == TOKEN.encode()
    assert TOKEN not in repr(presented)
    try:
        raise ValueError(head)
    except ValueError as error:
        text = "".join(traceback.TracebackException.from_exception(error, capture_locals=False).format()) + repr(head)
    assert not [form for form in forms() if form in text]
