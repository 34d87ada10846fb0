"""Worker processes: started, talked to over a socket each, started again when they end, ended together.

A worker is this program's own Python, started from its file: it inherits no loop, thread, lock or memory, and only
the descriptors that are listed. It learns what it has to know over its socket. No domain words.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from connectors.process.backoff import Backoff
from connectors.process.frames import FrameError, Frames

logger = logging.getLogger("connectors.workers")

# Seconds between the end of a worker's conversation and its own; then it is killed.
LAST_WORDS = 5.0
# Seconds of life after which an end does not count as a failure in a row with those before.
SOUND = 60.0

_ROOT = Path(__file__).resolve().parents[2]
# Runs a module of the very tree that this one is of. Not `-m`, which looks into the working directory first: the owner
# of that could have a module of this name there.
# A terminal sends SIGINT and SIGHUP to all of its processes, and what they mean for a worker its parent tells. So they
# are ignored before anything is loaded: that takes half a second, in which Ctrl-C would end it with a traceback.
_BOOT = (
    "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); signal.signal(signal.SIGHUP, signal.SIG_IGN); "
    "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); "
    "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)


class BrokenWorkerError(Exception):
    """A worker breaks the protocol, and is ended; the message says how."""


class Link:
    """The connection to one worker, for as long as it lives."""

    def __init__(self, number: int, pid: int, frames: Frames) -> None:
        self.number = number
        self.pid = pid
        self.frames = frames

    def __str__(self) -> str:
        return f"worker {self.number} (process {self.pid})"


@dataclass(frozen=True, slots=True)
class WorkersPlan:
    """`module` is what each of `number` workers runs; `descriptors` are what it inherits besides its socket.

    `last_words`: seconds that a worker gets to end in, once the conversation with it is over. `environment`: its
    variables; None for those of this process.
    """

    module: str
    number: int
    descriptors: tuple[int, ...] = ()
    last_words: float = LAST_WORDS
    backoff: Callable[[], Backoff] = field(default=Backoff)
    environment: Mapping[str, str] | None = None


# Talks to one worker until it closes its end; raises BrokenWorkerError to have it killed. Cancelled when it ends.
Converse = Callable[[Link], Coroutine[object, object, None]]


class Workers:
    """Keeps so many workers running."""

    def __init__(self, plan: WorkersPlan, converse: Converse, on_end: Callable[[int], None]) -> None:
        """`on_end` is called with the number of a worker that has ended, for any reason."""
        # Workers that were started in place of one that had ended by itself.
        self.restarts = 0
        self._plan = plan
        self._converse = converse
        self._on_end = on_end
        self._ending = asyncio.Event()
        self._killing = False
        self._keeping: list[asyncio.Task[None]] = []
        self._processes: dict[int, asyncio.subprocess.Process] = {}

    @property
    def running(self) -> int:
        """How many there are now."""
        return len(self._processes)

    def start(self) -> None:
        """Begin to start them, and to keep them running."""
        self._keeping = [asyncio.create_task(self._keep(number)) for number in range(self._plan.number)]

    def no_more(self) -> None:
        """From now on none is started again: they are about to end."""
        self._ending.set()

    async def ended(self) -> None:
        """Wait until every worker has ended, behind `no_more`."""
        if self._keeping:
            await asyncio.wait(self._keeping)

    async def kill(self) -> None:
        """End at once what still runs."""
        self.no_more()
        self._killing = True
        for process in self._processes.values():
            _kill(process)
        await self.ended()

    async def _keep(self, number: int) -> None:
        backoff = self._plan.backoff()
        while not self._ending.is_set():
            begun = time.monotonic()
            how = await self._once(number)
            if self._ending.is_set():
                return
            if time.monotonic() - begun >= SOUND:
                backoff.reset()
            wait = backoff.next()
            logger.error("worker %d %s in %.1f s", number, how, wait)
            try:
                async with asyncio.timeout(wait):
                    await self._ending.wait()
            except TimeoutError:
                self.restarts += 1

    async def _once(self, number: int) -> str:
        """One worker from its start to its end. Returns what happened to it and what comes next, for the log."""
        try:
            process, frames = await self._spawn()
        except OSError as error:
            next_step = "; raise `ulimit -n`" if error.errno in (errno.EMFILE, errno.ENFILE) else ""
            return f"could not be started: {error.strerror or error}{next_step}; that is tried again"
        self._processes[number] = process
        if self._killing:
            _kill(process)
        link = Link(number, process.pid, frames)
        talking = asyncio.create_task(self._talk(link))
        living = asyncio.create_task(process.wait())
        try:
            await asyncio.wait({talking, living}, return_when=asyncio.FIRST_COMPLETED)
            if living.done():
                # Its last words are still to be read; of one that was killed they do not matter.
                await asyncio.wait({talking}, timeout=0.0 if self._killing else min(LAST_WORDS, self._plan.last_words))
            elif not talking.result():
                _kill(process)
            # Where the conversation is over, the worker learns it by this.
            await frames.abort()
            await asyncio.wait({living}, timeout=self._plan.last_words)
        finally:
            if process.returncode is None:
                _kill(process)
            talking.cancel()
            await asyncio.wait({talking, living})
            await frames.abort()
            del self._processes[number]
            self._on_end(number)
        return f"ended ({_how(process.returncode)}); another one takes its place"

    async def _talk(self, link: Link) -> bool:
        """Whether it came to an orderly end."""
        try:
            await self._converse(link)
        except (BrokenWorkerError, FrameError) as error:
            logger.error("%s is ended: %s", link, error)
            return False
        except OSError:
            pass  # it is ending; `_once` tells how, by its exit code
        except Exception:
            logger.exception("%s is ended: talking to it failed; please report it", link)
            return False
        return True

    async def _spawn(self) -> tuple[asyncio.subprocess.Process, Frames]:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            command: Sequence[str] = (
                sys.executable, "-P", "-c", _BOOT, str(_ROOT), self._plan.module, str(theirs.fileno()),
            )  # fmt: skip
            try:
                process = await asyncio.create_subprocess_exec(
                    *command, stdin=subprocess.DEVNULL, pass_fds=(theirs.fileno(), *self._plan.descriptors),
                    env=self._plan.environment,
                )  # fmt: skip
                return process, await Frames.over(ours)
            except BaseException:
                # Cancelled too: one that has begun meanwhile ends when its socket does.
                ours.close()
                raise


def _kill(process: asyncio.subprocess.Process) -> None:
    # It may have ended by itself just now, before `wait` has told of it: another one still has to take its place.
    with suppress(ProcessLookupError):
        process.kill()


def _how(code: int | None) -> str:
    if code is not None and code < 0:
        return f"killed by signal {-code}"
    return f"exit code {code}"
