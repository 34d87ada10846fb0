"""The peers themselves: a peer that is wrong would let other tests pass or fail for nothing."""

from __future__ import annotations

import ssl
from pathlib import Path

import aiohttp
import pytest

from standalone.child import Child
from tests.peers.fixtures import StartNginx
from tests.peers.raw_client import connected
from tests.peers.raw_stream import PeerTimeoutError, RawStream
from tests.peers.raw_upstream import RawUpstream, answering
from tests.peers.recorder import HTML, Recorder
from tests.peers.shell import Shell, ShellError
from tests.peers.tools import program

MIB = 1024 * 1024


async def test_both_sides_see_every_byte(raw_upstream: RawUpstream) -> None:
    async with connected(raw_upstream.port) as client:
        tool = await raw_upstream.accept()
        client.send(b"GET / HTTP/1.1\r\n\r\nbody")
        assert await tool.read_head() == b"GET / HTTP/1.1\r\n\r\n"
        assert await tool.read_exactly(4) == b"body"
        client.half_close()
        assert await tool.read_to_eof() == b""
        tool.send(b"late answer")
        tool.close()
        assert await client.read_to_eof() == b"late answer"
        assert tool.received == b"GET / HTTP/1.1\r\n\r\nbody"


async def test_reset_is_told_from_a_close(raw_upstream: RawUpstream) -> None:
    async with connected(raw_upstream.port) as client:
        (await raw_upstream.accept()).reset()
        await client.wait_closed()
        assert client.was_reset
    async with connected(raw_upstream.port) as client:
        (await raw_upstream.accept()).close()
        await client.wait_closed()
        assert not client.was_reset


async def test_wait_that_fails_shows_what_came(raw_upstream: RawUpstream) -> None:
    async with connected(raw_upstream.port) as client:
        tool = await raw_upstream.accept()
        client.send(b"half")
        await tool.read_until(b"ha")
        with pytest.raises(PeerTimeoutError, match=r"no b'x' within 0.05 s; unread: b'lf'"):
            await tool.read_until(b"x", seconds=0.05)
        client.half_close()
        with pytest.raises(PeerTimeoutError, match=r"the connection ended \(None\) before 9 bytes; unread: b'lf'"):
            await tool.read_exactly(9)


async def test_paused_side_makes_the_other_wait() -> None:
    async with RawUpstream(paused=True) as upstream, connected(upstream.port) as client:
        tool = await upstream.accept()
        with pytest.raises(PeerTimeoutError, match="no room to send"):
            await client.send_all(bytes(64 * MIB), seconds=0.1)
        tool.resume_reading()
        assert len(await tool.read_exactly(64 * MIB)) == 64 * MIB


async def test_script_answers_and_its_failure_fails_the_test() -> None:
    script = answering(b"HTTP/1.1 204 No Content\r\n\r\n")
    async with RawUpstream(script) as upstream, connected(upstream.port) as client:
        client.send(b"GET / HTTP/1.1\r\n\r\n")
        assert (await client.read_head()).startswith(b"HTTP/1.1 204 ")

    async def wrong(connection: RawStream) -> None:
        assert await connection.read_head() == b"another"

    with pytest.raises(AssertionError, match="another"):
        async with RawUpstream(wrong) as upstream, connected(upstream.port) as client:
            client.send(b"GET / HTTP/1.1\r\n\r\n")
            await client.wait_closed()


@pytest.mark.nginx
@pytest.mark.curl
async def test_nginx_speaks_tls_with_the_authority(
    start_nginx: StartNginx, authority_file: Path, localhost_certificate: object
) -> None:
    nginx = await start_nginx("location / { return 200 hello; }", tls=localhost_certificate)
    child = await Child.start("curl", [program("curl"), "-sS", "--cacert", str(authority_file), nginx.address + "/a?b"])
    assert await child.wait() == 0
    assert child.log == "hello"
    assert '"GET /a?b HTTP/1.1" 200' in nginx.access_log


@pytest.mark.nginx
async def test_nginx_speaks_plain_text(start_nginx: StartNginx) -> None:
    nginx = await start_nginx("location / { return 200 hello; }")
    async with connected(nginx.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await client.read_to_eof()).endswith(b"\r\n\r\nhello")


async def test_raw_upstream_speaks_tls(server_tls: ssl.SSLContext, authority_file: Path) -> None:
    script = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    async with RawUpstream(script, tls=server_tls) as upstream:
        command = [program("curl"), "-sS", "--cacert", str(authority_file), upstream.address]
        child = await Child.start("curl", command)
        assert await child.wait() == 0
    assert child.log == "ok"


async def test_the_recorder_keeps_what_it_was_sent() -> None:
    async with Recorder({"/x": (HTML, b"page")}, demands="Basic right") as tool, aiohttp.ClientSession() as session:
        for value, status in (("", 401), ("Basic wrong", 401), ("Basic right", 200)):
            sent = {"Authorization": value} if value else {}
            async with session.get(f"{tool.address}/x?y", headers=sent) as answer:
                assert answer.status == status
                assert ("WWW-Authenticate" in answer.headers) is (status == 401)
        async with session.get(f"{tool.address}/absent", headers={"Authorization": "Basic right"}) as answer:
            assert answer.status == 404
    assert tool.authorizations == {"", "Basic wrong", "Basic right"}
    assert [asked.path for asked in tool.asked] == ["/x?y"] * 3 + ["/absent"]


@pytest.mark.curl
@pytest.mark.git
async def test_the_shell_sees_every_argument(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "home", ["curl", "git"])
    with pytest.raises(ShellError, match="exit code"):
        await shell("curl --silent -H 'X: canary-in-curl' http://127.0.0.1:1/")
    await shell("git -c alias.x='!echo canary-in-a-child' x")
    assert "canary-in-curl" in shell.arguments
    assert "canary-in-a-child" in shell.arguments


async def test_the_shell_has_hosts_of_its_own(tmp_path: Path) -> None:
    before = Path("/etc/hosts").read_bytes()
    shell = Shell(tmp_path / "home", [], hosts=["c-x.y.example"])
    assert "c-x.y.example" in await shell("cat /etc/hosts")
    assert Path("/etc/hosts").read_bytes() == before
