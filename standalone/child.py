"""A child process whose output is read line by line: started, waited for, ended."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

# Lines of output that are kept: enough to tell why a process failed, bounded for one that runs for days.
KEPT_LINES = 10_000
# Bytes of one line.
LINE_LIMIT = 1024 * 1024
# Seconds between SIGTERM and SIGKILL: longer than `connectors serve` takes to drain.
KILL_AFTER = 35.0


class ChildError(Exception):
    """The process ended, or stayed silent, before it said what was waited for. The message holds its last output."""


class Process(Protocol):
    """The part of a started process that is needed; asyncio.subprocess's has it."""

    @property
    def pid(self) -> int:
        """The process's number (PID)."""

    @property
    def returncode(self) -> int | None:
        """None while it runs, -N after signal N."""

    def send_signal(self, signal: int, /) -> None:
        """Raises ProcessLookupError once it has ended."""

    def kill(self) -> None:
        """Send SIGKILL."""

    async def wait(self) -> int:
        """Its return code, once it has ended."""


class Child:
    """A running process; stdout and stderr are one stream of lines."""

    def __init__(self, name: str, process: Process, output: asyncio.StreamReader, pipe: asyncio.ReadTransport) -> None:
        self.name = name
        self.pid = process.pid
        self._process = process
        self._output = output
        self._pipe = pipe
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._changed = asyncio.Condition()
        self._ended = False
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(
        cls,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        pass_fds: Sequence[int] = (),
    ) -> Child:
        """Start `command`; `name` is what messages call it.

        `env` None: this process's own environment. `pass_fds`: descriptors that it inherits under the same numbers.

        Raises:
            OSError: the program cannot be started.
        """

        async def spawn(output: int) -> Process:
            return await asyncio.create_subprocess_exec(
                *command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=env,
                cwd=cwd,
                pass_fds=pass_fds,
            )

        return await cls.spawned(name, spawn)

    @classmethod
    async def spawned(cls, name: str, spawn: Callable[[int], Awaitable[Process]]) -> Child:
        """As `start`, where `spawn` starts the process, with this descriptor as its stdout and stderr.

        Raises:
            OSError: the process cannot be started.
        """
        # A pipe of its own: asyncio's would let wait() hang for as long as any grandchild keeps it open.
        read_end, write_end = os.pipe()
        output, transport = await _reader(read_end)
        try:
            process = await spawn(write_end)
        except OSError:
            transport.close()
            raise
        finally:
            os.close(write_end)
        return cls(name, process, output, transport)

    @property
    def log(self) -> str:
        """The output so far (its last KEPT_LINES lines)."""
        return "\n".join(self._lines)

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.returncode

    async def line(self, pattern: str, seconds: float = 15.0) -> re.Match[str]:
        """The first line, of the past or the future, in which the regular expression `pattern` is found.

        Raises:
            ChildError: the process ended, or `seconds` passed, without such a line.
        """
        expression = re.compile(pattern)
        try:
            async with asyncio.timeout(seconds), self._changed:
                while (found := self._find(expression)) is None and not self._ended:
                    await self._changed.wait()
        except TimeoutError:
            raise ChildError(
                f"{self.name} did not say {pattern!r} within {seconds:g} s; it said:\n{self.log}"
            ) from None
        if found is None:
            await self._process.wait()
            raise ChildError(f"{self.name} ended with exit code {self.exit_code}; it said:\n{self.log}")
        return found

    async def wait(self) -> int:
        """Its exit code, once it has ended and all its output is read."""
        await self._reading
        return await self._process.wait()

    async def stop(self) -> int:
        """SIGTERM, then SIGKILL after KILL_AFTER seconds. Returns the exit code; calling it again does no harm."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(KILL_AFTER):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
        with suppress(TimeoutError):  # a grandchild may hold the pipe open for longer
            async with asyncio.timeout(1.0):
                await self._reading
        self._pipe.close()
        return await self._process.wait()

    def _find(self, expression: re.Pattern[str]) -> re.Match[str] | None:
        return next((found for line in self._lines if (found := expression.search(line))), None)

    async def _read(self) -> None:
        while line := await _line(self._output):
            async with self._changed:
                self._lines.append(line.decode(errors="replace").rstrip("\n"))
                self._changed.notify_all()
        self._pipe.close()
        async with self._changed:
            self._ended = True
            self._changed.notify_all()


async def _reader(descriptor: int) -> tuple[asyncio.StreamReader, asyncio.ReadTransport]:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LINE_LIMIT)
    pipe = os.fdopen(descriptor, "rb", buffering=0)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    return reader, transport


async def _line(output: asyncio.StreamReader) -> bytes:
    try:
        return await output.readline()
    except (
        ValueError
    ):  # asyncio drops a line above its limit; what follows must still be read, or the child would block
        return b"(a line too long to keep)"
