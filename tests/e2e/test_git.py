"""The main job with the real git: clone, fetch, push, large and shallow, in both forms of address."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.peers.fixtures import StartGitServer, StartProxy
from tests.peers.git_client import Git, GitError
from tests.peers.git_server import PASSWORD, USERNAME, GitServer
from tests.peers.manifests import auth, basic_auth, connector, write
from tests.peers.proxy_process import ProxyProcess

pytestmark = [pytest.mark.e2e, pytest.mark.git]

MIB = 1024 * 1024
SMALL_BUFFER = ("-c", "http.postBuffer=1048576")


@dataclass(frozen=True, slots=True)
class Scene:
    """A password-protected git server below a path prefix, a Connector to it, and a git without credentials."""

    server: GitServer
    proxy: ProxyProcess
    git: Git
    form: str

    def url(self, name: str = "tool") -> str:
        address = self.proxy.host_form(name) if self.form == "host" else self.proxy.path_form(name)
        return f"{address}/demo.git"

    async def arrived(self, branch: str = "main") -> str:
        """The commit at the tip of the server's branch."""
        return await self.git("--git-dir", str(self.server.root / "demo.git"), "rev-parse", branch)

    def assert_credential_stayed_inside(self) -> None:
        assert "authorization" not in self.git.sent_headers()
        assert all(entry.authorized for entry in self.server.seen())
        assert PASSWORD not in self.proxy.child.log


@pytest.fixture(params=["host", "path"])
async def scene(
    request: pytest.FixtureRequest, tmp_path: Path, start_git_server: StartGitServer, start_proxy: StartProxy
) -> Scene:
    server = await start_git_server(prefix="/tools/git")
    manifests = write(
        tmp_path / "manifests",
        connector("tool", server.address, "git", auth=auth("basicAuth", "tool")),
        basic_auth("tool", USERNAME, PASSWORD),
        connector("anonymous", server.address, "git", auth=auth("basicAuth")),
    )
    home = tmp_path / "home"
    home.mkdir()
    return Scene(server, await start_proxy(manifests), Git(home), request.param)


@pytest.mark.parametrize("options", [(), SMALL_BUFFER], ids=["default", "small post buffer"])
async def test_clone_push_and_fetch(scene: Scene, options: tuple[str, ...]) -> None:
    git, first, second = scene.git, scene.git.home / "first", scene.git.home / "second"
    await git(*options, "clone", scene.url(), str(first))
    await git(*options, "clone", scene.url(), str(second))
    assert (first / "README.md").is_file()
    pushed = await git.commit(first, "large", os.urandom(3 * MIB))
    await git(*options, "push", "origin", "main", cwd=first)
    assert await scene.arrived() == pushed
    await git(*options, "fetch", "origin", cwd=second)
    assert await git("rev-parse", "origin/main", cwd=second) == pushed
    scene.assert_credential_stayed_inside()


async def test_shallow_clone_and_ls_remote(scene: Scene) -> None:
    git, full, shallow = scene.git, scene.git.home / "full", scene.git.home / "shallow"
    await git("clone", scene.url(), str(full))
    pushed = await git.commit(full, "more", b"more\n")
    await git("push", "origin", "main", cwd=full)
    await git("clone", "--depth=1", scene.url(), str(shallow))
    assert await git("rev-list", "--count", "HEAD", cwd=shallow) == "1"
    assert f"{pushed}\trefs/heads/main" in await git("ls-remote", scene.url())
    scene.assert_credential_stayed_inside()


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("scene", "options"),
    [
        pytest.param("host", (), id="host"),
        pytest.param("path", SMALL_BUFFER, id="path, small buffer", marks=pytest.mark.clients),
    ],
    indirect=["scene"],
)
async def test_t10_push_of_200_mib_is_streamed(scene: Scene, options: tuple[str, ...]) -> None:
    git, work = scene.git, scene.git.home / "work"
    await git("clone", scene.url(), str(work))
    await git.store_uncompressed(work)
    pushed = await git.commit(work, "large", os.urandom(MIB) * 200)
    await git(*options, "push", "origin", "main", cwd=work)
    assert await scene.arrived() == pushed
    assert "transfer-encoding" in git.sent_headers()
    assert scene.proxy.peak_memory < 96 * MIB


@pytest.mark.slow
@pytest.mark.clients
@pytest.mark.timeout(180)
@pytest.mark.parametrize("scene", ["host"], indirect=True)
async def test_clone_of_200_mib_is_streamed(scene: Scene) -> None:
    git, work, again = scene.git, scene.git.home / "work", scene.git.home / "again"
    bare = scene.server.root / "demo.git"
    await git.store_uncompressed(bare)
    await git("clone", str(bare), str(work))
    await git.store_uncompressed(work)
    committed = await git.commit(work, "large", os.urandom(MIB) * 200)
    await git("push", "origin", "main", cwd=work)
    await git("clone", "--no-checkout", scene.url(), str(again))
    assert await git("rev-parse", "HEAD", cwd=again) == committed
    assert scene.proxy.peak_memory < 96 * MIB


async def test_refusal_of_the_tool_reaches_git_where_there_is_no_secret(scene: Scene) -> None:
    with pytest.raises(GitError, match=r"could not read Username|Authentication failed"):
        await scene.git("clone", scene.url("anonymous"), str(scene.git.home / "work"))
    assert [entry.authorization for entry in scene.server.seen()] == [""]


async def test_t21_login_of_the_caller_never_reaches_the_tool(scene: Scene) -> None:
    login = ("-c", "http.extraHeader=Authorization: Basic Y2FsbGVyOmNhbmFyeQ==")
    await scene.git(*login, "clone", scene.url(), str(scene.git.home / "work"))
    assert "authorization" in scene.git.sent_headers()
    assert all(entry.authorized for entry in scene.server.seen())
    assert "Y2FsbGVyOmNhbmFyeQ==" not in scene.proxy.child.log
