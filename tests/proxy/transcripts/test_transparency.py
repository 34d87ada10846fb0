"""Transparency: through the proxy both sides get what they would get directly, but for the declared changes.

The judge is h11 for bodies and plain byte comparison for heads; the changes are written down here once more, from the
contract and not from the code.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import h11
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.peers.dialogue import HOST, get, message, seen
from tests.peers.inner_proxy import start_inner_proxy
from tests.peers.manifests import auth, bearer_token, connector
from tests.peers.raw_client import connected
from tests.peers.raw_stream import RawStream
from tests.peers.raw_upstream import RawUpstream
from tests.proxy.transcripts.conftest import Talk

Fields = tuple[tuple[bytes, bytes], ...]
CREDENTIAL = (b"Authorization", b"Bearer tok")
DROPPED = {
    b"connection",
    b"http2-settings",
    b"keep-alive",
    b"proxy-authenticate",
    b"proxy-authentication-info",
    b"proxy-authorization",
    b"proxy-connection",
    b"te",
    b"upgrade",
}
CALLERS = {b"authorization", b"x-openapi-address"}
TOOLS = {b"x-connectors-reason"}


@dataclass(frozen=True)
class Message:
    """First line without its end, fields, body as chunks (None: no body; one chunk with `chunked` False: a length)."""

    line: bytes
    fields: Fields
    chunks: tuple[bytes, ...] | None
    chunked: bool

    @property
    def framing(self) -> Fields:
        if self.chunks is None:
            return ()
        if self.chunked:
            return ((b"Transfer-Encoding", b"chunked"),)
        return ((b"content-length", b"%d" % len(self.body)),)

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks or ())

    @property
    def wire_body(self) -> bytes:
        if not self.chunked or self.chunks is None:
            return self.body
        return b"".join(b"%X\r\n%b\r\n" % (len(chunk), chunk) for chunk in self.chunks) + b"0\r\n\r\n"


def declared(fields: Fields, theirs: set[bytes]) -> Fields:
    """What of a head travels on: no hop-by-hop field, none that Connection nominates, none of the proxy's own."""
    nominated = {
        token.strip().lower() for name, value in fields if name.lower() == b"connection" for token in value.split(b",")
    } - {b"content-length", b"transfer-encoding", b"host"}
    kept = []
    for name, value in fields:
        folded = name.lower().replace(b"_", b"-")
        if folded not in DROPPED | theirs and name.lower() not in nominated:
            kept.append((name, value.strip(b" \t")))
    return tuple(kept)


def head_bytes(line: bytes, fields: Fields) -> bytes:
    return b"".join([line + b"\r\n", *(name + b": " + value + b"\r\n" for name, value in fields), b"\r\n"])


# -- what is generated

TOKEN = b"!#$%&'*+-.^_`|~0123456789abcXYZ"
RESERVED = DROPPED | CALLERS | TOOLS | {
    b"host", b"content-length", b"transfer-encoding", b"location", b"content-location", b"link", b"set-cookie",
    b"www-authenticate", b"expect",
}  # fmt: skip
VALUE_BYTES = bytes([*range(0x20, 0x7F), 0x09, *range(0x80, 0x100)])
names = st.one_of(
    st.lists(st.sampled_from(list(TOKEN)), min_size=1, max_size=12).map(bytes),
    st.sampled_from([b"Accept", b"accept", b"ACCEPT", b"X-A", b"x-a", b"Cookie", b"Via", b"X-Forwarded-For", b"Range"]),
).filter(lambda name: name.lower().replace(b"_", b"-") not in RESERVED)
values = st.lists(st.sampled_from(list(VALUE_BYTES)), max_size=20).map(bytes)
special = st.sampled_from(
    [
        (b"Connection", b"x-a, keep-alive"),
        (b"connection", b"X-A"),
        (b"Keep-Alive", b"timeout=99"),
        (b"Proxy-Connection", b"keep-alive"),
        (b"TE", b"deflate"),
        (b"Upgrade", b"h2c"),
    ]
)
request_special = st.one_of(
    special, st.sampled_from([(b"AUTHORIZATION", b"Basic eDp5"), (b"Proxy_Authorization", b"x")])
)
response_special = st.one_of(special, st.just((b"x-connectors-reason", b"Forbidden")))
bodies = st.lists(st.binary(min_size=1, max_size=300), max_size=5).map(tuple)
targets = st.lists(
    st.sampled_from([b"/", b"a", b"%2F", b"%2f", b"//", b";", b"+", b"?", b"&x=1", b"%zz", b".", b"~", b"=", b"%E4"]),
    max_size=8,
).map(lambda parts: b"/" + b"".join(parts)).filter(lambda target: b".." not in target)  # fmt: skip


@st.composite
def requests(draw: st.DrawFn) -> Message:
    fields = draw(st.lists(st.one_of(st.tuples(names, values), request_special), max_size=8))
    chunks = draw(st.one_of(st.none(), bodies))
    method = draw(st.sampled_from([b"GET", b"POST", b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"PROPFIND", b"HEAD"]))
    line = method + b" " + draw(targets) + b" HTTP/1.1"
    return Message(line, tuple(fields), chunks, draw(st.booleans()))


@st.composite
def responses(draw: st.DrawFn) -> Message:
    fields = draw(st.lists(st.one_of(st.tuples(names, values), response_special), max_size=8))
    status = draw(
        st.sampled_from([b"200 OK", b"201 ", b"401 No", b"404 Not Found", b"500 caf\xe9", b"599 X", b"302 Found"])
    )
    return Message(b"HTTP/1.1 " + status, tuple(fields), draw(bodies), draw(st.booleans()))


async def send_in_pieces(stream: RawStream, data: bytes, cuts: list[int]) -> None:
    """TCP promises nothing about boundaries: cut anywhere."""
    start = 0
    for end in [*sorted(cut % (len(data) + 1) for cut in cuts), len(data)]:
        stream.send(data[start:end])
        await asyncio.sleep(0)
        start = end


async def read_body(stream: RawStream, message: Message) -> bytes:
    """The body as h11 reads it, behind a head that says the same framing."""
    judge = h11.Connection(h11.SERVER)
    framing = [(name.decode(), value.decode()) for name, value in message.framing]
    judge.receive_data(
        head_bytes(b"POST / HTTP/1.1", (*((n.encode(), v.encode()) for n, v in framing), (b"Host", b"x")))
    )
    assert isinstance(judge.next_event(), h11.Request)
    read = b""
    while True:
        event = judge.next_event()
        if event is h11.NEED_DATA:
            judge.receive_data(await stream.read_exactly(1))
        elif isinstance(event, h11.Data):
            read += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            return read


async def exchange(request: Message, response: Message, cuts: list[int]) -> None:
    async with RawUpstream() as upstream:
        tool = connector("tool", upstream.address, auth=auth("bearerAuth", "s"))
        proxy = await start_inner_proxy(tool, bearer_token("s", "tok"))
        try:
            async with connected(proxy.port) as client:
                await one(client, upstream, request, response, cuts)
        finally:
            await proxy.proxy.drain()


async def one(client: RawStream, upstream: RawUpstream, request: Message, response: Message, cuts: list[int]) -> None:
    authority = upstream.address.partition("://")[2].encode()
    fields = ((b"Host", HOST), *request.fields, *request.framing)
    await send_in_pieces(client, head_bytes(request.line, fields) + request.wire_body, cuts)

    tool = await upstream.accept()
    expected = declared(((b"Host", authority), *request.fields, *request.framing), CALLERS)
    assert await tool.read_head() == head_bytes(request.line, (*expected, CREDENTIAL))
    if request.chunks is not None:
        assert await read_body(tool, request) == request.body

    silent = request.line.startswith(b"HEAD ")
    answer = head_bytes(response.line, (*response.fields, *response.framing))
    await send_in_pieces(tool, answer if silent else answer + response.wire_body, cuts)
    expected = declared((*response.fields, *response.framing), TOOLS)
    assert await client.read_head() == head_bytes(response.line, expected)
    if not silent:
        assert await read_body(client, response) == response.body
    assert client.unread == b""
    assert tool.unread == b""
    assert not client.is_closed


@pytest.mark.asyncio(loop_factories=["uvloop"])
# Not shrunk: an exchange that hangs takes seconds each time.
@settings(
    max_examples=250,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(request=requests(), response=responses(), cuts=st.lists(st.integers(0, 5000), max_size=6))
async def test_the_proxy_is_transparent(request: Message, response: Message, cuts: list[int]) -> None:
    await exchange(request, response, cuts)


@pytest.mark.parametrize("field", [(), (b"X-Request-Id: theirs",)], ids=["none is added", "theirs passes"])
async def test_request_ids_are_the_proxys_own_matter(talk: Talk, field: tuple[bytes, ...]) -> None:
    line = await talk()
    line.client_sends(get(b"/", *field))
    await line.tool_sees(seen(b"/", *field))
    answer = message(b"HTTP/1.1 200 OK", *field, b"Content-Length: 0")
    line.tool_sends(answer)
    await line.client_gets(answer)
