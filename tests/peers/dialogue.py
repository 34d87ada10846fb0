"""A transcript as code: what the client sent, what the tool saw, what the client got."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field

from tests.peers.inner_proxy import InnerProxy
from tests.peers.raw_client import connect
from tests.peers.raw_stream import PeerTimeoutError, RawStream
from tests.peers.raw_upstream import RawUpstream

HOST = b"c-tool.default.localhost"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def message(*lines: bytes, body: bytes = b"") -> bytes:
    """A head of these lines, and a body."""
    return b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


def get(target: bytes = b"/", *lines: bytes) -> bytes:
    """A client's GET with more lines behind Host."""
    return message(b"GET " + target + b" HTTP/1.1", b"Host: <proxy>", *lines)


def seen(target: bytes = b"/", *lines: bytes) -> bytes:
    """The same GET as the tool sees it."""
    return message(b"GET " + target + b" HTTP/1.1", b"Host: <tool>", *lines)


@dataclass
class Dialogue:
    """One client, one proxy, one tool. `<proxy>` and `<tool>` in bytes stand for the authorities of both."""

    proxy: InnerProxy
    upstream: RawUpstream
    client: RawStream
    others: list[RawStream] = field(default_factory=list)
    client_tls: ssl.SSLContext | None = None
    _tool: RawStream | None = None

    @property
    def tool(self) -> RawStream:
        """The tool's side of the connection that was last accepted."""
        assert self._tool is not None, "the tool has accepted no connection yet"
        return self._tool

    def filled(self, data: bytes) -> bytes:
        """With the authorities in their places."""
        authority = self.upstream.address.partition("://")[2].encode()
        return data.replace(b"<proxy>", HOST).replace(b"<tool>", authority)

    def client_sends(self, data: bytes) -> None:
        """These bytes leave the client."""
        self.client.send(self.filled(data))

    async def tool_accepts(self) -> RawStream:
        """A new connection reaches the tool."""
        self._tool = await self.upstream.accept()
        return self._tool

    async def tool_sees(self, expected: bytes) -> None:
        """These bytes are the next that the tool gets, on its newest connection or the first one."""
        if self._tool is None:
            await self.tool_accepts()
        await _compare(self.tool, self.filled(expected))

    def tool_sends(self, data: bytes) -> None:
        """These bytes leave the tool."""
        self.tool.send(self.filled(data))

    async def client_gets(self, expected: bytes) -> None:
        """These bytes are the next that the client gets."""
        await _compare(self.client, self.filled(expected))

    async def client_is_refused(self, status: bytes, reason: bytes) -> bytes:
        """The client gets a refusal; its head."""
        head = await self.client.read_head()
        assert head.startswith(b"HTTP/1.1 " + status + b" "), head
        assert b"\r\nX-Connectors-Reason: " + reason + b"\r\n" in head, head
        length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
        await self.client.read_exactly(length)
        return head

    async def client_is_closed(self) -> None:
        """The proxy ends the client's connection in order, and nothing more comes before."""
        assert await self.client.read_to_eof() == b""
        assert not self.client.was_reset

    async def client_is_reset(self) -> bytes:
        """The proxy resets the client's connection; what came before it and was not read yet."""
        await self.client.wait_lost()
        assert self.client.was_reset, f"ended without a reset; unread {self.client.unread!r}"
        return self.client.unread

    async def new_client(self) -> None:
        """Go on with another client connection."""
        self.others.append(self.client)
        self.client = await connect(self.proxy.port, tls=self.client_tls)

    async def works(self) -> None:
        """Proof that the client's connection still serves."""
        self.client_sends(get(b"/still"))
        if self._tool is None or self.tool.is_closed:
            await self.tool_accepts()
        await self.tool_sees(seen(b"/still"))
        self.tool_sends(OK)
        await self.client_gets(OK)

    async def end(self) -> None:
        """Close the clients; what nobody has looked at is a fault."""
        for client in (*self.others, self.client):
            client.transport.abort()
            await client.wait_lost()
        left = [stream.unread for stream in (self.client, *self.upstream.connections) if stream.unread]
        assert not left, f"bytes that the test did not expect: {left!r}"


async def _compare(stream: RawStream, expected: bytes) -> None:
    try:
        got = await stream.read_exactly(len(expected))
    except PeerTimeoutError:
        # What did come says more than that too little came.
        got = stream.unread
    assert got == expected
