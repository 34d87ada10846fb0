"""TLS toward a tool, between two ends in memory: no socket, every byte is the test's to carry."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import ssl

import pytest
import trustme

from proxy.buffers import Lender, Reading, exchange_protocol
from proxy.secured_tool import MAX_AGE, SecuredTool, Sessions
from tests.peers.handshakes import client_context
from tests.proxy.test_secured import Client, Wire, arrives

VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])


class Tool:
    """A tool that many connections are made to, and the proxy's contexts and sessions toward it."""

    def __init__(self, authority: trustme.CA, certificate: trustme.LeafCert) -> None:
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(self.server)
        self.context = client_context(authority.cert_pem.bytes())
        self.now = 1000.0
        self.sessions: Sessions[str] = Sessions(lambda _: True, lambda: self.now)

    def line(self, name: str = "localhost") -> Line:
        return Line(self, name)

    async def opened(self) -> Line:
        """A connection behind its handshake, with what was said behind that."""
        line = self.line()
        await line.shake()
        return line


class Line:
    """One connection: the proxy's end, its wire, and the tool's end."""

    def __init__(self, tool: Tool, name: str = "localhost") -> None:
        self.client, self.wire = Client(), Wire()
        self.secured = SecuredTool(tool.context, name, self.client, tool.sessions, "pool")
        self.secured.connection_made(self.wire)
        self._to_tool, self._from_tool = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tool = tool.server.wrap_bio(self._to_tool, self._from_tool, server_side=True)
        self.opening = asyncio.ensure_future(self.secured.open())

    async def shake(self, size: int = 0) -> None:
        """Both ends, until the tool knows that it is over. What the tool says arrives in pieces of `size` bytes."""
        for _ in range(4):
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            self._to_tool.write(self.wire.taken())
            with contextlib.suppress(ssl.SSLError):  # this end's verdict, if it is one, is what counts
                self.tool.do_handshake()
            self.carry(size)
        await self.opening

    def carry(self, size: int = 0) -> None:
        """What the tool has said arrives."""
        said = self._from_tool.read()
        size = size or len(said) or 1
        for start in range(0, len(said), size):
            self.secured.data_received(said[start : start + size])

    def heard(self) -> bytes:
        """What the tool can read."""
        self._to_tool.write(self.wire.taken())
        heard = b""
        try:
            while data := self.tool.read():
                heard += data
        except ssl.SSLWantReadError:
            return heard
        return heard + b"$"

    def say(self, data: bytes) -> None:
        """The tool says this, and it arrives."""
        self.tool.write(data)
        self.carry()


@pytest.fixture
def tool(authority: trustme.CA, localhost_certificate: trustme.LeafCert) -> Tool:
    return Tool(authority, localhost_certificate)


async def test_nothing_is_said_before_it_is_asked_to(tool: Tool) -> None:
    """Whether the address is this proxy's own is looked at in between (threat 34)."""
    client, wire = Client(), Wire()
    secured = SecuredTool(tool.context, "localhost", client, tool.sessions, "pool")
    secured.connection_made(wire)
    secured.write(b"too early")
    assert (wire.sent, client.calls) == (b"", [])
    opening = asyncio.ensure_future(secured.open())
    await asyncio.sleep(0)
    assert wire.sent
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert wire.ended == "abort"


@VERSIONS
@pytest.mark.parametrize("size", [1, 0], ids=["bytes", "at once"])
async def test_both_ways_however_it_arrives(tool: Tool, version: ssl.TLSVersion, size: int) -> None:
    tool.server.maximum_version = version
    line = tool.line()
    await line.shake(size)
    assert line.client.calls == ["made"]
    line.secured.write(b"question")
    assert line.heard() == b"question"
    long = bytes(range(256)) * 300
    for start in range(0, len(long), 10_000):
        line.tool.write(long[start : start + 10_000])
    line.carry(size)
    assert line.client.got == long


async def test_the_last_word_of_the_handshake_goes_with_the_request(tool: Tool) -> None:
    line = tool.line()
    await asyncio.sleep(0)
    line._to_tool.write(line.wire.taken())
    with pytest.raises(ssl.SSLWantReadError):
        line.tool.do_handshake()
    line.carry()
    assert (line.client.calls, line.wire.sent) == (["made"], b"")
    line.secured.write(b"question")
    packets = line.wire.taken()
    line._to_tool.write(packets)
    line.tool.do_handshake()
    assert line.heard() == b"question"
    await line.opening


async def test_the_last_word_of_the_handshake_waits_for_nobody(tool: Tool) -> None:
    line = await tool.opened()
    assert line.tool.version() == "TLSv1.3", "its end of the handshake is over, too"


async def test_t22_the_tool_is_who_it_should_be_or_there_is_no_connection(tool: Tool) -> None:
    line = tool.line("elsewhere.example")
    with pytest.raises(ssl.SSLCertVerificationError, match=r"elsewhere\.example"):
        await line.shake()
    assert line.client.calls == []
    assert line.wire.ended == "close"
    line.secured.write(b"credential")
    line.secured.connection_lost(None)
    assert line.client.calls == []


@pytest.mark.parametrize("error", [None, ConnectionResetError(104, "reset")], ids=["FIN", "RST"])
async def test_a_tool_that_ends_it_within_the_handshake(tool: Tool, error: Exception | None) -> None:
    line = tool.line()
    await asyncio.sleep(0)
    line.secured.connection_lost(error)
    with pytest.raises(ConnectionResetError) as caught:
        await line.opening
    assert caught.value.errno == (104 if error else None)
    assert line.client.calls == []


async def test_what_is_no_tls(tool: Tool) -> None:
    line = tool.line()
    await asyncio.sleep(0)
    line.secured.data_received(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with pytest.raises(ssl.SSLError, match="WRONG_VERSION_NUMBER"):
        await line.opening


async def test_what_was_changed_on_its_way_ends_it_with_an_error(tool: Tool) -> None:
    line = await tool.opened()
    line.tool.write(b"harmless")
    said = bytearray(line._from_tool.read())
    said[-1] ^= 1
    line.secured.data_received(bytes(said))
    assert (line.client.got, line.wire.ended) == (b"", "abort")
    told: list[Exception | None] = []
    line.client.connection_lost = told.append  # type: ignore[method-assign, assignment]
    line.secured.connection_lost(None)
    assert isinstance(told[0], ssl.SSLError), "it must not look like a proper end"


async def test_what_was_changed_within_a_large_body_ends_it_with_an_error(tool: Tool) -> None:
    """Behind what came before, and with no view of a lent buffer kept in it."""
    line = await tool.opened()
    counts, told = list[int](), list[Exception | None]()

    def take(count: int) -> bool:
        counts.append(count)
        return True

    line.client.connection_lost = told.append  # type: ignore[method-assign, assignment]
    exchange_protocol(line.secured, Reading(Lender(), line.client, take))
    for _ in range(2):
        line.tool.write(bytes(16_000))
    said = bytearray(line._from_tool.read())
    said[-1] ^= 1
    assert line.wire.protocol is not None
    arrives(line.wire.protocol, bytes(said))
    line.secured.connection_lost(None)
    assert (sum(counts), line.wire.ended) == (16_000, "abort")
    assert isinstance(told[0], ssl.SSLError)
    assert told[0].__traceback__ is None


async def test_the_tools_goodbye_ends_it_behind_what_came_before(tool: Tool) -> None:
    line = await tool.opened()
    line.tool.write(b"last")
    with pytest.raises(ssl.SSLWantReadError):
        line.tool.unwrap()
    line.carry()
    line.secured.connection_lost(None)
    assert (line.client.got, line.client.calls) == (b"last", ["made", "eof", "lost"])


@VERSIONS
async def test_a_session_is_learnt_with_the_first_answer_and_resumed(tool: Tool, version: ssl.TLSVersion) -> None:
    tool.server.maximum_version = version
    first, early = await tool.opened(), await tool.opened()
    assert not early.tool.session_reused
    first.say(b"answer")
    early.say(b"answer")
    assert first.client.got == early.client.got == b"answer"
    assert tool.sessions.pools == 1
    for _ in range(3):
        line = await tool.opened()
        assert line.tool.session_reused
        line.secured.write(b"question")
        assert line.heard() == b"question"
        line.say(b"answer")
        assert line.client.got == b"answer"
    # Whatever has happened to the tool's keys meanwhile, the handshake is a full one, and so is its verification.
    fresh = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(fresh)
    tool.server = fresh
    with pytest.raises(ssl.SSLCertVerificationError):
        await tool.line().shake()
    assert tool.sessions.offered("pool", tool.context) is None


@VERSIONS
async def test_t22_a_resumed_handshake_begins_no_new_hour(tool: Tool, version: ssl.TLSVersion) -> None:
    """Not even one that was under way as the hour ended: nothing was verified in it."""
    tool.server.maximum_version = version
    (await tool.opened()).say(b"answer")
    tool.now += MAX_AGE - 1
    line = tool.line()
    tool.now += 1
    await line.shake()
    assert line.tool.session_reused
    line.say(b"answer")
    assert line.client.got == b"answer"
    assert tool.sessions.offered("pool", tool.context) is None
    assert not (await tool.opened()).tool.session_reused


@VERSIONS
async def test_a_tool_with_new_keys_gets_a_full_handshake(
    tool: Tool, version: ssl.TLSVersion, localhost_certificate: trustme.LeafCert
) -> None:
    tool.server.maximum_version = version
    (await tool.opened()).say(b"answer")
    tool.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tool.server.maximum_version = version
    localhost_certificate.configure_cert(tool.server)
    line = await tool.opened()
    assert not line.tool.session_reused
    line.say(b"answer")
    assert line.client.got == b"answer"
    assert (await tool.opened()).tool.session_reused, "of the new keys"


async def test_where_a_handshake_with_a_session_fails_the_next_one_is_a_full_one(tool: Tool) -> None:
    (await tool.opened()).say(b"answer")
    assert tool.sessions.offered("pool", tool.context) is not None
    line = tool.line()
    await asyncio.sleep(0)
    line.secured.connection_lost(None)
    with pytest.raises(ConnectionResetError):
        await line.opening
    assert tool.sessions.offered("pool", tool.context) is None


async def test_nobody_waits_any_more(tool: Tool) -> None:
    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    line = tool.line()
    line.opening.cancel()
    await asyncio.sleep(0)
    line.secured.connection_lost(OSError("gone"))
    # Cancelled while TCP connected: nobody has begun to wait for the handshake.
    secured = SecuredTool(tool.context, "localhost", Client(), tool.sessions, "pool")
    secured.connection_made(Wire())
    secured.connection_lost(OSError("gone"))
    del secured, line
    gc.collect()
    assert reported == []
