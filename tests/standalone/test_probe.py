from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import web

from standalone.probe import main
from tests.peers.tool import serve_tool

MANIFESTS = """\
apiVersion: connectors.alauda.io/v1alpha1
kind: ConnectorClass
metadata: {{name: demo}}
spec:
  proxy: {{}}
  auth:
    types: [{{name: basicAuth, secretType: kubernetes.io/basic-auth}}]
  livenessProbe:
    http: {{path: /, response: {{cel: response.statusCode < 500}}}}
  authProbes:
    - authName: basicAuth
      probe:
        http:
          path: /user
          httpHeaders:
            - name: Authorization
              value: 'Basic {{{{ printf "%s:%s" .Secret.StringData.username .Secret.StringData.password | b64enc }}}}'
---
apiVersion: connectors.alauda.io/v1alpha1
kind: Connector
metadata: {{name: repo, namespace: team}}
spec:
  connectorClassName: demo
  address: {address}
  auth: {{name: basicAuth, secretRef: {{name: login}}}}
---
apiVersion: v1
kind: Secret
metadata: {{name: login, namespace: team}}
type: kubernetes.io/basic-auth
stringData: {{username: user, password: canary-4f1d}}
"""
BASIC = "Basic dXNlcjpjYW5hcnktNGYxZA=="


@pytest.fixture
async def tool(exits: AsyncExitStack) -> str:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=200 if request.headers.get("Authorization") == BASIC else 401)

    return await serve_tool(exits, answer)


async def run(*words: str) -> int:
    return await asyncio.to_thread(main, words, {})


async def test_t14_by_manifests(tool: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.yaml").write_text(MANIFESTS.format(address=tool))
    assert await run("repo", str(tmp_path), "-n", "team") == 0
    captured = capsys.readouterr()
    assert captured.out == (
        "team/repo\n"
        f"  GET {tool}/\n"
        "      -> 401\n"
        "      success: response.statusCode < 500\n"
        "  LivenessReady: True\n"
        f"  GET {tool}/user\n"
        "      Authorization: **********\n"
        "      -> 200\n"
        "      success: status code 200 to 299\n"
        "  AuthReady: True\n"
    )
    assert captured.err == ""


async def test_a_wrong_password(tool: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.yaml").write_text(MANIFESTS.format(address=tool).replace("canary-4f1d", "canary-wrong"))
    assert await run("repo", str(tmp_path), "-n", "team") == 1
    captured = capsys.readouterr()
    assert "  AuthReady: False AuthenticationFailed: Authentication failed: status code 401\n" in captured.out
    assert "canary" not in captured.out + captured.err


async def test_without_its_secret(tool: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.yaml").write_text(MANIFESTS.format(address=tool).replace("name: login, ", "name: other, "))
    assert await run("repo", str(tmp_path), "-n", "team") == 1
    assert "  AuthReady: Unknown SecretNotFound: not judged: secrets" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("nope", "{path}", "-n", "team"), "error: the manifests hold no Connector team/nope; check NAME, and -n"),
        (("repo", "{path}"), "error: the manifests hold no Connector default/repo"),
        (("repo", "{path}/nowhere"), "error: "),
        (("repo", "--server", "http://127.0.0.1:1"), "error: cannot reach http://127.0.0.1:1"),
    ],
)
async def test_nobody_was_asked(
    words: tuple[str, ...], error: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.yaml").write_text(MANIFESTS.format(address="https://tool.example"))
    assert await run(*(word.format(path=tmp_path) for word in words)) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(error)


async def test_without_a_server_it_says_that_manifests_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert await run("repo", "-n", "team", "--server", "http://127.0.0.1:1") == 2
    said = capsys.readouterr().err
    assert "start `connectors serve PATH`" in said
    assert said.endswith("; or name the manifests: connectors probe repo -n team PATH\n")


async def test_an_invalid_connector_is_not_probed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.yaml").write_text(MANIFESTS.format(address="nowhere"))
    assert await run("repo", str(tmp_path), "-n", "team") == 2
    assert "error: Connector team/repo is invalid: spec.address" in capsys.readouterr().err


async def test_t23_it_goes_through_the_proxy_that_the_traffic_goes_through(
    tool: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # What answers for the tool stands in for a proxy: it takes the whole URL, too.
    (tmp_path / "a.yaml").write_text(MANIFESTS.format(address="http://tool.example"))
    (tmp_path / "login").write_text("robot:canary-proxy")
    words = ("repo", str(tmp_path / "a.yaml"), "-n", "team", "--upstream-proxy", tool)
    assert await run(*words, "--upstream-proxy-credentials", str(tmp_path / "login")) == 0
    captured = capsys.readouterr()
    assert "GET http://tool.example/user\n" in captured.out
    assert "AuthReady: True" in captured.out
    assert "canary" not in captured.out + captured.err
    with pytest.raises(SystemExit):
        await run(*words, "--upstream-proxy-credentials", "lab=/login")
    assert "there is no proxy lab" in capsys.readouterr().err
