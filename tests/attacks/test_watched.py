"""The stopwatch in a process that knows nothing of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from attacks.stage import INSIDE
from attacks.watched.sitecustomize import LAYOUT, WATCHED
from standalone.demo import CHECKOUT

BEGIN = """
import asyncio, time, uvloop
from connectors.process.run import run

def busy(seconds):
    begun = time.thread_time()
    while time.thread_time() - begun < seconds:
        pass

class Greeter(asyncio.Protocol):
    def connection_made(self, transport):
        transport.write(b"x")
    def data_received(self, data):
        busy(0.2)
        done.set()

async def step():
    busy(0.2)

async def main():
    global done
    done = asyncio.Event()
"""
PIECES = {
    "Greeter.data_received": """
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Greeter, "127.0.0.1", 0)
    await loop.create_connection(Greeter, *server.sockets[0].getsockname())
    await done.wait()
""",
    "step": "    await asyncio.create_task(step())\n",
    "busy": "    asyncio.get_running_loop().call_later(0, busy, 0.2)\n    await asyncio.sleep(0.1)\n",
}
NOTHING = "    await asyncio.gather(*(asyncio.to_thread(busy, 0.2) for _ in range(2)))\n    time.sleep(0.2)\n"


def watched(tmp_path: Path, rest: str) -> tuple[float, float, str]:
    """Longest piece and round in seconds, and the piece's name."""
    env = {"PATH": os.defpath, "PYTHONPATH": f"{INSIDE}{os.pathsep}{CHECKOUT}", WATCHED: str(tmp_path)}
    script = f"{BEGIN}{rest}    return 0\n\nrun(main())\n"
    subprocess.run([sys.executable, "-c", script], env=env, check=True, timeout=30)
    (written,) = tmp_path.iterdir()
    longest, rounds, name = LAYOUT.unpack(written.read_bytes())
    return longest, rounds, name.rstrip(b"\0").decode()


@pytest.mark.parametrize("name", PIECES)
def test_the_longest_piece_is_found_and_named(tmp_path: Path, name: str) -> None:
    longest, rounds, found = watched(tmp_path, PIECES[name])
    assert 0.2 <= longest < 1.0
    assert rounds >= 0.2
    assert found == name


def test_neither_other_threads_nor_sleep_count(tmp_path: Path) -> None:
    longest, rounds, _ = watched(tmp_path, NOTHING)
    assert longest < 0.1
    assert rounds < 0.1
