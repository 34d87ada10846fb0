"""The audit log of a real `connectors serve`: rotated under load, full, missing, on standard output."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import msgspec
import pytest
from watchfiles import Change, awatch

from proxy.audit.audit_log import AuditCaller, AuditRecord, Decision, UsedSecret
from standalone.child import Child
from standalone.demo import CHECKOUT
from tests.peers.dialogue import OK
from tests.peers.fixtures import StartProxy
from tests.peers.manifests import auth, basic_auth, caller_token, connector, write
from tests.peers.proxy_process import ProxyProcess
from tests.peers.raw_upstream import RawUpstream, answering

pytestmark = [pytest.mark.e2e]

CLIENTS = 20
REQUESTS = 2000
ROTATIONS = 10
NOTICED = 3.0
"""Seconds: the promise is one; a busy machine may be late."""


@pytest.fixture
async def manifests(tmp_path: Path) -> AsyncIterator[Path]:
    async with RawUpstream(answering(OK)) as upstream:
        yield write(
            tmp_path / "manifests",
            connector("tool", upstream.address, auth=auth("basicAuth", "login")),
            basic_auth("login", "robot", "canary-11f0"),
            caller_token("ci", "canary-22e1"),
        )


def records(*files: Path) -> list[AuditRecord]:
    lines = [line for file in files for line in file.read_bytes().splitlines()]
    return [msgspec.json.decode(line, type=AuditRecord) for line in lines]


async def ask(proxy: ProxyProcess, path: str = "/x", status: int = 200) -> str:
    """One request; the id of a refused one."""
    headers = {"Authorization": "Bearer canary-22e1"}
    async with aiohttp.ClientSession() as session, session.get(proxy.path_form("tool") + path, headers=headers) as got:
        assert got.status == status
        return got.headers.get("X-Request-Id", "")


async def test_who_asked_what_of_whom(tmp_path: Path, manifests: Path, start_proxy: StartProxy) -> None:
    log = tmp_path / "audit.log"
    proxy = await start_proxy(manifests, "--client-auth", "token", "--audit-log", str(log))
    await ask(proxy, "/x?token=canary-33d2")
    request_id = await ask(proxy, "@absent/y", 400)
    assert await proxy.child.stop() == 0
    good, bad = records(log)
    assert good.caller == AuditCaller("system:serviceaccount:default:ci", "", (), "")
    assert (good.connector, good.decision, good.status) == ("default/tool", Decision.ALLOWED, 200)
    assert isinstance(good.secret, UsedSecret)
    assert good.secret.name == "login"
    assert good.secret.resource_version
    assert (bad.request, bad.decision, bad.status, bad.secret) == (request_id, Decision.REFUSED, 400, None)
    assert f"request={request_id}" in proxy.child.log
    assert b"canary" not in log.read_bytes()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


@pytest.mark.parametrize("hang_up", [True, False], ids=["SIGHUP", "no signal"])
async def test_rotation_under_load_loses_and_doubles_nothing(
    tmp_path: Path, manifests: Path, start_proxy: StartProxy, hang_up: bool
) -> None:
    log = tmp_path / "logs" / "audit.log"
    log.parent.mkdir()
    proxy = await start_proxy(manifests, "--audit-log", str(log), "--access-log", "off")

    def rotate(number: int) -> None:
        log.rename(log.with_suffix(f".{number}"))
        if hang_up:
            os.kill(proxy.child.pid, signal.SIGHUP)

    await under_load(proxy, rotate)
    assert await proxy.child.stop() == 0
    files = sorted(log.parent.iterdir())
    assert len(files) == ROTATIONS + 1
    found = records(*files)
    seen = Counter(record.path.rpartition("/")[2] for record in found)
    assert seen == {str(number): 1 for number in range(REQUESTS)}
    assert len({record.request for record in found}) == REQUESTS


async def under_load(proxy: ProxyProcess, rotate: Callable[[int], None]) -> None:
    """REQUESTS requests by CLIENTS clients; `rotate` is called ROTATIONS times in between, after equally many."""
    numbers = iter(range(REQUESTS))
    done, turns = 0, iter(range(ROTATIONS))

    async def client(session: aiohttp.ClientSession) -> None:
        nonlocal done
        for number in numbers:
            async with session.get(f"{proxy.path_form('tool')}/{number}") as response:
                assert response.status == 200
            done += 1
            if done % (REQUESTS // (ROTATIONS + 1)) == 0 and (turn := next(turns, None)) is not None:
                rotate(turn)

    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(client(session))


@pytest.mark.parametrize("way", ["rename", "removal"])
async def test_an_idle_proxy_notices_too(tmp_path: Path, manifests: Path, start_proxy: StartProxy, way: str) -> None:
    log = tmp_path / "logs" / "audit.log"
    log.parent.mkdir()
    await start_proxy(manifests, "--audit-log", str(log))
    ready, appeared = asyncio.Event(), asyncio.Event()

    async def watch() -> None:
        # It yields nothing at first, but for a timeout once it watches.
        async for changes in awatch(log.parent, rust_timeout=50, yield_on_timeout=True, step=10, debounce=20):
            ready.set()
            if any(change is Change.added and path == str(log) for change, path in changes):
                appeared.set()

    watching = asyncio.create_task(watch())
    await asyncio.wait_for(ready.wait(), 10)
    began = time.monotonic()
    if way == "rename":
        log.rename(log.with_suffix(".1"))
    else:
        log.unlink()
    await asyncio.wait_for(appeared.wait(), 10)
    assert time.monotonic() - began < NOTICED
    watching.cancel()


async def test_a_full_disk_fails_no_request(manifests: Path, start_proxy: StartProxy) -> None:
    proxy = await start_proxy(manifests, "--audit-log", "/dev/full")
    for _ in range(3):
        await ask(proxy)
    await proxy.child.line("audit records are lost: cannot write to /dev/full: No space left on device")
    async with aiohttp.ClientSession() as session, session.get(f"{proxy.admin}/metrics") as metrics:
        assert "connectors_proxy_audit_records_lost_total 3.0\n" in await metrics.text()
    assert proxy.child.log.count("audit records are lost") == 1


async def test_what_cannot_be_opened_ends_the_command(tmp_path: Path, manifests: Path) -> None:
    command = [sys.executable, "-m", "standalone", "serve", str(manifests), "--listen", "127.0.0.1:0"]
    command += ["--admin", "127.0.0.1:0", "--audit-log", str(tmp_path / "absent" / "audit.log")]
    child = await Child.start("connectors serve", command, env={"PATH": os.defpath}, cwd=CHECKOUT)
    await child.line(
        r"^connectors serve: error: cannot write to \S+/audit\.log: No such file or directory; .*--audit-log"
    )
    assert await child.wait() == 1
    await child.stop()


async def test_standard_output_holds_records_alone_and_a_hang_up_ends_nothing(
    tmp_path: Path, manifests: Path, start_proxy: StartProxy
) -> None:
    out = tmp_path / "out"
    script = tmp_path / "python"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@" > "{out}"\n', encoding="utf-8")
    script.chmod(0o700)
    proxy = await start_proxy(manifests, "--audit-log", "-", python=str(script))
    await ask(proxy)
    os.kill(proxy.child.pid, signal.SIGHUP)
    await ask(proxy)
    assert await proxy.child.stop() == 0
    assert [record.path.rpartition("/")[2] for record in records(out)] == ["x", "x"]


async def test_a_hang_up_ends_a_proxy_without_an_audit_log(manifests: Path, start_proxy: StartProxy) -> None:
    # A child inherits it where it is ignored, as under nohup.
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        proxy = await start_proxy(manifests)
    finally:
        signal.signal(signal.SIGHUP, before)
    os.kill(proxy.child.pid, signal.SIGHUP)
    assert await proxy.child.wait() == -signal.SIGHUP


async def test_a_request_that_is_cut_off_leaves_a_record(
    tmp_path: Path, raw_upstream: RawUpstream, start_proxy: StartProxy
) -> None:
    log = tmp_path / "audit.log"
    folder = write(tmp_path / "manifests", connector("tool", raw_upstream.address, auth=auth("basicAuth")))
    proxy = await start_proxy(folder, "--audit-log", str(log), "--drain-timeout", "10ms")
    _, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"GET /x HTTP/1.1\r\nHost: c-tool.default.localhost\r\n\r\n")
    await (await raw_upstream.accept()).read_head()
    await proxy.child.stop()
    (record,) = records(log)
    assert (record.status, record.reason, record.decision) == (499, "shut down", Decision.ALLOWED)
    writer.close()
