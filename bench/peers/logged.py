"""A proxy whose output goes to a file: to read it line by line would take a core from what is measured."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from http import HTTPStatus
from pathlib import Path

import aiohttp

from bench.peers.peer import CannotError
from standalone.child import Child

POLL = 0.02
# The shell becomes the program, so its process is the one that is measured.
INTO_FILE = 'log="$1"; shift; exec "$@" >"$log" 2>&1'


class Logged:
    """A running program and the file that it writes to."""

    def __init__(self, child: Child, log: Path) -> None:
        self.child = child
        self._log = log

    @property
    def pid(self) -> int:
        """Its process."""
        return self.child.pid

    @classmethod
    async def start(
        cls,
        exits: AsyncExitStack,
        command: Sequence[str],
        folder: Path,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        pass_fds: Sequence[int] = (),
    ) -> Logged:
        """Start `command`, until `exits` are left; `env` comes on top of PATH and HOME, which is `folder`."""
        environment = {"PATH": os.defpath, "HOME": str(folder), **(env or {})}
        whole = ["/bin/sh", "-c", INTO_FILE, "sh", str(folder / "log"), *command]
        child = await Child.start(command[0], whole, env=environment, cwd=cwd, pass_fds=pass_fds)
        exits.push_async_callback(child.stop)
        return cls(child, folder / "log")

    async def line(self, pattern: str, seconds: float = 30.0) -> re.Match[str]:
        """The first place in its output with this pattern (multi-line).

        Raises:
            CannotError: it has ended, or `seconds` have passed.
        """
        end = time.monotonic() + seconds
        while (found := re.search(pattern, self._text(), re.MULTILINE)) is None:
            await self._pause(end, f"say {pattern!r}")
        return found

    async def listening(self, port: int, seconds: float = 30.0) -> None:
        """Return once it takes connections on this port of 127.0.0.1.

        Raises:
            CannotError: as for `line`.
        """
        end = time.monotonic() + seconds
        while True:
            with suppress(ConnectionRefusedError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await self._pause(end, f"listen on port {port}")

    async def serving(self, url: str, seconds: float = 30.0) -> None:
        """Return once a request to this address is answered with 200: some listen before they know their way.

        Raises:
            CannotError: as for `line`.
        """
        end = time.monotonic() + seconds
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as session:
            while True:
                with suppress(aiohttp.ClientError):
                    async with session.get(url + "/small/") as answer:
                        if answer.status == HTTPStatus.OK:
                            return
                await self._pause(end, f"serve {url}")

    async def _pause(self, end: float, what: str) -> None:
        if self.child.exit_code is not None or time.monotonic() > end:
            raise CannotError(f"{self.child.name} did not {what}; it said: {self._text()[-2000:]}")
        await asyncio.sleep(POLL)

    def _text(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""
