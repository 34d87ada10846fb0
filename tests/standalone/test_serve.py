from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from pathlib import Path

import pytest

from standalone.child import ChildError
from standalone.serve import main
from tests.peers.fixtures import StartProxy
from tests.peers.raw_client import connected
from tests.peers.raw_upstream import RawUpstream
from tests.standalone.manifests import CONNECTOR, SECRET

REQUEST = b"GET /x HTTP/1.1\r\nHost: c-repo.default.localhost\r\n\r\n"


@pytest.fixture
def manifests(tmp_path: Path, raw_upstream: RawUpstream) -> Path:
    path = tmp_path / "manifests"
    path.mkdir()
    (path / "a.yaml").write_text(CONNECTOR.replace("https://tool.example", raw_upstream.address) + SECRET)
    return path


async def refused(port: int) -> None:
    """Wait until nobody listens there any more."""
    async with asyncio.timeout(5):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                return
            except ConnectionResetError:  # it was in the queue when the listener closed
                continue
            writer.transport.abort()


async def test_ready_line_and_table(start_proxy: StartProxy, manifests: Path) -> None:
    proxy = await start_proxy(manifests)
    await proxy.child.line(r"^repo  ")
    lines = [line for line in proxy.child.log.splitlines() if " INFO " not in line]
    assert lines[0] == f"ready: 1 connectors on {proxy.url}"
    assert lines[1].split() == ["NAME", "CLASS", "ADDRESS", "READY", "REASON", "PROXY", "AGE"]
    assert proxy.host_form("repo") in proxy.child.log


async def test_other_namespaces_are_shown(start_proxy: StartProxy, manifests: Path) -> None:
    (manifests / "b.yaml").write_text(CONNECTOR.replace("name: repo", "name: repo\n  namespace: team"))
    proxy = await start_proxy(manifests)
    await proxy.child.line(r"^NAMESPACE +NAME ")
    await proxy.child.line(r"^team +repo .* SecretNotFound ")


async def test_no_connector_is_a_warning(start_proxy: StartProxy, tmp_path: Path) -> None:
    proxy = await start_proxy(tmp_path)
    await proxy.child.line(r"^ready: 0 connectors on ")
    await proxy.child.line(r"WARNING .*there is no Connector")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_and_exits_0(
    start_proxy: StartProxy, manifests: Path, raw_upstream: RawUpstream, number: signal.Signals
) -> None:
    proxy = await start_proxy(manifests)
    async with connected(proxy.port) as client:
        client.send(REQUEST)
        tool = await raw_upstream.accept()
        await tool.read_head()
        os.kill(proxy.child.pid, number)
        await proxy.child.line("stopping")
        await refused(proxy.port)
        tool.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        assert (await client.read_to_eof()).endswith(b"ok")
    assert await asyncio.wait_for(proxy.child.wait(), 5) == 0


async def test_a_second_signal_does_not_wait(
    start_proxy: StartProxy, manifests: Path, raw_upstream: RawUpstream
) -> None:
    proxy = await start_proxy(manifests)
    async with connected(proxy.port) as client:
        client.send(REQUEST)
        await (await raw_upstream.accept()).read_head()
        os.kill(proxy.child.pid, signal.SIGINT)
        await proxy.child.line("stopping")
        os.kill(proxy.child.pid, signal.SIGINT)
        assert await asyncio.wait_for(proxy.child.wait(), 5) == 1
    assert "Traceback" not in proxy.child.log


async def test_json_logs(start_proxy: StartProxy, manifests: Path) -> None:
    proxy = await start_proxy(manifests, "--log-format", "json")
    entries = [json.loads(line) for line in proxy.child.log.splitlines() if line.startswith("{")]
    assert [entry["message"] for entry in entries] == [f"admin port on {proxy.admin}"]


async def test_t14_debug_logs_hold_no_secret(
    start_proxy: StartProxy, manifests: Path, raw_upstream: RawUpstream
) -> None:
    proxy = await start_proxy(manifests, "--log-level", "debug")
    async with connected(proxy.port) as client:
        client.send(REQUEST)
        tool = await raw_upstream.accept()
        head = await tool.read_head()
        tool.send(b"HTTP/1.1 204 No Content\r\n\r\n")
        await client.read_head()
    assert await proxy.child.stop() == 0
    sent = next(line for line in head.split(b"\r\n") if line.startswith(b"Authorization: Basic "))
    assert "canary-4f1d" not in proxy.child.log
    assert sent.split()[-1].decode() not in proxy.child.log


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param(["nowhere"], "nowhere: No such file or directory", id="path missing"),
        pytest.param([".", "--listen", "0.0.0.0:0"], "say who may use the Connectors", id="open to everybody"),
        pytest.param([".", "--workers", "0"], "--workers: it must be at least 1", id="workers"),
        pytest.param([".", "--listen", "8080"], "--listen: it takes HOST:PORT", id="bad value"),
        pytest.param([], "the following arguments are required: PATH", id="no path"),
    ],
)
def test_a_bad_command_line_exits_2(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(words, {})
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--listen", "--admin"])
async def test_a_taken_port_exits_1(start_proxy: StartProxy, manifests: Path, flag: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ChildError) as raised:
            await start_proxy(manifests, flag, where)
    assert "exit code 1" in str(raised.value)
    assert f"connectors serve: error: cannot listen on {where}: " in str(raised.value)
    assert "Traceback" not in str(raised.value)
