"""`python -m proxy` as a process, against an API server that answers as told."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
import trustme

from proxy.command import main
from standalone.child import Child
from standalone.demo import CHECKOUT
from tests.peers.cluster_processes import LOCAL_TOOLS, ClusterProcess, start_cluster_proxy
from tests.peers.fake_api_server import FakeApiServer
from tests.peers.handshakes import client_context
from tests.peers.manifests import connector, connector_class
from tests.peers.raw_upstream import RawUpstream
from tests.peers.trust import key_pair
from tests.peers.volume import Volume
from tests.peers.warm_python import start_warm

HOST = b"GET /x HTTP/1.1\r\nHost: c-tool.team.svc.cluster.local\r\n\r\n"


@pytest.fixture
async def server() -> AsyncIterator[FakeApiServer]:
    async with FakeApiServer() as server:
        yield server


@pytest.fixture
async def proxy(
    server: FakeApiServer, raw_upstream: RawUpstream, tmp_path: Path, exits: AsyncExitStack
) -> ClusterProcess:
    server.put(connector_class("open"))
    server.put(connector("tool", raw_upstream.address, "open", namespace="team"))
    process = await start_cluster_proxy(server.kubeconfig(tmp_path), "--client-auth", "none")
    exits.push_async_callback(process.child.stop)
    return process


async def test_it_serves_what_the_api_server_has_and_drains(proxy: ClusterProcess, raw_upstream: RawUpstream) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(proxy.url.rpartition(":")[2]))
    writer.write(HOST)
    tool = await raw_upstream.accept()
    await tool.read_head()
    os.kill(proxy.child.pid, signal.SIGTERM)
    await proxy.child.line("stopping: running requests get 30 s")
    async with aiohttp.ClientSession() as session, session.get(proxy.admin + "/readyz") as answer:
        assert (answer.status, await answer.text()) == (503, "not ready\nmissing: shutting down\n")
    tool.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert (await reader.read()).endswith(b"\r\n\r\nok")
    assert await proxy.child.wait() == 0
    writer.close()


async def test_a_second_signal_ends_running_requests_at_once(proxy: ClusterProcess, raw_upstream: RawUpstream) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", int(proxy.url.rpartition(":")[2]))
    writer.write(HOST)
    await (await raw_upstream.accept()).read_head()
    os.kill(proxy.child.pid, signal.SIGTERM)
    await proxy.child.line("stopping: ")
    os.kill(proxy.child.pid, signal.SIGTERM)
    assert await proxy.child.wait() == 1
    writer.close()


def words(kubeconfig: Path, *options: str) -> tuple[str, ...]:
    return ("--kubeconfig", str(kubeconfig), "--admin", "127.0.0.1:0", *LOCAL_TOOLS, *options)


async def start(kubeconfig: Path, *options: str) -> Child:
    return await start_warm("python -m proxy", "proxy", *words(kubeconfig, *options))


async def test_told_to_stop_before_it_is_ready(server: FakeApiServer, tmp_path: Path) -> None:
    """Started as a user does."""
    server.hold_lists()
    command = [sys.executable, "-m", "proxy", *words(server.kubeconfig(tmp_path), "--listen", "127.0.0.1:0")]
    child = await Child.start("python -m proxy", command, env={"PATH": os.defpath}, cwd=CHECKOUT)
    await child.line("admin port on ")
    assert await child.stop() == 0
    server.release_lists()


async def test_a_port_that_is_taken(server: FakeApiServer, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        child = await start(server.kubeconfig(tmp_path), "--listen", f"127.0.0.1:{port}")
        await child.line(rf"error: cannot listen on 127\.0\.0\.1:{port}: Address already in use; .* --listen")
        assert await child.wait() == 1
        await child.stop()


def test_no_way_to_an_api_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], {"KUBECONFIG": str(tmp_path / "nosuch")}) == 1
    assert "python -m proxy: error: no way to an API server: " in capsys.readouterr().err


def test_a_bad_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["--workers", "0", "--kubeconfig", "/nosuch"], {})
    assert exit_.value.code == 2
    assert "--workers: it must be at least 1" in capsys.readouterr().err


async def test_an_audit_log_that_cannot_be_opened(server: FakeApiServer, tmp_path: Path) -> None:
    child = await start(server.kubeconfig(tmp_path), "--listen", "127.0.0.1:0", "--audit-log", str(tmp_path))
    await child.line(r"^python -m proxy: error: cannot write to \S+: Is a directory; .* --audit-log$")
    assert await child.wait() == 1
    await child.stop()


async def test_a_hang_up_opens_the_audit_log_again(
    server: FakeApiServer, raw_upstream: RawUpstream, tmp_path: Path, exits: AsyncExitStack
) -> None:
    server.put(connector_class("open"))
    server.put(connector("tool", raw_upstream.address, "open", namespace="team"))
    log, moved = tmp_path / "audit.log", tmp_path / "audit.1"
    options = ("--client-auth", "none", "--audit-log", str(log))
    process = await start_cluster_proxy(server.kubeconfig(tmp_path), *options)
    exits.push_async_callback(process.child.stop)
    log.rename(moved)
    os.kill(process.child.pid, signal.SIGHUP)
    async with aiohttp.ClientSession() as session, session.get(process.url + "/x") as answer:
        assert answer.status == 404
    assert await process.child.stop() == 0
    assert (moved.read_bytes(), log.read_bytes().count(b"\n")) == (b"", 1)


async def test_tls_for_clients(
    server: FakeApiServer, tmp_path: Path, exits: AsyncExitStack, authority: trustme.CA
) -> None:
    volume = Volume(tmp_path / "tls")
    volume.put(key_pair(authority.issue_cert("127.0.0.1")))
    options = ("--client-auth", "none", "--tls-cert", str(volume.certificate), "--tls-key", str(volume.key))
    process = await start_cluster_proxy(server.kubeconfig(tmp_path), *options)
    exits.push_async_callback(process.child.stop)
    assert process.url.startswith("https://")
    context = client_context(authority.cert_pem.bytes())
    async with aiohttp.ClientSession() as session, session.get(process.url + "/x", ssl=context) as answer:
        assert answer.status == 404


async def test_a_certificate_that_cannot_be_served_exits_1(server: FakeApiServer, tmp_path: Path) -> None:
    options = ("--tls-cert", "/none/tls.crt", "--tls-key", "/none/tls.key")
    child = await start(server.kubeconfig(tmp_path), *options)
    assert await child.wait() == 1
    assert "proxy: error: --tls-cert, --tls-key: /none/tls.crt: No such file or directory; give" in child.log
