"""The lines of `connectors get NAME -o snippet`, pasted and run with the real clients.

Each time: the tool sees the injected credential and never the caller's token; no process has the token among its
arguments; and a request to another host with the same configuration carries none.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import yaml

from tests.docs.pages import blocks
from tests.e2e.scene import FORMS, INJECTED, set_scene
from tests.peers.fixtures import StartGitServer, StartNginx, StartProxy
from tests.peers.git_server import PASSWORD, USERNAME
from tests.peers.image_registry import start_image_registry
from tests.peers.packages import NAME, SAYS, image, npm_registry, python_index
from tests.peers.recorder import HTML, NOTHING_WILL_DO, Recorder
from tests.peers.shell import Shell, ShellError

HOST, PATH = FORMS
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.parametrize("form", [HOST, pytest.param(PATH, marks=pytest.mark.clients)]),
]


@pytest.fixture
async def other() -> AsyncIterator[Recorder]:
    """Another host, which would like a token very much."""
    async with Recorder(demands=NOTHING_WILL_DO) as recorder:
        yield recorder


@pytest.mark.curl
async def test_curl(tmp_path: Path, start_proxy: StartProxy, other: Recorder, form: str) -> None:
    pages = {"/": (HTML, b"the root"), "/away": (HTML, b"")}
    async with Recorder(pages, demands=INJECTED) as tool:
        scene = await set_scene(tmp_path, start_proxy, tool.address, form)
        shell = Shell(tmp_path / "home", ["curl"])
        assert (await shell(scene.parts["curl"])).endswith("the root")
        elsewhere = scene.parts["curl"].replace(f"{scene.url}/", f"{other.address}/x")
        assert elsewhere != scene.parts["curl"]
        await shell(elsewhere)
        scene.assert_only_the_proxy_got_it(tool, other, shell)


@pytest.mark.curl
async def test_curl_that_follows_a_redirect_to_another_host(
    tmp_path: Path, start_nginx: StartNginx, start_proxy: StartProxy, other: Recorder, form: str
) -> None:
    nginx = await start_nginx(f"location / {{ return 302 {other.address}/away; }}")
    scene = await set_scene(tmp_path, start_proxy, nginx.address, form)
    shell = Shell(tmp_path / "home", ["curl"])
    await shell(scene.parts["curl"].replace("curl ", "curl --location "))
    assert other.authorizations == {""}
    scene.assert_token_is_nowhere(shell.arguments)


@pytest.mark.git
async def test_git(
    tmp_path: Path, start_git_server: StartGitServer, start_proxy: StartProxy, other: Recorder, form: str
) -> None:
    server = await start_git_server()
    scene = await set_scene(tmp_path, start_proxy, server.address, form)
    shell = Shell(tmp_path / "home", ["git"])
    # A helper of the user's own that would store what it is told: it must not hear of the token.
    await shell("git config --global credential.helper store")
    pasted = scene.parts["git"].replace("REPOSITORY", "demo")
    await shell(pasted)
    await shell("rm -rf demo", pasted)
    await shell("cd demo", "git commit --quiet --allow-empty --message=More", "git push origin HEAD")
    assert all(entry.authorized for entry in server.seen())
    with pytest.raises(ShellError, match="could not read Username"):
        await shell(f"git ls-remote {other.address}/demo.git")
    assert other.authorizations == {""}
    if form == PATH:
        # Of the same host, and not below the URL: the helper is not asked.
        with pytest.raises(ShellError, match="could not read Username"):
            await shell(f"git ls-remote {scene.proxy.host_form('tool')}/demo.git")
    config = (shell.home / ".gitconfig").read_text(encoding="utf-8")
    scene.assert_token_is_nowhere(shell.arguments, repr(other.asked), config, server.child.log)
    assert not (shell.home / ".git-credentials").exists()


@pytest.mark.git
async def test_git_with_the_header_of_the_documentation(
    tmp_path: Path, start_git_server: StartGitServer, start_proxy: StartProxy, other: Recorder, form: str
) -> None:
    server = await start_git_server()
    scene = await set_scene(tmp_path, start_proxy, server.address, form)
    shell = Shell(tmp_path / "home", ["git"])
    (line,) = (block.text for block in blocks("docs/clients.md", "sh") if "extraHeader" in block.text)
    shown = "http://c-demo.team-a.svc.cluster.local", "/var/run/secrets/connectors/demo/token"
    assert all(word in line for word in shown)
    await shell(line.replace(shown[0], scene.url).replace(shown[1], shlex.quote(str(scene.token_file))))
    await shell(f"git clone --quiet {scene.url}/demo.git")
    with pytest.raises(ShellError, match="could not read Username"):
        await shell(f"git ls-remote {other.address}/demo.git")
    assert other.authorizations == {""}
    assert all(entry.authorized for entry in server.seen())
    scene.assert_token_is_nowhere(repr(other.asked), server.child.log)


async def test_pip(tmp_path: Path, start_proxy: StartProxy, other: Recorder, form: str) -> None:
    async with Recorder(python_index(), demands=INJECTED) as tool:
        scene = await set_scene(tmp_path, start_proxy, tool.address, form)
        shell = Shell(tmp_path / "home", ["pip"], hosts=[scene.host])
        install = f"PIP_EXTRA_INDEX_URL={other.address}/simple/ pip install {NAME}"
        output = await shell(scene.parts["pip"].replace("pip install PACKAGE", install))
        assert SAYS.decode() in (shell.home / "site" / f"{NAME}.py").read_text(encoding="utf-8")
        scene.assert_only_the_proxy_got_it(tool, other, shell)
        scene.assert_token_is_nowhere(output)


async def test_npm(tmp_path: Path, start_proxy: StartProxy, other: Recorder, form: str) -> None:
    async with Recorder(npm_registry(), demands=INJECTED) as tool:
        scene = await set_scene(tmp_path, start_proxy, tool.address, form)
        shell = Shell(tmp_path / "home", ["npm"], hosts=[scene.host])
        output = await shell(scene.parts["npm"].replace("PACKAGE", NAME))
        assert (shell.home / "node_modules" / NAME / "hi").read_bytes() == SAYS
        with pytest.raises(ShellError, match="E401"):
            await shell(scene.parts["npm"].replace("install PACKAGE", f"view x --registry {other.address}/"))
        scene.assert_only_the_proxy_got_it(tool, other, shell)
        files = [(shell.home / name).read_text(encoding="utf-8") for name in (".npmrc", "package-lock.json")]
        scene.assert_token_is_nowhere(output, *files)


@pytest.mark.nginx
async def test_skopeo(
    tmp_path: Path,
    exits: AsyncExitStack,
    start_nginx: StartNginx,
    start_proxy: StartProxy,
    other: Recorder,
    form: str,
) -> None:
    registry = await start_image_registry(tmp_path / "registry", USERNAME, PASSWORD)
    exits.push_async_callback(registry.child.stop)
    seen = tmp_path / "seen.log"
    nginx = await start_nginx(
        f"client_max_body_size 0; access_log {seen} seen; "
        f"location / {{ proxy_pass {registry.address}; proxy_set_header Host $http_host; }}",
        http='log_format seen "$http_authorization";',
    )
    scene = await set_scene(tmp_path, start_proxy, nginx.address, form)
    shell = Shell(tmp_path / "home", ["skopeo"], hosts=[scene.host])
    login, inspect = (line for line in scene.parts["docker and skopeo"].splitlines() if line.startswith("skopeo "))
    inspect = inspect.replace("REPOSITORY:TAG", f"team/{NAME}:1")
    image_name = re.findall(r"docker://\S+", inspect)[0]
    await shell(login)
    await shell(f"skopeo --insecure-policy copy --dest-tls-verify=false oci:{image(tmp_path / 'image')}:1 {image_name}")
    assert f'"Name": "{image_name.removeprefix("docker://").rpartition(":")[0]}"' in await shell(inspect)
    with pytest.raises(ShellError):
        await shell(f"skopeo inspect --tls-verify=false docker://{other.address.removeprefix('http://')}/x:1")
    # It sends an empty user name and password where it has none.
    assert other.authorizations == {"", "Basic Og=="}
    assert set(seen.read_text(encoding="utf-8").splitlines()) == {INJECTED}
    scene.assert_token_is_nowhere(shell.arguments, repr(other.asked))


async def test_the_pod_part_is_of_this_address(tmp_path: Path, start_proxy: StartProxy, form: str) -> None:
    async with Recorder() as tool:
        scene = await set_scene(tmp_path, start_proxy, tool.address, form)
    pod = yaml.safe_load(scene.parts["Pod: the token's file"])
    assert pod["spec"]["volumes"][0]["projected"]["sources"][0]["serviceAccountToken"]["audience"] == scene.url
