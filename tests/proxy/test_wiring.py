from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import trustme
from prometheus_client import CollectorRegistry

from connectors.sources.store import SnapshotStore
from connectors.tls.certificates import read_pem
from connectors.tls.loading import KeyPairError
from proxy.audit.audit_log import AuditLogError
from proxy.settings import ListenerTls, ProxySettings, Timeouts
from proxy.wiring import build_proxy
from tests.peers.handshakes import client_context
from tests.peers.inner_proxy import start_inner_proxy
from tests.peers.raw_client import connected
from tests.peers.raw_upstream import RawUpstream
from tests.peers.trust import key_pair
from tests.peers.volume import Volume
from tests.proxy.decisions import tool

REQUEST = b"GET /x HTTP/1.1\r\nHost: c-tool.team.localhost\r\n\r\n"
REFUSED = b"HEAD /none HTTP/1.1\r\nHost: c-none.team.localhost\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


async def test_one_request_through_everything(raw_upstream: RawUpstream) -> None:
    proxy = await start_inner_proxy(tool(raw_upstream.address))
    async with connected(proxy.port) as client:
        client.send(REQUEST)
        peer = await raw_upstream.accept()
        assert await peer.read_head() == b"GET /x HTTP/1.1\r\nHost: " + peer_authority(raw_upstream) + b"\r\n\r\n"
        peer.send(OK)
        assert await client.read_head() == OK
        assert proxy.metric("connectors_proxy_upstream_connections", state="idle") == 1
        assert proxy.metric("connectors_proxy_snapshot_generation") == 1
        # Without its Connector nothing can use the kept connection any more.
        proxy.swap()
        await peer.wait_closed()
        assert proxy.metric("connectors_proxy_snapshot_generation") == 2
    await proxy.proxy.drain()


def peer_authority(upstream: RawUpstream) -> bytes:
    return upstream.address.removeprefix("http://").encode()


async def test_a_proxy_is_not_its_own_tool(raw_upstream: RawUpstream) -> None:
    proxy = await start_inner_proxy()
    for host in ("127.0.0.1", "localhost"):
        proxy.swap(tool(f"http://{host}:{proxy.port}"))
        async with connected(proxy.port) as client:
            client.send(REQUEST)
            assert b"X-Connectors-Reason: LoopDetected\r\n" in await client.read_head()
    await proxy.proxy.drain()


async def test_draining_before_anything_has_happened() -> None:
    await build_proxy(ProxySettings(port=0), SnapshotStore(), CollectorRegistry()).drain()


async def test_draining_leaves_no_audit_log_open(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    proxy = await start_inner_proxy(settings=ProxySettings(audit_log=str(path)))

    def is_open() -> bool:
        return any(entry.is_symlink() and entry.readlink() == path for entry in Path("/proc/self/fd").iterdir())

    assert is_open()
    async with connected(proxy.port) as client:
        client.send(REQUEST)
        await client.read_head()
    proxy.proxy.reopen_audit_log()
    await proxy.proxy.drain()
    assert not is_open()
    assert path.read_bytes().count(b"\n") == 1


@pytest.mark.parametrize("hurried", [False, True], ids=["drain timeout", "second signal"])
async def test_no_line_of_the_access_log_is_lost_at_the_end(raw_upstream: RawUpstream, hurried: bool) -> None:
    settings = ProxySettings(timeouts=Timeouts(drain=30.0 if hurried else 0.01))
    proxy = await start_inner_proxy(tool(raw_upstream.address), settings=settings)
    async with connected(proxy.port) as client, connected(proxy.port) as running:
        running.send(REQUEST)
        await (await raw_upstream.accept()).read_head()
        for _ in range(2):  # the second one's line waits for more of them
            client.send(REFUSED)
            await client.read_head()
        draining = asyncio.create_task(proxy.proxy.drain())
        if hurried:
            await asyncio.sleep(0)
            draining.cancel()
        await asyncio.wait({draining})
        for _ in range(3):  # so many turns at least go by before the process has ended
            await asyncio.sleep(0)
        lines = proxy.stream.getvalue()
        await running.wait_lost()
    assert running.was_reset
    assert lines.count("path=/none ") == 2
    assert lines.count("path=/x ") == lines.count('reason="shut down"') == 1, "the request that was cut off"


def test_an_audit_log_that_cannot_be_opened() -> None:
    settings = ProxySettings(audit_log="/nosuch/audit.log")
    with pytest.raises(AuditLogError, match=r"/nosuch/audit\.log: No such file or directory"):
        build_proxy(settings, SnapshotStore(), CollectorRegistry())


async def test_nothing_to_open_again_without_an_audit_log() -> None:
    build_proxy(ProxySettings(port=0), SnapshotStore(), CollectorRegistry()).reopen_audit_log()


async def test_one_request_over_tls(tmp_path: Path, raw_upstream: RawUpstream, authority: trustme.CA) -> None:
    pair = key_pair(authority.issue_cert("127.0.0.1"))
    volume = Volume(tmp_path / "tls")
    volume.put(pair)
    settings = ProxySettings(tls=ListenerTls(str(volume.certificate), str(volume.key)))
    proxy = await start_inner_proxy(tool(raw_upstream.address), settings=settings)
    ends = read_pem(pair.chain).certificates[0].ends
    assert proxy.metric("connectors_proxy_tls_certificate_expiry_seconds") == ends
    async with connected(proxy.port, tls=client_context(authority.cert_pem.bytes())) as client:
        client.send(REQUEST)
        peer = await raw_upstream.accept()
        await peer.read_head()
        peer.send(OK)
        assert await client.read_head() == OK
    await proxy.proxy.drain()


def test_a_certificate_that_cannot_be_served(tmp_path: Path) -> None:
    settings = ProxySettings(tls=ListenerTls(str(tmp_path / "tls.crt"), str(tmp_path / "tls.key")))
    with pytest.raises(KeyPairError, match=r"^--tls-cert, --tls-key: /.*/tls\.crt: No such file or directory; give"):
        build_proxy(settings, SnapshotStore(), CollectorRegistry())
