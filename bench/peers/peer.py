"""What is asked of every proxy that is measured, and what is known of it once it runs."""

from __future__ import annotations

import base64
import re
import shutil
import socket
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import trustme

# What each of them puts on a request. The tool answers 401 without it.
AUTHORIZATION = "Basic " + base64.b64encode(b"robot:secret").decode("ascii")
# The Host field that every client sends: the Connector's own name, which the others do not look at.
HOST = "c-tool.default.svc"
# Where the Connector is in path form.
PREFIX = "/namespaces/default/connectors/tool"
# Idle connections to the tool that each may keep: more than any scenario has clients.
KEPT = 512


class Callers(StrEnum):
    """How callers prove who they are: ours alone asks for it."""

    ANYONE = "none"
    TOKEN = "token"  # noqa: S105 - a mode's name
    KUBERNETES = "kubernetes"


class Behind(StrEnum):
    """Which tool stands behind: nginx that keeps connections or closes each, or the one for large bodies."""

    KEPT = "kept"
    CLOSING = "closing"
    TLS = "tls"
    TLS_CLOSING = "tls closing"
    BODIES = "bodies"
    TLS_BODIES = "tls bodies"


@dataclass(frozen=True, slots=True)
class Setup:
    """What a proxy is started for. Scenarios with the same Setup share the process."""

    behind: Behind = Behind.KEPT
    callers: Callers = Callers.ANYONE
    listener_tls: bool = False
    access_log: bool = False
    path_form: bool = False


@dataclass(frozen=True, slots=True)
class Site:
    """Where a proxy stands: its own folder, the tool's address, whom to trust, and what its listener shows.

    `token`: what callers show, where `setup.callers` asks for it.
    """

    folder: Path
    setup: Setup
    tool: str
    authority: Path
    leaf: trustme.LeafCert
    token: str = ""

    @property
    def listener(self) -> trustme.LeafCert | None:
        """What the listener shows, where it speaks TLS."""
        return self.leaf if self.setup.listener_tls else None

    @property
    def tool_port(self) -> int:
        """The tool's port, on 127.0.0.1 or, with TLS, localhost."""
        return int(self.tool.rpartition(":")[2])

    @property
    def tool_tls(self) -> bool:
        """Whether the tool speaks TLS."""
        return self.tool.startswith("https:")

    def url(self, port: int) -> str:
        """Where clients reach the tool through a proxy that listens on this port."""
        origin = f"https://localhost:{port}" if self.setup.listener_tls else f"http://127.0.0.1:{port}"
        return origin + PREFIX if self.setup.path_form else origin


@dataclass(frozen=True, slots=True)
class Running:
    """A proxy that serves: its address, the process whose CPU counts (None: none does), fields clients must add."""

    url: str
    pid: int | None
    fields: dict[str, str] = field(default_factory=dict)

    @property
    def process(self) -> int:
        """`pid`, of a proxy that is one.

        Raises:
            ValueError: it is none.
        """
        if self.pid is None:
            raise ValueError("there is no proxy")
        return self.pid


class CannotError(Exception):
    """This proxy cannot be started for a Setup; the message says why."""


Program = Callable[[], str | None]
Start = Callable[[AsyncExitStack, Site], Awaitable[Running]]


@dataclass(frozen=True, slots=True)
class Peer:
    """A proxy to measure. `program` names its executable; `package` is where it comes from."""

    name: str
    start: Start
    program: Program
    package: str
    version: Callable[[], str]
    able: Callable[[Setup], bool] = lambda _: True


def anyone(setup: Setup) -> bool:
    """What a proxy that knows no callers and no Connectors can serve."""
    return setup.callers is Callers.ANYONE and not setup.path_form


def found(program: Program) -> str:
    """Its path.

    Raises:
        CannotError: the machine lacks it.
    """
    path = program()
    if path is None:
        raise CannotError("is missing")
    return path


def said(command: Sequence[str], pattern: str) -> str:
    """What a program says of its version; empty where that has not this pattern."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    match = re.search(pattern, done.stdout + done.stderr)
    return match[1] if match else ""


def on_path(name: str) -> Program:
    """Looks for a program on PATH."""
    return lambda: shutil.which(name)


def free_port() -> int:
    """A port that was free a moment ago, for programs that take no listening socket from outside."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
