"""Running a process on an event loop until signals end it: the first asks to drain, the second to hurry."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine

from connectors.process.parsers import HostPort


def run(work: Coroutine[object, object, int]) -> int:
    """Run `work` to its exit code, on uvloop where there is one."""
    try:
        import uvloop  # it has no wheels for some platforms, and everything works without it
    except ImportError:
        return asyncio.run(work)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def refuse(program: str, message: str) -> int:
    """Say on standard error why it cannot begin, as argparse says what it refuses; returns the exit code."""
    print(f"{program}: error: {message}", file=sys.stderr)  # noqa: T201 - for the person who has just typed the command
    return 1


class Signals:
    """SIGTERM and SIGINT, and SIGHUP if it is asked for. Only on a running event loop."""

    def __init__(self) -> None:
        self.first = asyncio.Event()
        self.second = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._arrived)

    def on_hang_up(self, act: Callable[[], None]) -> None:
        """Call `act` at each SIGHUP, which without this ends the process as it always does."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, act)

    def _arrived(self) -> None:
        (self.second if self.first.is_set() else self.first).set()


async def until(event: asyncio.Event, work: Coroutine[object, object, None]) -> bool:
    """Run `work`, at most until `event` is set. Returns whether it came to its end."""
    running = asyncio.create_task(work)
    waiting = asyncio.create_task(event.wait())
    await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if running.done():
        running.result()
        return True
    running.cancel()
    return False


# The version of this program: pyproject.toml's, which an image does not hold.
VERSION = "0.1.0"


def cannot_listen(where: HostPort, flag: str, error: OSError) -> str:
    """What to say when a port cannot be listened on: the cause, and the flag that chooses another address."""
    return f"cannot listen on {where}: {_cause(error)}; choose another address with {flag}"


def _cause(error: OSError) -> str:
    # asyncio puts the address into the text a second time; a name that does not resolve has numbers of its own.
    if error.errno and not isinstance(error, socket.gaierror):
        return os.strerror(error.errno)
    return error.strerror or str(error)
