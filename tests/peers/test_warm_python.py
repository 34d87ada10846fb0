from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from standalone.child import ChildError
from tests.peers.warm_python import start_warm

USAGE = "usage: connectors"
PORTS = ("--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")


async def test_the_exit_code_and_the_output_are_those_of_the_module() -> None:
    child = await start_warm("a mistake", "standalone", "serve", "/nonexistent", "--no-such-flag")
    assert await child.wait() == 2
    assert "--no-such-flag" in child.log
    child = await start_warm("help", "standalone", "--help")
    assert await child.wait() == 0
    assert child.log.startswith(USAGE)


async def test_signals_reach_it_and_it_has_no_variable_but_path(tmp_path: Path) -> None:
    child = await start_warm("serve", "standalone", "serve", str(tmp_path), *PORTS, folder=tmp_path)
    await child.line("ready: 0 connectors")
    assert child.exit_code is None
    process = Path(f"/proc/{child.pid}")
    assert (process / "cwd").readlink() == tmp_path
    assert await child.stop() == 0
    assert not process.exists()
    assert await child.stop() == 0


async def test_one_that_is_killed_is_told_from_one_that_ends(tmp_path: Path) -> None:
    both = await asyncio.gather(*(start_warm("serve", "standalone", "serve", str(tmp_path), *PORTS) for _ in range(2)))
    for child in both:
        await child.line("ready")
    first, second = both
    os.kill(first.pid, signal.SIGKILL)
    assert await first.wait() == -signal.SIGKILL
    assert second.exit_code is None
    assert await second.stop() == 0


async def test_what_goes_wrong_in_it_is_told_as_ever() -> None:
    child = await start_warm("nothing", "no_such_module")
    with pytest.raises(ChildError, match="No module named no_such_module"):
        await child.line("ready")
    assert child.exit_code == 1
