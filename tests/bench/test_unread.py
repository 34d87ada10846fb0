from __future__ import annotations

import asyncio

from bench.unread import HOST, Client


async def test_everything_is_passed_on_and_an_end_is_too() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data.upper())
        writer.close()

    tool = await asyncio.start_server(echo, HOST, 0)
    port = tool.sockets[0].getsockname()[1]
    relay = await asyncio.get_running_loop().create_server(lambda: Client(port), HOST, 0)
    reader, writer = await asyncio.open_connection(HOST, relay.sockets[0].getsockname()[1])
    writer.write(b"before the dial, ")
    writer.write(b"and behind it")
    assert await reader.readexactly(30) == b"BEFORE THE DIAL, AND BEHIND IT"
    writer.write_eof()
    assert await reader.read() == b""
    writer.close()
    relay.close()
    tool.close()
    await tool.wait_closed()
