"""Bodies that the kernel moves, beside those that it cannot: the same bytes, counts and ends, and nothing left open."""

from __future__ import annotations

import os
import socket
from typing import NamedTuple

import pytest

from proxy.settings import ProxySettings, Timeouts
from tests.peers.descriptors import descriptors
from tests.peers.dialogue import OK, Dialogue, get, message, seen
from tests.peers.raw_stream import RawStream
from tests.proxy.transcripts.conftest import Talk
from tests.proxy.transcripts.remembering.bodies import LARGE, MIB, MIDDLE, SECONDS, Paths, asked, content, head, same
from tests.proxy.transcripts.remembering.dialogues import known
from tests.proxy.transcripts.remembering.scene import until

SIZE = LARGE + 7
CHUNKED = b"Transfer-Encoding: chunked"
PUT = b"PUT /a HTTP/1.1"


class Open(NamedTuple):
    """What a body that is moved takes: two ends of a pipe, and two descriptors of sockets that have others already."""

    pipe_ends: int
    duplicates: int


NOTHING, ONE_BODY = Open(0, 0), Open(2, 2)


class Descriptors:
    """Those of this process that came since the test began."""

    def __init__(self) -> None:
        self._before = descriptors()

    @property
    def now(self) -> Open:
        fresh = [target for _, target in descriptors() - self._before]
        sockets = [target for target in fresh if target.startswith("socket:")]
        known = {target for _, target in self._before}
        duplicates = len(sockets) - len(set(sockets)) + len(set(sockets) & known)
        return Open(sum(target.startswith("pipe:") for target in fresh), duplicates)

    async def are(self, wanted: Open) -> None:
        await until(lambda: self.now == wanted)


@pytest.fixture(name="descriptors")
def descriptors_since() -> Descriptors:
    return Descriptors()


def coded(framing: str, body: bytes) -> tuple[bytes, bytes]:
    """The framing's field, and the body in it."""
    if framing == "length":
        return b"Content-Length: %d" % len(body), body
    pieces = [body[start : start + 100_000] for start in range(0, len(body), 100_000)]
    return CHUNKED, b"".join(b"%X\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


async def arrives(end: RawStream, body: bytes) -> None:
    same(await end.read_exactly(len(body), SECONDS), body)
    end.forget()


@Paths
@pytest.mark.parametrize("framing", ["length", "chunks"])
async def test_r23_both_bodies_arrive_whole_and_are_counted(
    speak: Talk, path: str, framing: str, descriptors: Descriptors
) -> None:
    line = await speak(path)
    await known(line, get(), seen())
    up, down = os.urandom(SIZE), os.urandom(SIZE)
    (field, sent), (_, answered) = coded(framing, up), coded(framing, down)
    for _ in range(2):
        line.client_sends(message(PUT, b"Host: <proxy>", field) + sent)
        await line.tool_sees(message(PUT, b"Host: <tool>", field))
        await arrives(line.tool, sent)
        answer = message(b"HTTP/1.1 200 OK", field)
        line.tool_sends(answer + answered)
        await line.client_gets(answer)
        await arrives(line.client, answered)
        await known(line, get(), seen())
    assert len(line.upstream.connections) == 1
    place = {"namespace": "default", "connector": "tool"}
    assert line.proxy.metric("connectors_proxy_bytes_total", direction="in", **place) == 2 * len(sent)
    assert line.proxy.metric("connectors_proxy_bytes_total", direction="out", **place) == 2 * len(answered) + 3 * 8
    expected = f" in={len(sent)} out={len(answered)} "
    await until(lambda: line.proxy.log.getvalue().count(expected) == 2)
    assert descriptors.now == NOTHING


@Paths
@pytest.mark.parametrize("framing", ["length", "chunks"])
async def test_r23_only_plain_bodies_of_known_length_are_moved(
    speak: Talk, path: str, framing: str, descriptors: Descriptors
) -> None:
    line = await speak(path)
    moved = ONE_BODY if (path, framing) == ("plain", "length") else NOTHING
    field, sent = coded(framing, content(b"a", LARGE))
    line.client_sends(message(PUT, b"Host: <proxy>", field) + sent[:MIDDLE])
    await line.tool_sees(message(PUT, b"Host: <tool>", field))
    await line.tool.read_exactly(MIDDLE, SECONDS)
    assert descriptors.now == moved
    line.client.send(sent[MIDDLE:])
    await line.tool.read_exactly(len(sent) - MIDDLE, SECONDS)
    await descriptors.are(NOTHING)
    line.tool_sends(message(b"HTTP/1.1 200 OK", field) + sent[:MIDDLE])
    await line.client.read_head()
    await line.client.read_exactly(MIDDLE, SECONDS)
    assert descriptors.now == moved
    line.tool.send(sent[MIDDLE:])
    await line.client.read_exactly(len(sent) - MIDDLE, SECONDS)
    await descriptors.are(NOTHING)


async def begin_download(line: Dialogue, descriptors: Descriptors) -> RawStream:
    tool = await asked(line)
    tool.send(head(LARGE) + content(b"a", MIDDLE))
    await line.client.read_exactly(len(head(LARGE)) + MIDDLE, SECONDS)
    assert descriptors.now == ONE_BODY
    return tool


async def begin_upload(line: Dialogue, descriptors: Descriptors) -> None:
    length = b"Content-Length: %d" % LARGE
    line.client_sends(message(PUT, b"Host: <proxy>", length) + content(b"a", MIDDLE))
    await line.tool_sees(message(PUT, b"Host: <tool>", length))
    await line.tool.read_exactly(MIDDLE, SECONDS)
    assert descriptors.now == ONE_BODY


ENDS = pytest.mark.parametrize("who", ["client resets", "client closes", "tool resets", "tool closes", "proxy ends"])


async def end(line: Dialogue, tool: RawStream, who: str) -> None:
    """End a body in this way."""
    match who:
        case "client resets":
            line.client.reset()
        case "client closes":
            line.client.close()
        case "tool resets":
            tool.reset()
        case "tool closes":
            tool.close()
        case _:
            await line.proxy.proxy.drain()


@ENDS
async def test_r24_however_a_body_down_ends_nothing_stays_open(speak: Talk, who: str, descriptors: Descriptors) -> None:
    line = await speak(settings=ProxySettings(timeouts=Timeouts(drain=0.1)))
    tool = await begin_download(line, descriptors)
    await end(line, tool, who)
    await line.client.wait_lost()
    await tool.wait_closed()
    await descriptors.are(NOTHING)
    if not who.startswith("client"):
        assert line.client.was_reset
    assert line.proxy.metric("connectors_proxy_upstream_connections", state="active") == 0


@ENDS
async def test_r24_however_a_body_up_ends_nothing_stays_open(speak: Talk, who: str, descriptors: Descriptors) -> None:
    line = await speak(settings=ProxySettings(timeouts=Timeouts(drain=0.1)))
    await begin_upload(line, descriptors)
    tool = line.tool
    await end(line, tool, who)
    await tool.wait_closed()
    if who.startswith("tool"):
        await line.client_is_refused(b"502", b"UpstreamUnreachable")
    await descriptors.are(NOTHING)
    assert line.proxy.metric("connectors_proxy_upstream_connections", state="active") == 0


async def test_r24_a_tool_that_takes_nothing_is_what_an_upload_waits_for(speak: Talk, descriptors: Descriptors) -> None:
    """And not its client, which would be cut off for that."""
    line = await speak(settings=ProxySettings(timeouts=Timeouts(first_byte=0.3)))
    length = b"Content-Length: %d" % (4 * LARGE)
    line.client_sends(message(PUT, b"Host: <proxy>", length) + content(b"a", MIDDLE))
    await line.tool_sees(message(PUT, b"Host: <tool>", length))
    line.tool.pause_reading()
    for _ in range(3):
        line.client.send(content(b"a", LARGE))
    await line.client_is_refused(b"504", b"UpstreamTimeout")
    assert descriptors.now == NOTHING
    line.client.reset()
    line.tool.resume_reading()
    await line.tool.read_to_eof()


async def test_r24_a_client_that_sends_nothing_more_is_what_an_upload_waits_for(
    speak: Talk, descriptors: Descriptors
) -> None:
    line = await speak(settings=ProxySettings(timeouts=Timeouts(first_byte=0.3)))
    await begin_upload(line, descriptors)
    await line.client_is_reset()
    assert 'reason="client timeout"' in line.proxy.log.getvalue()
    await descriptors.are(NOTHING)


async def test_r24_t10_an_answer_that_a_reset_ends_within_an_upload_does_not_look_complete(
    speak: Talk, descriptors: Descriptors
) -> None:
    """Whoever of the two asks the kernel first gets the reset, and the other one an end in order."""
    line = await speak()
    await begin_upload(line, descriptors)
    line.tool.pause_reading()
    for _ in range(3):
        line.client.send(content(b"a", LARGE))
    line.tool_sends(message(b"HTTP/1.1 200 OK", b"X-A: b", body=b"part"))
    await line.client_gets(message(b"HTTP/1.1 200 OK", b"X-A: b", b"Connection: close", body=b"part"))
    line.tool.reset()
    await line.client_is_reset()
    await descriptors.are(NOTHING)


async def test_an_urgent_byte_within_a_body_is_no_part_of_it(speak: Talk, descriptors: Descriptors) -> None:
    line = await speak()
    tool = await begin_download(line, descriptors)
    connection: socket.socket = tool.transport.get_extra_info("socket")
    with socket.socket(fileno=os.dup(connection.fileno())) as other:
        other.send(b"!", socket.MSG_OOB)
    tool.send(content(b"a", LARGE)[MIDDLE:])
    same(await line.client.read_exactly(LARGE - MIDDLE, SECONDS), content(b"a", LARGE)[MIDDLE:])
    await known(line, get(), seen())
    assert descriptors.now == NOTHING


async def test_r15_what_a_client_sends_ahead_of_a_body_down_waits_for_its_end(
    speak: Talk, descriptors: Descriptors
) -> None:
    line = await speak()
    tool = await begin_download(line, descriptors)
    line.client_sends(get(b"/next"))
    tool.send(content(b"a", LARGE)[MIDDLE:])
    same(await line.client.read_exactly(LARGE - MIDDLE, SECONDS), content(b"a", LARGE)[MIDDLE:])
    await line.tool_sees(seen(b"/next"))
    line.tool_sends(OK)
    await line.client_gets(OK)


def test_the_sizes_are_apart() -> None:
    """What is moved here is more than what is worth it, with what was read before."""
    assert MIDDLE + MIB < LARGE
