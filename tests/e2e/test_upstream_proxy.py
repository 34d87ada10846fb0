"""The main job where tools can be reached through a proxy alone: the real git, and Debian's squid between."""

from __future__ import annotations

import asyncio
import time
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from tests.peers.fixtures import StartGitServer, StartNginx, StartProxy
from tests.peers.git_client import Git, GitError
from tests.peers.git_server import PASSWORD, USERNAME, GitServer
from tests.peers.manifests import Manifest, auth, basic_auth, connector, write
from tests.peers.proxy_process import ProxyProcess
from tests.peers.squid import PASSWORD as PROXY_PASSWORD
from tests.peers.squid import TOOL, USER, Squid, running_squid

pytestmark = [pytest.mark.e2e, pytest.mark.git]

SENT_TO_TOOL = b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
SENT_TO_PROXY = b64encode(f"{USER}:{PROXY_PASSWORD}".encode()).decode()
CHOOSES_NONE = {"annotations": {"connectors.cpaas.io/upstream-proxy": "none"}}


@dataclass(frozen=True, slots=True)
class Scene:
    """A password-protected git server whose name squid alone can resolve, and a git without credentials."""

    server: GitServer
    squid: Squid
    proxy: ProxyProcess
    git: Git
    login: Path

    async def changes_login(self, password: str, times: int) -> None:
        """The operator writes another one; returns once that has counted so many times."""
        self.login.write_text(f"{USER}:{password}\n", encoding="ascii")
        end = time.monotonic() + 20.0
        while self.proxy.child.log.count("upstream proxy default has other credentials now") < times:
            assert time.monotonic() < end, self.proxy.child.log
            await asyncio.sleep(0.05)

    def assert_nothing_is_told(self) -> None:
        """Of any credential, anywhere that people look."""
        for secret in (PASSWORD, PROXY_PASSWORD, SENT_TO_TOOL, SENT_TO_PROXY):
            assert secret not in self.proxy.child.log


@pytest.fixture
async def squid() -> AsyncIterator[Squid]:
    async with running_squid() as started:
        yield started


@pytest.fixture(params=["http", "https"])
async def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def tool(
    scheme: str, authority: trustme.CA, start_git_server: StartGitServer, start_nginx: StartNginx
) -> tuple[GitServer, str]:
    """A git server, and the address that squid knows it by."""
    server = await start_git_server(prefix="/tools/git")
    if scheme == "http":
        return server, server.address.replace("127.0.0.1", TOOL)
    inner = server.address.removesuffix("/tools/git")
    passes_on = f"location / {{ proxy_pass {inner}; proxy_set_header Host $http_host; client_max_body_size 9m; }}"
    front = await start_nginx(passes_on, tls=authority.issue_cert(TOOL))
    return server, front.address.replace("localhost", TOOL) + "/tools/git"


@pytest.fixture
async def scene(
    tool: tuple[GitServer, str], squid: Squid, tmp_path: Path, authority_file: Path, start_proxy: StartProxy
) -> Scene:
    server, address = tool
    login = tmp_path / "login"
    login.write_text(f"{USER}:{PROXY_PASSWORD}\n", encoding="ascii")
    proxy = await start_proxy(
        write(tmp_path / "manifests", *_connectors(address)),
        "--upstream-proxy", squid.url, "--upstream-proxy-credentials", str(login),
        # What the parent has read of the file reaches its workers, too.
        "--workers", "2" if address.startswith("https") else "1",
        env={"SSL_CERT_FILE": str(authority_file), "SSL_CERT_DIR": str(tmp_path / "none")},
    )  # fmt: skip
    home = tmp_path / "home"
    home.mkdir()
    return Scene(server, squid, proxy, Git(home), login)


def _connectors(address: str) -> list[Manifest]:
    return [
        connector("tool", address, "git", auth=auth("basicAuth", "tool")),
        connector("direct", address, "git", auth=auth("basicAuth", "tool"), metadata=CHOOSES_NONE),
        basic_auth("tool", USERNAME, PASSWORD),
    ]


async def test_clone_and_push_through_squid(scene: Scene, scheme: str) -> None:
    git, work = scene.git, scene.git.home / "work"
    await git("clone", f"{scene.proxy.host_form('tool')}/demo.git", str(work))
    await git("config", "http.postBuffer", "1048576", cwd=work)
    pushed = await git.commit(work, "large", b"\0" * (3 << 20))
    await git("push", "origin", "main", cwd=work)
    assert await git("--git-dir", str(scene.server.root / "demo.git"), "rev-parse", "main") == pushed
    assert all(entry.authorized for entry in scene.server.seen())
    scene.assert_nothing_is_told()
    # squid logs a tunnel when it ends.
    await scene.proxy.child.stop()
    log = await scene.squid.logged(2)
    assert SENT_TO_PROXY in log
    # Within TLS the tool's credential is nothing that the proxy sees; over http it does, as the docs say.
    assert (SENT_TO_TOOL in log) is (scheme == "http")
    assert ("CONNECT tool.example:" in log) is (scheme == "https")


async def test_who_is_told_to_go_directly_does(scene: Scene) -> None:
    # Without the proxy no one here can resolve the tool's name.
    with pytest.raises(GitError, match="502"):
        await scene.git("clone", f"{scene.proxy.host_form('direct')}/demo.git", str(scene.git.home / "work"))
    assert not scene.server.seen()


async def test_credentials_that_change_count_for_the_next_request(scene: Scene) -> None:
    url = f"{scene.proxy.host_form('tool')}/demo.git"
    await scene.git("ls-remote", url)
    await scene.changes_login("outdated", 1)
    with pytest.raises(GitError, match="502"):
        await scene.git("ls-remote", url)
    await scene.changes_login(PROXY_PASSWORD, 2)
    await scene.git("ls-remote", url)
    scene.assert_nothing_is_told()
