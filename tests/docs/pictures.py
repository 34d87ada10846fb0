"""The pictures of docs/architecture.md, drawn from what the code imports: `python -m tests.docs.pictures` writes them.

tests/docs/test_pictures.py draws them again and compares, so that none can show what is not so.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path

from tests.imports import imported_names
from tests.peers.depth import RECONCILE, WARM_REQUEST
from tests.test_layout import PACKAGES, ROOT, sources, tree

Graph = Mapping[str, frozenset[str]]
"""Who imports whom, by name; without cycles."""

WIDTH, HEIGHT = 132, 38
GAP, RISE, MARGIN = 14, 62, 16
"""Pixels: a box, between boxes of a row, between rows, around everything."""
ROUNDS = 24
"""Sweeps that order the boxes of a row so that lines cross less; more change nothing."""


@dataclass(frozen=True, slots=True)
class Picture:
    """`graph` is drawn from the top down; `marked` boxes are filled. `notes` stand below some names.

    No note tells lines: a picture that changes with every edit would be drawn again and looked at by no one.
    """

    title: str
    graph: Graph
    notes: Mapping[str, str]
    marked: frozenset[str] = frozenset()


def module(path: str) -> str:
    """connectors/tls/pool.py -> connectors.tls.pool."""
    return path.removesuffix(".py").replace("/", ".")


@cache
def modules() -> Graph:
    """Every module with code, and the modules that it imports; what is imported for annotations alone is left out."""
    names = {module(path) for path in sources(*PACKAGES) if not path.endswith("__init__.py")}
    return {name: frozenset(_imported(name) & names - {name}) for name in sorted(names)}


def _imported(name: str) -> set[str]:
    return set(imported_names(_statements(tree(name.replace(".", "/") + ".py"))))


def _statements(node: ast.AST) -> Iterable[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from _statements(child)


def room(name: str) -> str:
    """A folder is a room, and so is each module of `connectors` that stands in none."""
    words = name.split(".")
    return ".".join(words[:2]) if words[0] == "connectors" or len(words) > 2 else words[0]


def rooms() -> Picture:
    """All rooms; a line from each to those that it uses, unless it uses them by way of another."""
    between: dict[str, set[str]] = {}
    files: dict[str, int] = {}
    for name, imported in modules().items():
        between.setdefault(room(name), set()).update(room(other) for other in imported)
        files[room(name)] = files.get(room(name), 0) + 1
    graph = {name: frozenset(used - {name}) for name, used in between.items()}
    notes = {name: f"{count} files" for name, count in files.items() if count > 1}
    return Picture("The rooms, and which uses which", _without_cycles(graph), notes)


def way(title: str, package: str, begins: str, passed: Iterable[str]) -> Picture:
    """The modules of `package` that `begins` leads to; those that the way itself passes are filled."""
    reached = _reached(modules(), begins)
    names = sorted(name for name in reached if name.startswith(f"{package}."))
    graph = {name: frozenset(other for other in modules()[name] if other in names) for name in names}
    return Picture(title, _without_cycles(graph), {}, frozenset(map(module, passed)) & frozenset(names))


def _reached(graph: Graph, begins: str) -> set[str]:
    found, waiting = {begins}, [begins]
    while waiting:
        fresh = graph[waiting.pop()] - found
        found |= fresh
        waiting += fresh
    return found


def _without_cycles(graph: Graph) -> Graph:
    """Folders may use each other where their modules do not: the lines back are left out, the later in the alphabet."""
    kept: dict[str, set[str]] = {name: set() for name in graph}
    for name in sorted(graph):
        for other in sorted(graph[name]):
            if name not in _reached({key: frozenset(used) for key, used in kept.items()}, other):
                kept[name].add(other)
    return {name: frozenset(used) for name, used in kept.items()}


def _direct(graph: Graph) -> Graph:
    """Without the lines that a way by others makes needless (transitive reduction)."""
    beyond = {name: _reached(graph, name) - {name} for name in graph}
    return {
        name: frozenset(other for other in used if not any(other in beyond[through] for through in used - {other}))
        for name, used in graph.items()
    }


def _rows(graph: Graph) -> list[list[str]]:
    """Each box below all that use it."""
    depth: dict[str, int] = {}

    def depth_of(name: str) -> int:
        if name not in depth:
            depth[name] = max((depth_of(user) + 1 for user in graph if name in graph[user]), default=0)
        return depth[name]

    rows: dict[int, list[str]] = {}
    for name in sorted(graph):
        rows.setdefault(depth_of(name), []).append(name)
    return [rows[index] for index in sorted(rows)]


def _places(graph: Graph) -> dict[str, tuple[float, int]]:
    """The middle of each box's top. Rows are ordered by where their neighbours are (barycentre, Sugiyama 1981)."""
    rows = _rows(graph)
    neighbours = {name: graph[name] | {user for user in graph if name in graph[user]} for name in graph}
    step, widest = WIDTH + GAP, max(map(len, rows))
    across: dict[str, float] = {}

    def spread(row: list[str]) -> None:
        left = (widest - len(row)) / 2
        across.update({name: left + index + 0.5 for index, name in enumerate(row)})

    for row in rows:
        spread(row)
    for _ in range(ROUNDS):
        for row in rows:
            row.sort(key=lambda name: sum(across[other] for other in neighbours[name]) / (len(neighbours[name]) or 1))
            spread(row)
    return {
        name: (MARGIN + across[name] * step, MARGIN + 30 + index * (HEIGHT + RISE))
        for index, row in enumerate(rows)
        for name in row
    }


def drawn(picture: Picture) -> str:
    """The picture as SVG, readable on light and dark pages."""
    graph = _direct(picture.graph)
    places = _places(graph)
    right = max(x for x, _ in places.values()) + WIDTH / 2 + MARGIN
    bottom = max(y for _, y in places.values()) + HEIGHT + MARGIN
    size = f'viewBox="0 0 {right:.0f} {bottom}" width="{right:.0f}" height="{bottom}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="#fff"/>',
        f'<text x="{MARGIN}" y="24" font-size="15">{picture.title}</text>',
    ]
    for name in sorted(graph):
        x, y = places[name]
        parts += [
            f'<path d="M{x:.0f} {y + HEIGHT} C{x:.0f} {y + HEIGHT + 30} {places[other][0]:.0f} {places[other][1] - 30}'
            f' {places[other][0]:.0f} {places[other][1]}" fill="none" stroke="#9aa5b1"/>'
            for other in sorted(graph[name])
        ]
    for name in sorted(graph):
        x, y = places[name]
        fill = "#ffe08a" if name in picture.marked else "#e8eef7"
        label = name.partition(".")[2] or name
        note = name in picture.notes and (
            f'<text x="{x:.0f}" y="{y + 31}" text-anchor="middle" font-size="10" fill="#52606d">'
            f"{escape(picture.notes[name])}</text>"
        )
        parts.append(
            f'<g><title>{escape(name)}</title><rect x="{x - WIDTH / 2:.0f}" y="{y}" width="{WIDTH}" height="{HEIGHT}"'
            f' rx="5" fill="{fill}" stroke="#52606d"/>'
            f'<text x="{x:.0f}" y="{y + (16 if note else 23)}" text-anchor="middle">{escape(label)}</text>'
            f"{note or ''}</g>"
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


PICTURES: dict[str, Callable[[], Picture]] = {
    "rooms": rooms,
    "request": lambda: way("One request", "proxy", "proxy.exchange", WARM_REQUEST),
    "reconcile": lambda: way("One reconcile", "controller", "controller.reconcile", RECONCILE),
}
"""docs/architecture-NAME.svg."""


def place_of(name: str) -> Path:
    """The file of one picture."""
    return ROOT / "docs" / f"architecture-{name}.svg"


if __name__ == "__main__":
    for name, picture in PICTURES.items():
        place_of(name).write_text(drawn(picture()), encoding="utf-8")
