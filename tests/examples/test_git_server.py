"""examples/git_server with real git and raw sockets, without any proxy."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import os
import socket
import sys
from pathlib import Path

import pytest

from standalone.child import Child
from standalone.demo import CHECKOUT, GIT_SERVER
from tests.peers.fixtures import StartGitServer
from tests.peers.git_server import PASSWORD, USERNAME, GitServer
from tests.peers.raw_client import connected

LOGIN = base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode("ascii")
UPLOAD_PACK = "/tools/git/demo.git/git-upload-pack"


def port(server: GitServer) -> int:
    return int(server.address.split(":")[2].split("/")[0])


def head(method: str, path: str, *fields: str, login: str = LOGIN) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: git", f"Authorization: Basic {login}", *fields]
    return "\r\n".join([*lines, "", ""]).encode()


def ls_refs() -> bytes:
    return b"0014command=ls-refs\n" + b"0001" + b"0009peel\n" + b"0000"


def git_processes(server: Child) -> int:
    """How many git processes the server has running (Linux)."""
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children")
    return len(children.read_text(encoding="ascii").split())


async def test_wrong_and_missing_passwords_are_refused_and_recorded_masked(start_git_server: StartGitServer) -> None:
    server = await start_git_server()
    async with connected(port(server)) as client:
        client.send(head("GET", "/tools/git/demo.git/info/refs?service=git-upload-pack", login="d3JvbmctY2FuYXJ5"))
        assert (await client.read_head()).startswith(b"HTTP/1.1 401 ")
    assert [entry.authorized for entry in server.seen()] == [False]
    text = server.journal.read_text(encoding="utf-8")
    assert "d3JvbmctY2FuYXJ5" not in text
    assert "Basic ********" in text


@pytest.mark.parametrize("encoded", [False, True], ids=["plain", "gzip"])
async def test_body_reaches_git_also_compressed_and_chunked(start_git_server: StartGitServer, encoded: bool) -> None:
    server = await start_git_server()
    body = gzip.compress(ls_refs()) if encoded else ls_refs()
    fields = ["Content-Type: application/x-git-upload-pack-request", "Git-Protocol: version=2"]
    fields += ["Content-Encoding: gzip"] if encoded else []
    async with connected(port(server)) as client:
        client.send(head("POST", UPLOAD_PACK, *fields, "Transfer-Encoding: chunked", "Connection: close"))
        for byte in body:
            client.send(b"1\r\n" + bytes([byte]) + b"\r\n")
        client.send(b"0\r\n\r\n")
        answer = await client.read_to_eof()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"refs/heads/main" in answer


async def test_status_of_git_is_passed_on(start_git_server: StartGitServer) -> None:
    server = await start_git_server()
    async with connected(port(server)) as client:
        client.send(head("GET", "/tools/git/nothing.git/info/refs?service=git-upload-pack"))
        assert (await client.read_head()).startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize(
    ("login", "first"), [(LOGIN, b"HTTP/1.1 100 "), ("d3Jvbmc=", b"HTTP/1.1 401 ")], ids=["right", "wrong"]
)
async def test_body_is_asked_for_with_the_right_password_only(
    start_git_server: StartGitServer, login: str, first: bytes
) -> None:
    server = await start_git_server()
    fields = ["Content-Type: application/x-git-upload-pack-request", "Content-Length: 4", "Expect: 100-continue"]
    async with connected(port(server)) as client:
        client.send(head("POST", UPLOAD_PACK, *fields, login=login))
        assert (await client.read_head()).startswith(first)


async def test_git_ends_when_the_client_goes(tmp_path: Path) -> None:
    stubborn = tmp_path / "git"  # the real one ends by itself once its input does
    stubborn.write_text("#!/bin/sh\necho 'Status: 200'\necho\necho working\nexec sleep 60\n", encoding="utf-8")
    stubborn.chmod(0o755)
    command = [sys.executable, str(GIT_SERVER), "--root", str(tmp_path), "--port", "0", "--username", USERNAME]
    env = {"PATH": f"{tmp_path}{os.pathsep}{os.defpath}", "PASSWORD": PASSWORD}
    server = await Child.start("the git server", [*command, "--password-env", "PASSWORD"], env=env)
    try:
        listening = await server.line(r":(\d+)$")
        async with asyncio.timeout(10):
            async with connected(int(listening[1])) as client:
                client.send(head("GET", "/demo.git/info/refs"))
                await client.read_until(b"working")
                assert git_processes(server) == 1
            while git_processes(server):  # noqa: ASYNC110 - the kernel's process table has no event to wait for
                await asyncio.sleep(0.01)
    finally:
        await server.stop()


async def test_journal_has_headers_as_they_came(start_git_server: StartGitServer) -> None:
    server = await start_git_server()
    async with connected(port(server)) as client:
        client.send(head("GET", "/tools/git/demo.git/HEAD?a=%2F", "X-Odd_Case: 1", "PRIVATE-TOKEN: canary"))
        await client.read_head()
    entry = json.loads(server.journal.read_text(encoding="utf-8"))
    assert entry["path"] == "/tools/git/demo.git/HEAD?a=%2F"
    assert ["X-Odd_Case", "1"] in entry["headers"]
    assert ["PRIVATE-TOKEN", "********"] in entry["headers"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--password-env", "NOT_SET"], "environment variable NOT_SET is not set; set it to the password"),
        (["--password-env", "PATH", "--root", "/dev/null/x"], "cannot be made: Not a directory; choose another folder"),
        (["--password-env", "PATH", "--port", "70000"], "a port is a number from 0 to 65535"),
        (["--password-env", "PATH", "--port", "BUSY"], "cannot be listened on: "),
    ],
    ids=["no password", "no root", "no port", "busy port"],
)
async def test_bad_options_are_told(tmp_path: Path, options: list[str], message: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        words = [str(busy.getsockname()[1]) if word == "BUSY" else word for word in options]
        command = [sys.executable, str(GIT_SERVER), "--root", str(tmp_path), "--username", "u", *words]
        child = await Child.start("the git server", command, env={"PATH": os.defpath}, cwd=CHECKOUT)
        assert await child.wait() in {1, 2}
    assert message in child.log
    assert "Traceback" not in child.log
