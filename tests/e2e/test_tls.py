"""Clients over TLS with the real curl and the real git; a certificate that is replaced while they work."""

from __future__ import annotations

import asyncio
import json
import shlex
import ssl
import sys
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from connectors.objects.secret import KeyPair
from standalone.child import Child, ChildError
from standalone.demo import CHECKOUT
from tests.peers.fixtures import StartGitServer, StartProxy
from tests.peers.git_client import Git
from tests.peers.git_server import PASSWORD, USERNAME
from tests.peers.handshakes import client_context, shown
from tests.peers.manifests import auth, basic_auth, connector, write
from tests.peers.proxy_process import ProxyProcess
from tests.peers.raw_client import connected
from tests.peers.raw_upstream import RawUpstream
from tests.peers.shell import Shell
from tests.peers.trust import encrypted, key_pair
from tests.peers.volume import Volume

pytestmark = pytest.mark.e2e

NAMES = ("127.0.0.1", "c-tool.default.localhost")
REQUEST = b"GET /x HTTP/1.1\r\nHost: c-tool.default.localhost\r\n\r\n"
INJECTED = b"\r\nAuthorization: Basic " + b64encode(f"{USERNAME}:{PASSWORD}".encode()) + b"\r\n"


@dataclass(frozen=True, slots=True)
class Scene:
    """A proxy that serves TLS, and the folder of its certificate."""

    proxy: ProxyProcess
    volume: Volume
    authority: trustme.CA

    @property
    def bundle(self) -> bytes:
        return self.authority.cert_pem.bytes()

    def issue(self) -> KeyPair:
        return key_pair(self.authority.issue_cert(*NAMES))

    async def leaf(self) -> bytes:
        """The certificate that a new connection is shown."""
        return (await shown(self.proxy.port, self.bundle)).encode()

    def assert_no_trouble(self) -> None:
        assert "Traceback" not in self.proxy.child.log
        assert " ERROR " not in self.proxy.child.log
        assert "PRIVATE" not in self.proxy.child.log


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    return Volume(tmp_path / "tls")


def options(volume: Volume) -> tuple[str, ...]:
    return ("--tls-cert", str(volume.certificate), "--tls-key", str(volume.key))


async def scene_of(address: str, folder: Path, volume: Volume, authority: trustme.CA, start_proxy: StartProxy) -> Scene:
    volume.put(key_pair(authority.issue_cert(*NAMES)))
    manifests = write(
        folder / "manifests",
        connector("tool", address, "git", auth=auth("basicAuth", "tool")),
        basic_auth("tool", USERNAME, PASSWORD),
    )
    return Scene(await start_proxy(manifests, *options(volume)), volume, authority)


@pytest.fixture
async def scene(
    tmp_path: Path, volume: Volume, authority: trustme.CA, start_proxy: StartProxy, raw_upstream: RawUpstream
) -> Scene:
    return await scene_of(raw_upstream.address, tmp_path, volume, authority, start_proxy)


async def test_git_clones_and_pushes_at_the_address_that_it_is_told(
    tmp_path: Path,
    volume: Volume,
    authority: trustme.CA,
    authority_file: Path,
    start_proxy: StartProxy,
    start_git_server: StartGitServer,
) -> None:
    server = await start_git_server()
    scene = await scene_of(server.address, tmp_path, volume, authority, start_proxy)
    command = [sys.executable, "-m", "standalone", "get", "tool", "--server", scene.proxy.admin]
    told = await _output(*command, "-o", "json")
    url = json.loads(told)["status"]["proxy"]["httpAddress"]["url"]
    assert url == scene.proxy.host_form("tool") == f"https://c-tool.default.localhost:{scene.proxy.port}"
    snippet = await _output(*command, "-o", "snippet")
    assert f"credential.{url}.helper" in snippet
    assert "--tls-verify=false" not in snippet
    (home := tmp_path / "home").mkdir()
    git, work = Git(home, authority_file), tmp_path / "work"
    await git("clone", f"{scene.proxy.path_form('tool')}/demo.git", str(work))
    commit = await git.commit(work, "large", b"0123456789abcdef" * 200_000)
    await git("push", "origin", "main", cwd=work)
    assert await git("--git-dir", str(server.root / "demo.git"), "rev-parse", "main") == commit
    assert all(entry.authorized for entry in server.seen())
    assert "authorization" not in git.sent_headers()
    scene.assert_no_trouble()


async def _output(*command: str) -> str:
    child = await Child.start("connectors get", command, cwd=CHECKOUT)
    assert await child.wait() == 0, child.log
    return child.log


async def test_curl_gets_through_and_an_old_version_or_plain_http_does_not(
    scene: Scene, raw_upstream: RawUpstream, authority_file: Path, tmp_path: Path
) -> None:
    shell = Shell(tmp_path / "shell", ["curl"])
    url = f"{scene.proxy.path_form('tool')}/x"
    curl = f"curl --silent --show-error --max-time 10 --cacert {shlex.quote(str(authority_file))}"
    running = asyncio.create_task(shell(f"{curl} --http1.1 {url}"))
    tool = await raw_upstream.accept()
    assert INJECTED in await tool.read_head()
    tool.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nfrom it\n")
    assert await running == "from it"
    plain = url.replace("https:", "http:")
    old = f"{curl} --tlsv1.0 --tls-max 1.1 --ciphers DEFAULT@SECLEVEL=0 {url}"
    said = await shell(f"{old} || echo code $?", f"curl --silent --max-time 10 {plain} || echo code $?")
    assert "code 35" in said  # CURLE_SSL_CONNECT_ERROR
    assert "use https://" in said, "what a client without TLS is told"
    scene.assert_no_trouble()


async def test_a_new_certificate_under_load_half_of_it_first(scene: Scene, raw_upstream: RawUpstream) -> None:
    """What does not fit leaves the old one, and is said once; what runs goes on, on the connection that it has."""
    context, fresh, count = client_context(scene.bundle), scene.issue(), 20
    old = await scene.leaf()
    async with asyncio.TaskGroup() as tasks:
        requests = [tasks.create_task(_slow_request(scene.proxy.port, context)) for _ in range(count)]
        tools = [await raw_upstream.accept() for _ in range(count)]
        for tool in tools:
            await tool.read_head()
            tool.send(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nfirst")
        scene.volume.certificate.unlink()
        scene.volume.certificate.write_bytes(fresh.chain)  # its key comes later
        await scene.proxy.child.line("WARNING .*keeping the one before.* it is another certificate's")
        assert await scene.leaf() == old
        scene.volume.key.unlink()
        scene.volume.key.write_bytes(fresh.key.reveal())
        async with asyncio.timeout(3):
            while (leaf := await scene.leaf()) == old:
                pass
        assert leaf in fresh.chain
        for tool in tools:
            tool.send(b", then")
    assert {request.result() for request in requests} == {b"first, then"}
    assert scene.proxy.child.log.count("WARNING") == 1
    scene.assert_no_trouble()


async def _slow_request(port: int, context: ssl.SSLContext) -> bytes:
    async with connected(port, tls=context) as client:
        client.send(REQUEST)
        await client.read_head()
        return await client.read_exactly(11)


async def test_an_encrypted_key_at_the_start_exits_1(
    volume: Volume, authority: trustme.CA, tmp_path: Path, start_proxy: StartProxy
) -> None:
    pair = key_pair(authority.issue_cert(*NAMES))
    volume.put(KeyPair(pair.chain, encrypted(pair.key)))
    with pytest.raises(ChildError) as raised:
        await start_proxy(tmp_path, *options(volume))
    assert "exit code 1" in str(raised.value)
    assert f"--tls-key: {volume.certificate} and {volume.key}: the key is encrypted; give one" in str(raised.value)
    assert "PRIVATE" not in str(raised.value)
