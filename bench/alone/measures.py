"""Everything that is measured of this proxy alone, one after another."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.alone import idle_clients, many_connectors, reload
from bench.alone.many_connectors import FEW
from bench.alone.serving import RIGHT, Files, Stored, serving
from bench.load import LoadError
from bench.peers.peer import CannotError
from standalone.child import ChildError
from standalone.demo import CHECKOUT
from tests.peers.fake_api_server import FakeApiServer

# Connectors that are served while one of them changes under load.
AMONG = 100
Numbers = dict[str, float]


@dataclass(frozen=True, slots=True)
class Size:
    """How much: idle clients, Connectors, seconds of load; and the tree whose proxy it is."""

    clients: int
    connectors: int
    seconds: int
    checkout: Path = CHECKOUT


async def measure_alone(
    size: Size, tool: str, folder: Path, tell: Callable[[str], None]
) -> tuple[dict[str, Numbers], list[str]]:
    """Numbers by what they are of; and what failed, which stops none of the rest."""
    work: dict[str, Callable[[Size, str, Path], Awaitable[Numbers]]] = {
        "idle clients": _idle,
        "Connectors in files": _in_files,
        "Connectors on an API server": _stored,
        "changes under load": _changes,
    }
    found, failed = {}, []
    for number, (name, measure) in enumerate(work.items(), 1):
        tell(f"alone [{number}/{len(work)}] {name}")
        place = folder / f"alone-{number}"
        place.mkdir()
        try:
            found[name] = {key: float(f"{value:.4g}") for key, value in (await measure(size, tool, place)).items()}
        except (CannotError, ChildError, LoadError, OSError, RuntimeError, ValueError) as error:
            failed.append(f"{name}: {error}")
        tell("  " + ", ".join(f"{key}: {value:g}" for key, value in found.get(name, {}).items()))
    return found, failed


async def _idle(size: Size, tool: str, folder: Path) -> Numbers:
    idle_clients.allow_files(size.clients)
    most = ("--max-connections", str(2 * size.clients + idle_clients.WARM))
    async with serving(Files(folder / "files", tool, 1, RIGHT), folder / "log", most, size.checkout) as proxy:
        return await idle_clients.measure(proxy, size.clients)


async def _in_files(size: Size, tool: str, folder: Path) -> Numbers:
    few, many = Files(folder / "few", tool, FEW), Files(folder / "many", tool, size.connectors)
    return await many_connectors.measure(few, many, size.connectors, folder, size.checkout)


async def _stored(size: Size, tool: str, folder: Path) -> Numbers:
    async with AsyncExitStack() as exits:
        servers = [await exits.enter_async_context(FakeApiServer()) for _ in range(2)]
        few = Stored(servers[0], folder / "few", tool, FEW)
        many = Stored(servers[1], folder / "many", tool, size.connectors)
        return await many_connectors.measure(few, many, size.connectors, folder, size.checkout)


async def _changes(size: Size, tool: str, folder: Path) -> Numbers:
    files = Files(folder / "files", tool, AMONG, RIGHT)
    async with serving(files, folder / "log", checkout=size.checkout) as proxy:
        return await reload.measure(proxy, lambda turn: files.change(0, RIGHT, f"turn {turn}"), size.seconds)
