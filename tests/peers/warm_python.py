"""`python -m MODULE WORDS` without its start: a process that has loaded the modules forks for each.

What is forked runs the same `__main__.py` with its own words, environment, folder and output. It differs from one that
a user starts by /proc/PID/cmdline and by the memory that it shares; tests that look at those, or at the start itself,
start it as a user does. Until `ready:` that takes 0.08 s of CPU instead of 0.45.
"""

from __future__ import annotations

import asyncio
import atexit
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

from standalone.child import Child
from standalone.demo import CHECKOUT

# Loaded before anything is forked: all that the three `__main__.py` load, some only when they know their words.
MODULES = ("proxy.command", "controller.command", "standalone.cli", "standalone.serve")
START_SECONDS = 60.0


class Order(NamedTuple):
    """What a forked process is to be."""

    module: str
    words: list[str]
    environment: dict[str, str]
    folder: str


async def start_warm(name: str, module: str, *words: str, folder: Path = CHECKOUT) -> Child:
    """Run `python -m module words`, with PATH as its only variable; `name` is what messages call it."""
    order = Order(module, list(words), {"PATH": os.defpath}, str(folder))
    return await Child.spawned(name, partial(_warm().fork, order))


class _Forked:
    """A process that the warm one has forked and waits for; `status` is the pipe that its end is told through."""

    def __init__(self, pid: int, status: int) -> None:
        self.pid = pid
        self._status = status
        self._loop = asyncio.get_running_loop()
        self._end: asyncio.Future[int] = self._loop.create_future()
        self._loop.add_reader(status, self._ended)

    @property
    def returncode(self) -> int | None:
        return self._end.result() if self._end.done() else None

    def send_signal(self, signal: int, /) -> None:
        if self._end.done():
            raise ProcessLookupError(self.pid)
        os.kill(self.pid, signal)

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self.send_signal(signal.SIGKILL)

    async def wait(self) -> int:
        return await asyncio.shield(self._end)

    def _ended(self) -> None:
        self._loop.remove_reader(self._status)
        text = os.read(self._status, 16)
        os.close(self._status)
        # Nothing is told when the warm process itself was killed: then nothing is known of those that it forked.
        self._end.set_result(int(text or -signal.SIGKILL))


class _Warm:
    """The warm process of this one; it ends with it."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair()
        self._control.settimeout(START_SECONDS)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.peers.warm_python", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={"PATH": os.defpath},
                cwd=CHECKOUT,
                pass_fds=[theirs.fileno()],
            )
        atexit.register(self.close)

    async def fork(self, order: Order, output: int) -> _Forked:
        """Milliseconds, once it has loaded its modules; so it may block.

        Raises:
            OSError: the warm process has ended.
        """
        read_end, write_end = os.pipe()
        try:
            socket.send_fds(self._control, [json.dumps(order).encode() + b"\n"], [output, write_end])
            pid = int(_line(self._control.recv(16)))
        except OSError:
            os.close(read_end)
            raise
        finally:
            os.close(write_end)
        return _Forked(pid, read_end)

    def close(self) -> None:
        """Let it end."""
        self._control.close()
        self._process.wait()


@cache
def _warm() -> _Warm:
    return _Warm()


def _line(received: bytes) -> bytes:
    if not received.endswith(b"\n"):
        raise ConnectionResetError("the warm process has ended")
    return received


def _serve(control: socket.socket) -> Order | None:
    """Fork for each order until the other end is closed. Returns once more in each forked process, with its order."""
    children: dict[int, int] = {}
    woken, wakes = socket.socketpair()
    woken.setblocking(False)
    wakes.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakes.fileno())
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        while True:
            ready = {key.fileobj for key, _ in selector.select()}
            if woken in ready:
                woken.recv(4096)
                _reap(children)
            if control not in ready:
                continue
            text, descriptors, _, _ = socket.recv_fds(control, 65536, 2)
            if not text:
                return None
            while not text.endswith(b"\n"):
                text += control.recv(65536)
            output, status = descriptors
            pid = os.fork()
            if not pid:
                break
            os.close(output)
            children[pid] = status
            control.sendall(b"%d\n" % pid)
    # A forked process: what was the warm one's is given up.
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for ours in (control, woken, wakes):
        ours.close()
    for descriptor in (status, *children.values()):
        os.close(descriptor)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    return Order(*json.loads(text))


def _reap(children: dict[int, int]) -> None:
    with suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            pid, status = found
            told = children.pop(pid)
            with suppress(BrokenPipeError):  # its test has ended already
                os.write(told, b"%d" % os.waitstatus_to_exitcode(status))
            os.close(told)


def _main(words: Sequence[str]) -> None:
    for module in MODULES:
        importlib.import_module(module)
    order = _serve(socket.socket(fileno=int(words[0])))
    if order:
        os.environ.clear()
        os.environ.update(order.environment)
        os.chdir(order.folder)
        sys.argv[1:] = order.words
        runpy.run_module(order.module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main(sys.argv[1:])
