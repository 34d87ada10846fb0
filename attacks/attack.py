"""What an attack is: a name, what it was known to do, and how it is played against a scene."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from attacks.hostile import HostileTool
from attacks.watching import Watching
from bench.callers import Callers
from tests.peers.manifests import Manifest

LOUD, CALM = "loud", "calm"
"""The namespaces of the attacker and of the other tenant."""


class CannotPlayError(Exception):
    """The machine lacks something that this attack needs; the message names it."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of it: connections of a crowd, seconds that it lasts, of a look at the other tenant behind it."""

    connections: int = 4000
    seconds: float = 3.0
    after: float = 0.5


SHORT = Scale(400, 1.0, 0.2)


@dataclass(frozen=True, slots=True)
class Scene:
    """A running proxy and who stands around it. `manifests`: the folder that it serves; `neighbour`: a command.

    `callers`: those with tokens, where an API server is asked about them."""

    exits: AsyncExitStack
    manifests: Path
    scale: Scale
    port: int
    admin: str
    watching: Watching
    hostile: HostileTool
    neighbour: Sequence[str]
    callers: Callers | None = None

    def host(self, name: str = "evil") -> str:
        """The Host of one of the attacker's Connectors."""
        return f"c-{name}.{LOUD}.localhost"

    def request(self, path: str, *fields: str, name: str = "evil", method: str = "GET") -> bytes:
        """A request to one of the attacker's Connectors."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.host(name)}", *fields, "", ""]
        return "\r\n".join(lines).encode("latin-1")

    @property
    def end(self) -> float:
        """When an attack that begins now ends, in the loop's time."""
        return asyncio.get_running_loop().time() + self.scale.seconds


@dataclass(frozen=True, slots=True)
class Played:
    """What was done, in words, and the promises of the attack's own that were broken."""

    done: str
    faults: list[str] = field(default_factory=list)


Play = Callable[[Scene], Awaitable[Played]]
Around = Callable[[AsyncExitStack, Path], Awaitable[Sequence[str]]]
Stage = Callable[["Attack", "Setting"], Awaitable[Scene]]


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a scene is built: everything ends with `exits`, everything is below `folder`."""

    exits: AsyncExitStack
    folder: Path
    scale: Scale
    workers: int


def _nothing(tool: str) -> list[Manifest]:
    return []


@dataclass(frozen=True, slots=True)
class Attack:
    """One row of docs/security-tests.md.

    `what`: one sentence on what it does; `found`: what it cost when it was found. `options`: of the process;
    `{connections}` in them is the number of a crowd. `manifests`: more of them, for the address of the hostile tool.
    `around`: makes a command that the process runs in. `stage`: builds another scene. `token`: the attacker's, where
    callers must show one. `tls`: the proxy serves TLS. `calm_by_name`: the other tenant's tool is known by a name.
    `quick`: a part of the short form. `single`: not played with more workers.
    """

    name: str
    threat: int
    what: str
    found: str
    play: Play
    options: tuple[str, ...] = ()
    manifests: Callable[[str], list[Manifest]] = _nothing
    around: Around | None = None
    stage: Stage | None = None
    token: str = ""
    tls: bool = False
    calm_by_name: bool = False
    quick: bool = False
    single: bool = False
