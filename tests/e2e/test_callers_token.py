"""A caller's token with real clients: no foreign realm gets it, and nothing that the proxy writes holds it."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.e2e.scene import INJECTED, TOKEN, Scene, exposition, forms, set_scene
from tests.peers.fixtures import StartGitServer, StartProxy
from tests.peers.packages import NAME, python_index
from tests.peers.recorder import NOTHING_WILL_DO, Recorder
from tests.peers.shell import Shell, ShellError

pytestmark = [pytest.mark.e2e]

WRONG = f"{TOKEN}x"
"""A token that is not valid: what refuses it must not quote it."""


@pytest.fixture
async def foreign() -> AsyncIterator[Recorder]:
    """The token server that a tool names, of somebody who collects tokens."""
    async with Recorder(demands=NOTHING_WILL_DO) as recorder:
        yield recorder


@pytest.fixture
async def tool(foreign: Recorder) -> AsyncIterator[Recorder]:
    """A tool that sends every client to that server."""
    realm = f'Bearer realm="{foreign.address}/token",service="tool",scope="repository:x:pull"'
    async with Recorder(demands=NOTHING_WILL_DO, challenge=realm) as recorder:
        yield recorder


@pytest.fixture(params=["token"])
async def scene(request: pytest.FixtureRequest, tmp_path: Path, start_proxy: StartProxy, tool: Recorder) -> Scene:
    return await set_scene(tmp_path, start_proxy, tool.address, client_auth=request.param)


def assert_no_token_got_out(tool: Recorder, foreign: Recorder) -> None:
    """Called by each test and not by a fixture's end, which also comes where the client is lacking and did not run."""
    assert tool.authorizations == {INJECTED}
    assert foreign.asked == []


# Where the proxy asks nobody, the tool's challenge is the first that skopeo gets, and the one that it goes by.
@pytest.mark.parametrize("scene", ["none", "token"], indirect=True)
async def test_t05_skopeo_asks_no_foreign_realm(
    tmp_path: Path, scene: Scene, tool: Recorder, foreign: Recorder
) -> None:
    shell = Shell(tmp_path / "home", ["skopeo"], hosts=[scene.host])
    authority = scene.url.removeprefix("http://")
    # As a login leaves it; the tool lets nobody log in.
    login = {"auths": {authority: {"auth": b64encode(f"token:{TOKEN}".encode()).decode()}}}
    (shell.home / "registry-logins.json").write_text(json.dumps(login), encoding="utf-8")
    with pytest.raises(ShellError):
        await shell(f"skopeo inspect --tls-verify=false docker://{authority}/x:1")
    assert_no_token_got_out(tool, foreign)


@pytest.mark.git
async def test_t05_git_asks_no_foreign_realm(tmp_path: Path, scene: Scene, tool: Recorder, foreign: Recorder) -> None:
    shell = Shell(tmp_path / "home", ["git"])
    with pytest.raises(ShellError, match=r"unable to access|Authentication failed"):
        await shell(scene.parts["git"])
    assert_no_token_got_out(tool, foreign)


@pytest.mark.curl
async def test_t05_curl_asks_no_foreign_realm(tmp_path: Path, scene: Scene, tool: Recorder, foreign: Recorder) -> None:
    shell = Shell(tmp_path / "home", ["curl"])
    shown = await shell(scene.parts["curl"].replace("curl ", "curl --include --anyauth "))
    assert "HTTP/1.1 401" in shown
    assert foreign.address not in shown
    assert_no_token_got_out(tool, foreign)


@pytest.mark.git
@pytest.mark.curl
async def test_t27_a_token_in_the_url_is_in_no_log_record_answer_or_metric(
    tmp_path: Path, start_git_server: StartGitServer, start_proxy: StartProxy
) -> None:
    server = await start_git_server(prefix="")
    scene = await set_scene(tmp_path, start_proxy, server.address)
    shell = Shell(tmp_path / "home", ["git", "curl"])
    answers = []
    for token in (TOKEN, WRONG):
        for login in (f"user:{quote(token)}", quote(token)):
            url = scene.url.replace("http://", f"http://{login}@")
            answers.append(await shell(f"curl --silent --include '{url}/x?token={token}'"))
            answers.append(await shell(f"curl --silent --include '{url}/../../namespaces/default/connectors/no@x/y'"))
            answers.append(await shell(f"git ls-remote '{url}/demo.git' 2>&1 || true"))
    # git quotes a URL itself, without the password; that is its business. A user name it does quote.
    bodies = [answer for answer in answers if answer.startswith("HTTP/1.1")]
    assert {body.split()[1] for body in bodies} == {"401", "404"}
    assert any("refs/heads/main" in answer for answer in answers)
    scene.assert_token_is_nowhere(*bodies, await exposition(scene.proxy))
    # What was in the query was the token again, so it did not reach the tool (threat 39).
    seen = [entry for entry in server.seen() if entry.path.startswith("/x")]
    assert [(entry.authorized, entry.path) for entry in seen] == [(True, "/x")] * 2
    assert len(scene.audit.read_text(encoding="utf-8").splitlines()) >= len(answers)


async def test_t27_nor_is_one_that_pip_was_given_in_its_index_url(tmp_path: Path, start_proxy: StartProxy) -> None:
    async with Recorder(python_index(), demands=INJECTED) as tool:
        scene = await set_scene(tmp_path, start_proxy, tool.address)
        shell = Shell(tmp_path / "home", ["pip"], hosts=[scene.host])
        for token in (TOKEN, WRONG):
            url = scene.url.replace("http://", f"http://user:{token}@")
            await shell(f"PIP_TRUSTED_HOST={scene.host} PIP_INDEX_URL={url}/simple/ pip install {NAME} || true")
        assert tool.authorizations == {INJECTED}
        scene.assert_token_is_nowhere(repr(tool.asked), await exposition(scene.proxy))
        records = [json.loads(line) for line in scene.audit.read_text(encoding="utf-8").splitlines()]
        assert {record["status"] for record in records} == {200, 401}


def test_the_forms_are_those_that_clients_send() -> None:
    assert b64encode(f"user:{TOKEN}".encode()).decode() in forms(TOKEN)
