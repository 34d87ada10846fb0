"""YAML and JSON text -> documents with the line of every field (YAML 1.1 as Kubernetes reads it).

Built from the parser's events and not with PyYAML's own composer: that one recurses in C without a limit, so that a
file of brackets kills the process, keeps the last of two equal keys in silence, and turns dates into dates.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Union

import yaml
from yaml.constructor import SafeConstructor
from yaml.events import (
    AliasEvent,
    CollectionStartEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from yaml.nodes import ScalarNode

from connectors.objects.metadata import shared as shared_text
from connectors.objects.violation import Violation
from connectors.sources.place import Node, Place, at, field_path, line_of, shared

# Levels of nesting. An OpenAPI document in a class, the deepest thing there is, has about 25.
MAX_DEPTH = 100
# Values of a file: some 20,000 Connectors, which take a second or two to read.
MAX_NODES = 500_000
# What a value weighs beside its characters: in memory, and where all of them are gone through.
NODE_WEIGHT = 16
# Weight of a document with its aliases expanded: no file of 8 MiB has more without aliases.
MAX_WEIGHT = 8 * 1024 * 1024 + MAX_NODES * NODE_WEIGHT
# Characters of a plain value that may be something else than text. The longest float64 has 24, a timestamp 35; to make
# a number of many digits costs their square, and an API server does not read it as a number either.
MAX_PLAIN = 64
# What is wrong as YAML in one file, each with its path: who has more has saved another kind of file.
MAX_VIOLATIONS = 1000
# Characters of a key in a path: a name has 253, and a path is kept for each thing that is wrong.
MAX_STEP = 256

# Weight of a document whose lines are compared with those of others: a Connector has some hundred characters.
SHARED_WEIGHT = 8192

_TAG = "tag:yaml.org,2002:"
_STR = _TAG + "str"
# By a value's first character, "" for the empty one: what else than text a value without quotes may be.
_RESOLVERS = yaml.CSafeLoader.yaml_implicit_resolvers
_PLAIN_TAGS = frozenset(_TAG + name for name in ("str", "int", "float", "bool", "null", "timestamp", "value", "merge"))
# 1:30 is text, as for kubectl: no parser of Kubernetes has ever read YAML 1.1's numbers to base 60 (go-yaml: "clearly a
# poor choice"). PyYAML multiplies them out, which costs the square of their length.
_NUMBERS = frozenset({_TAG + "int", _TAG + "float"})
_COLLECTION_TAGS = frozenset({None, "!", _TAG + "map", _TAG + "seq"})
_SURROGATES = re.compile(rb"\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|.)", re.DOTALL)


class DocumentError(Exception):
    """A file cannot be read as YAML. The message never quotes what stands in the file."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


@dataclass(frozen=True, slots=True)
class Document:
    """One document: plain dicts, lists and scalars, the place of each, and what is wrong with it as YAML.

    Its repr shows no data: it may be a Secret's.
    """

    data: Any = field(repr=False)
    place: Place
    violations: tuple[Violation, ...] = ()


# A field path as it grows: what is above, and a key or an index. It is written out where something is wrong.
Path = Union["tuple[Path, str | int]", None]


class _Built(NamedTuple):
    data: Any
    node: Node
    weight: int
    height: int = 0


def read_yaml(raw: bytes) -> list[Document]:
    """All documents of a YAML file, empty ones left out.

    Raises:
        DocumentError: the file is not YAML, or nested or expanded beyond the limits.
    """
    try:
        return list(_Reader(raw).documents())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        # libyaml's sentences are constants: nothing of the file is quoted.
        message = ", ".join(part for part in (error.context, error.problem) if part)
        # At the end of the file the parser stands behind the last line.
        line = min(mark.line + 1, raw.rstrip().count(b"\n") + 1) if mark else 1
        raise DocumentError(line, f"not YAML: {message}") from None
    except yaml.reader.ReaderError as error:
        line = raw.count(b"\n", 0, error.position) + 1
        raise DocumentError(line, f"not YAML: {error.reason}; save the file as UTF-8 text") from None
    except yaml.YAMLError:
        raise DocumentError(1, "not YAML") from None


def read_json(raw: bytes) -> list[Document]:
    """The document of a JSON file. JSON is read as YAML, all of which it is but for escaped surrogate pairs.

    Raises:
        DocumentError: as `read_yaml`.
    """
    return read_yaml(_SURROGATES.sub(_joined, raw))


def _joined(escape: re.Match[bytes]) -> bytes:
    if escape[1] is None:
        return escape[0]
    high, low = int(escape[1], 16), int(escape[2], 16)
    return b"\\U%08X" % (0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))


def _too_deep(line: int) -> DocumentError:
    return DocumentError(line, f"nested more than {MAX_DEPTH} levels deep")


def _text(path: Path) -> str:
    steps: list[str | int] = []
    while path is not None:
        path, step = path
        steps.append(step[:MAX_STEP] if isinstance(step, str) else step)
    text = ""
    for step in reversed(steps):
        text = field_path(text, step)
    return text


class _Pieces:
    """Bytes as libyaml asks for them, some KiB at a time.

    Handed over whole, it reads a value of 8 MiB in one piece, 70 ms in which no other thread of the process runs. A
    call of Python, as this one, lets the event loop have its turn.
    """

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._at = 0

    def read(self, size: int = -1, /) -> bytes:
        """The next ones, at most `size` if that is not negative; none at the end."""
        piece = self._raw[self._at : self._at + size if size >= 0 else None]
        self._at += len(piece)
        return piece


class _Reader:
    """Events -> documents. Recurses at most MAX_DEPTH deep."""

    def __init__(self, raw: bytes) -> None:
        self._loader = yaml.CSafeLoader(_Pieces(raw))
        self._scalars = SafeConstructor()
        self._anchors: dict[str, _Built] = {}
        self._violations: list[Violation] = []
        self._nodes = 0
        self._wrong = 0
        self._first = 1

    def documents(self) -> Iterator[Document]:
        while not isinstance(event := self._next(), StreamEndEvent):
            if not isinstance(event, DocumentStartEvent):
                continue
            self._anchors, self._violations = {}, []
            event = self._next()
            self._first = event.start_mark.line + 1 if event.start_mark else 1
            built = self._node(event, None, 0)
            while not isinstance(self._next(), DocumentEndEvent):
                pass
            if built.data is not None:
                # A small one may be written like thousands of others; a large one, with its aliases, is itself alone.
                node = built.node
                if isinstance(node, tuple) and built.weight <= SHARED_WEIGHT:
                    node = shared(node)
                yield Document(built.data, Place(self._first, node), tuple(self._violations))

    def _next(self) -> Event:
        event = self._loader.get_event()
        if event is None:
            raise DocumentError(1, "not YAML: it ends too early")
        return event

    def _line(self, event: Event) -> int:
        return event.start_mark.line + 1 if event.start_mark else 1

    def _offset(self, event: Event) -> int:
        """Its line, counted from the document's first."""
        return event.start_mark.line + 1 - self._first if event.start_mark else 0

    def _node(self, event: Event, path: Path, depth: int) -> _Built:
        if isinstance(event, AliasEvent):
            return self._alias(event, depth)
        self._count(1, self._line(event))
        if depth > MAX_DEPTH:
            raise _too_deep(self._line(event))
        if isinstance(event, ScalarEvent):
            built = _Built(self._scalar(event, path), self._offset(event), len(event.value) + NODE_WEIGHT)
        elif isinstance(event, SequenceStartEvent):
            built = self._sequence(event, path, depth)
        else:
            built = self._mapping(event, path, depth)
        if built.weight > MAX_WEIGHT:
            raise DocumentError(self._line(event), "its aliases expand to too much; write the values out")
        if isinstance(event, NodeEvent) and event.anchor is not None:
            self._anchors[event.anchor] = built
        return built

    def _count(self, nodes: int, line: int) -> None:
        """There are so many values more."""
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise DocumentError(line, f"the file has more than {MAX_NODES} values; split it")

    def _violation(self, event: Event, path: Path, message: str) -> None:
        """Something is wrong, and the object is not used. So none may be left out: beyond the limit it is the file."""
        self._wrong += 1
        if self._wrong > MAX_VIOLATIONS:
            raise DocumentError(
                self._line(event), f"more than {MAX_VIOLATIONS} keys and values are not as they must be"
            )
        self._violations.append(Violation(_text(path), message))

    def _alias(self, event: AliasEvent, depth: int) -> _Built:
        line = self._line(event)
        if event.anchor not in self._anchors:
            raise DocumentError(line, "not YAML: an alias (*) refers to no anchor (&) above it")
        target = self._anchors[event.anchor]
        if depth + target.height > MAX_DEPTH:
            raise _too_deep(line)
        return target._replace(node=at(self._offset(event), target.node))

    def _sequence(self, event: SequenceStartEvent, path: Path, depth: int) -> _Built:
        self._validate_collection_tag(event, path)
        items: list[_Built] = []
        while not isinstance(item := self._next(), SequenceEndEvent):
            items.append(self._node(item, (path, len(items)), depth + 1))
        node = (self._offset(event), None, tuple(built.node for built in items))
        weight = NODE_WEIGHT + sum(built.weight for built in items)
        height = 1 + max((built.height for built in items), default=0)
        return _Built([built.data for built in items], node, weight, height)

    def _mapping(self, event: Event, path: Path, depth: int) -> _Built:
        self._validate_collection_tag(event, path)
        data: dict[str, Any] = {}
        nodes: dict[str, Node] = {}
        merged: list[_Built] = []
        weight, height = NODE_WEIGHT, 1
        while not isinstance(key := self._next(), MappingEndEvent):
            name, is_merge = self._key(key, path)
            value, node, value_weight, value_height = built = self._node(self._next(), (path, name), depth + 1)
            weight += value_weight + len(name)
            if value_height >= height:
                height = value_height + 1
            if is_merge:
                merged.append(built)
                continue
            if name in data:
                first = self._first + line_of(nodes[name])
                message = f"stands twice in its mapping, first in line {first}; remove one of them"
                self._violation(key, (path, name), message)
            data[name], nodes[name] = value, at(self._offset(key), node)
        for built in merged:
            self._merge(built, data, nodes)
        return _Built(data, (self._offset(event), tuple(nodes), tuple(nodes.values())), weight, height)

    def _merge(self, built: _Built, data: dict[str, Any], nodes: dict[str, Node]) -> None:
        """The merge key `<<` (yaml.org/type/merge): what the mapping says itself wins, then what is named first."""
        several = isinstance(built.data, list)
        sources: Sequence[Any] = built.data if several else [built.data]
        line = line_of(built.node)
        if not all(isinstance(source, dict) for source in sources):
            raise DocumentError(self._first + line, "not YAML: '<<' takes a mapping or a list of mappings")
        children = _held(built.node) if several else (built.node,)
        for source, node in zip(sources, children, strict=True):
            # Written out it would be so many values; a mapping of thousands can be merged a thousand times.
            self._count(len(source), self._first + line)
            for (name, value), child in zip(source.items(), _held(node), strict=True):
                data.setdefault(name, value)
                nodes.setdefault(name, at(line, child))

    def _key(self, event: Event, path: Path) -> tuple[str, bool]:
        if not isinstance(event, ScalarEvent):
            message = "a key must be plain text; write it without brackets, braces and aliases"
            raise DocumentError(self._line(event), message)
        tag = _tag(event)
        if tag is _STR:
            return shared_text(event.value), False
        if tag == _TAG + "merge":
            return "<<", True
        if tag not in (_STR, _TAG + "value", _TAG + "timestamp"):
            message = "is a key that YAML does not read as text; put it in quotes"
            self._violation(event, (path, event.value), message)
        return str(event.value), False

    def _scalar(self, event: ScalarEvent, path: Path) -> Any:
        tag = _tag(event)
        if tag is _STR:
            return event.value
        if tag not in _PLAIN_TAGS:
            self._violation(event, path, "has a YAML tag (!); write the value without one")
        if len(event.value) > MAX_PLAIN or (":" in event.value and tag in _NUMBERS):
            return event.value  # tagged as a number, which it is not
        node = ScalarNode(tag, event.value)
        try:
            match tag.removeprefix(_TAG):
                case "null":
                    return None
                case "bool":
                    return self._scalars.construct_yaml_bool(node)
                case "int":
                    return self._scalars.construct_yaml_int(node)
                case "float":
                    return self._scalars.construct_yaml_float(node)
        except (ValueError, KeyError, IndexError):
            # What only looks like a number (0b_) or is tagged as what it is not (`!!int` of nothing) stays text.
            pass
        return event.value

    def _validate_collection_tag(self, event: Event, path: Path) -> None:
        if isinstance(event, CollectionStartEvent) and event.tag not in _COLLECTION_TAGS:
            self._violation(event, path, "has a YAML tag (!); write the value without one")


def _held(node: Node) -> tuple[Node, ...]:
    return () if isinstance(node, int) else node[2]


def _tag(event: ScalarEvent) -> str:
    """As PyYAML's resolver has it, which costs ten times as much: most values are plain text by their first letter."""
    if event.tag is not None and event.tag != "!":
        return str(event.tag)
    if event.implicit[0]:
        value = event.value
        for tag, pattern in _RESOLVERS.get(value[:1], ()) if len(value) <= MAX_PLAIN else ():
            if pattern.match(value):
                return _STR if tag in _NUMBERS and ":" in value else str(tag)
    return _STR
