from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import yaml
from aiohttp import web

from connectors.inventory import build
from connectors.process.health import AdminServer
from connectors.process.parsers import HostPort
from connectors.snapshot import Objects
from standalone.admin_port import MAX_BODY
from standalone.api import api_routes
from standalone.get import main
from standalone.status import StatusBoard, localhost_url
from tests.standalone.builders import repo, some_objects


@asynccontextmanager
async def admin_port(objects: Objects) -> AsyncIterator[str]:
    board = StatusBoard(lambda key: localhost_url(key, 8080), lambda: "2024-10-16T02:27:44Z")
    board.update(build(objects))
    app = web.Application()
    app.add_routes(api_routes(lambda: board.current))
    admin = AdminServer(app, HostPort("127.0.0.1", 0))
    await admin.start()
    yield f"http://127.0.0.1:{admin.port}"
    await admin.stop()


@pytest.fixture
async def server() -> AsyncIterator[str]:
    async with admin_port(some_objects()) as url:
        yield url


@pytest.fixture
async def other() -> AsyncIterator[str]:
    """A server that is no admin port."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text="hello", status=500 if request.path.endswith("classes") else 200)

    app = web.Application()
    app.router.add_get("/{any:.*}", answer)
    admin = AdminServer(app, HostPort("127.0.0.1", 0))
    await admin.start()
    yield f"http://127.0.0.1:{admin.port}"
    await admin.stop()


async def run(server: str, *words: str) -> int:
    return await asyncio.to_thread(main, [*words, "--server", server], {})


@pytest.mark.parametrize(
    ("words", "rows"),
    [
        pytest.param([], ["NAME", "open", "zebra"], id="default"),
        pytest.param(["connectors"], ["NAME", "open", "zebra"], id="connectors"),
        pytest.param(["connector", "zebra"], ["NAME", "zebra"], id="one"),
        pytest.param(["connectors", "-n", "team", "other"], ["NAME", "other"], id="name behind an option"),
        pytest.param(["-A"], ["NAMESPACE", "default", "default", *(["team"] * 4)], id="all namespaces"),
        pytest.param(["connectorclasses"], ["NAME", "git"], id="classes"),
        pytest.param(["connectorclass", "git", "-A"], ["NAME", "git"], id="one class"),
    ],
)
async def test_tables(server: str, words: list[str], rows: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(server, *words) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == rows


async def test_columns(server: str, capsys: pytest.CaptureFixture[str]) -> None:
    await run(server, "connectors", "zebra")
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["NAME", "CLASS", "ADDRESS", "READY", "REASON", "PROXY", "AGE"]
    assert re.match(
        r"zebra   git     https://tool.example   True             http://c-zebra.default.localhost:8080   ", row
    )


async def test_json_and_yaml_are_what_the_server_says(server: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(server, "-o", "json") == 0
    as_json = json.loads(capsys.readouterr().out)
    assert await run(server, "-o", "yaml") == 0
    as_yaml = yaml.safe_load(capsys.readouterr().out)
    assert as_json == as_yaml
    assert (as_json["kind"], len(as_json["items"])) == ("ConnectorList", 2)


async def test_one_object_as_json(server: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(server, "connectors", "open", "-o", "json") == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "Connector"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["connectors", "nope"], 'Error from server (NotFound): connectors.connectors.alauda.io "nope" not found'),
        (["connectors", "../x/%"], 'Error from server (NotFound): connectors.connectors.alauda.io "../x/%" not found'),
        (
            ["nope"],
            (
                'Error from server (NotFound): connectors.connectors.alauda.io "nope" not found '
                "(no resource has that name either: connectors, connectorclasses)"
            ),
        ),
        (
            ["connectorclasses", "x"],
            'Error from server (NotFound): connectorclasses.connectors.alauda.io "x" not found',
        ),
        (
            ["connectors", "x", "-A"],
            "error: a resource cannot be retrieved by name across all namespaces; name one with -n",
        ),
    ],
)
async def test_no_such_name(server: str, words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(server, *words) == 1
    captured = capsys.readouterr()
    assert (captured.out, captured.err.splitlines()[0]) == ("", message)


@pytest.mark.parametrize(
    ("words", "instead"),
    [
        (["nope"], ["in namespace default there are: open, zebra; `connectors get -A` lists all"]),
        (["nope", "-n", "nowhere"], ["`connectors get -A` lists all that there are"]),
        (["connectorclasses", "nope"], ["there are: git; `connectors get connectorclasses` lists all"]),
        (["connectors", "nope", "-A"], []),
    ],
)
async def test_behind_a_name_that_is_not_there_are_those_that_are(
    server: str, words: list[str], instead: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run(server, *words) == 1
    assert capsys.readouterr().err.splitlines()[1:] == instead


async def test_of_many_names_the_first_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    async with admin_port(Objects(connectors=tuple(repo(f"r{number:02}") for number in range(12)))) as server:
        assert await run(server, "nope") == 1
    shown = ", ".join(f"r{number:02}" for number in range(10))
    assert f"there are: {shown}, ...; `connectors get -A`" in capsys.readouterr().err


async def test_an_empty_namespace_is_no_error(server: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(server, "-n", "nowhere") == 0
    assert capsys.readouterr().err == "No resources found in nowhere namespace.\n"


async def test_a_server_that_is_not_there(unused_tcp_port: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(f"http://127.0.0.1:{unused_tcp_port}") == 1
    assert capsys.readouterr().err.strip() == (
        f"error: cannot reach http://127.0.0.1:{unused_tcp_port}: Connection refused; "
        "start `connectors serve PATH`, or give its admin address with --server"
    )


@pytest.mark.parametrize("words", [[], ["connectorclasses"], ["-o", "json"]])
async def test_a_server_that_is_no_admin_port(other: str, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(other, *words) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "give the address of --admin with --server" in captured.err


async def test_the_environment_gives_server_and_namespace(server: str, capsys: pytest.CaptureFixture[str]) -> None:
    environment = {"CONNECTORS_SERVER": server, "CONNECTORS_NAMESPACE": "team", "HTTP_PROXY": "http://127.0.0.1:9"}
    assert await asyncio.to_thread(main, ["connectors", "other"], environment) == 0
    assert "c-other.team" in capsys.readouterr().out


async def test_a_proxy_of_the_environment_is_not_used(
    server: str, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{unused_tcp_port}")
    assert await run(server) == 0


def test_an_unknown_resource_exits_2() -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["secrets", "login"], {})
    assert exit_.value.code == 2


async def test_a_word_that_is_no_resource_names_a_connector(server: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(server, "other", "-n", "team") == 0
    assert "c-other.team" in capsys.readouterr().out


async def test_a_snippet(server: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(server, "connectors", "open", "-o", "snippet") == 0
    out = capsys.readouterr().out
    assert "git clone http://c-open.default.localhost:8080/" in out
    assert "/var/run/secrets/connectors/open/token" in out
    assert await run(server, "other", "-n", "team", "-o", "snippet", "--token-file", "/home/me/token") == 0
    out = capsys.readouterr().out
    assert "cat /home/me/token" in out
    assert "c-other.team" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "error: a snippet is of one Connector; name it: connectors get NAME -o snippet"),
        (["connectorclass", "git"], "error: a snippet is of one Connector; name it: connectors get NAME -o snippet"),
        (["nope"], 'Error from server (NotFound): connectors.connectors.alauda.io "nope" not found'),
        (
            ["classless", "-n", "team"],
            "error: team/classless has no proxy address: ProxyServiceReady is Unknown, ConnectorClassNotFound",
        ),
    ],
)
async def test_no_snippet(server: str, words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(server, *words, "-o", "snippet") == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(message)


@pytest.fixture
async def hostile() -> AsyncIterator[str]:
    """A server whose words drive a terminal, in namespace `big` without end."""
    escape = "\x1b]0;owned\x07\x9b31m"

    async def answer(request: web.Request) -> web.StreamResponse:
        if "/big/" in request.path:
            stream = web.StreamResponse()
            await stream.prepare(request)
            with suppress(ConnectionError):
                for _ in range(MAX_BODY // (1 << 20) + 8):
                    await stream.write(b" " * (1 << 20))
            return stream
        if "/odd/" in request.path:
            metadata = {"name": "x", "namespace": escape}
            body = {"metadata": metadata, "spec": {}, "status": {}}
            return web.json_response(body)
        failure = {"kind": "Status", "message": escape, "reason": escape, "code": 404}
        return web.json_response(failure, status=404)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    admin = AdminServer(app, HostPort("127.0.0.1", 0))
    await admin.start()
    yield f"http://127.0.0.1:{admin.port}"
    await admin.stop()


@pytest.mark.parametrize("words", [("x",), ("x", "-n", "odd", "-o", "snippet")])
async def test_no_server_drives_the_terminal(
    hostile: str, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run(hostile, *words) == 1
    captured = capsys.readouterr()
    assert captured.err.strip()
    assert not set(captured.err + captured.out) & set("\x1b\x07\x9b")


async def test_an_answer_without_end_is_not_read(hostile: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(hostile, "x", "-n", "big") == 1
    assert "larger than 64 MiB" in capsys.readouterr().err
