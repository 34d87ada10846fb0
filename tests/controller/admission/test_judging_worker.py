"""Threat 36: what the process that judges is given, and what it may take."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from connectors.process.backoff import Backoff
from connectors.process.workers import Link, Workers, WorkersPlan
from controller.admission.judging import JudgingKind
from controller.admission.judging_worker import MOST_MEMORY

MODULE = "controller.admission.judging_worker"


class Begun:
    """One such process."""

    def __init__(self) -> None:
        self.link: Link | None = None
        self.came = asyncio.Event()
        plan = WorkersPlan(MODULE, 1, backoff=lambda: Backoff(0.01, 0.01), environment={})
        self.workers = Workers(plan, self._converse, lambda _: None)

    async def _converse(self, link: Link) -> None:
        assert await link.frames.receive() == (JudgingKind.READY, b"")
        self.link = link
        self.came.set()
        await asyncio.Event().wait()

    @property
    def proc(self) -> Path:
        assert self.link is not None
        return Path(f"/proc/{self.link.pid}")


@pytest.fixture
async def begun(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Begun]:
    monkeypatch.setenv("CANARY_TOKEN", "canary")
    made = Begun()
    made.workers.start()
    async with asyncio.timeout(30):
        await made.came.wait()
    yield made
    await made.workers.kill()


async def test_t36_it_inherits_no_variable_and_no_file(begun: Begun) -> None:
    assert b"canary" not in (begun.proc / "environ").read_bytes()
    own = [entry for entry in (begun.proc / "fd").iterdir() if int(entry.name) > 2]
    kinds = [str(entry.readlink()).partition(":")[0] for entry in own]
    # Its own socket, and what its event loop wakes itself by.
    assert kinds.count("socket") <= 3
    assert set(kinds) <= {"socket", "anon_inode"}


async def test_t36_its_memory_is_bounded(begun: Begun) -> None:
    lines = (begun.proc / "limits").read_text(encoding="ascii").splitlines()
    (data,) = [line.split() for line in lines if line.startswith("Max data size")]
    assert data[3:5] == [str(MOST_MEMORY)] * 2


async def test_it_ends_when_its_parent_is_gone(begun: Begun) -> None:
    assert begun.link is not None
    gone = begun.proc
    await begun.link.frames.abort()
    async with asyncio.timeout(10):
        while gone.exists():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def test_what_it_loads_is_little() -> None:
    """No client of the API server, no web server: what is not there cannot be asked by what it judges."""
    script = f"import {MODULE}, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not {"aiohttp", "connectors.kube.client", "cryptography"} & set(loaded)
