"""YAML and JSON text -> documents with the line of every field (YAML 1.1 as Kubernetes reads it).

Built from the parser's events and not with PyYAML's own composer: that one recurses in C without a limit, so that a
file of brackets kills the process, keeps the last of two equal keys in silence, and turns dates into dates.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

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

from connectors.model.violation import Violation
from connectors.sources.place import Place, field_path

MAX_DEPTH = 100
"""Levels of nesting. An OpenAPI document in a class, the deepest thing there is, has about 25."""
MAX_NODES = 500_000
"""Values of a file: some 20,000 Connectors, which take a second or two to read."""
MAX_WEIGHT = 16 * 1024 * 1024
"""Characters and nodes of a document with its aliases expanded: no file of 8 MiB has more without aliases."""

_TAG = "tag:yaml.org,2002:"
_PLAIN_TAGS = frozenset(_TAG + name for name in ("str", "int", "float", "bool", "null", "timestamp", "value", "merge"))
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


class _Built(NamedTuple):
    data: Any
    place: Place
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


def _line(event: Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _too_deep(line: int) -> DocumentError:
    return DocumentError(line, f"nested more than {MAX_DEPTH} levels deep")


class _Reader:
    """Events -> documents. Recurses at most MAX_DEPTH deep."""

    def __init__(self, raw: bytes) -> None:
        self._loader = yaml.CSafeLoader(raw)
        self._scalars = SafeConstructor()
        self._anchors: dict[str, _Built] = {}
        self._violations: list[Violation] = []
        self._nodes = 0

    def documents(self) -> Iterator[Document]:
        while not isinstance(event := self._next(), StreamEndEvent):
            if not isinstance(event, DocumentStartEvent):
                continue
            self._anchors, self._violations = {}, []
            built = self._node(self._next(), "", 0)
            while not isinstance(self._next(), DocumentEndEvent):
                pass
            if built.data is not None:
                yield Document(built.data, built.place, tuple(self._violations))

    def _next(self) -> Event:
        event = self._loader.get_event()
        if event is None:
            raise DocumentError(1, "not YAML: it ends too early")
        return event

    def _node(self, event: Event, path: str, depth: int) -> _Built:
        line = _line(event)
        if isinstance(event, AliasEvent):
            return self._alias(event, line, depth)
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise DocumentError(line, f"the file has more than {MAX_NODES} values; split it")
        if depth > MAX_DEPTH:
            raise _too_deep(line)
        if isinstance(event, ScalarEvent):
            built = _Built(self._scalar(event, path), Place(line), len(event.value) + 1)
        elif isinstance(event, SequenceStartEvent):
            built = self._sequence(event, path, depth)
        else:
            built = self._mapping(event, path, depth)
        if built.weight > MAX_WEIGHT:
            raise DocumentError(line, "its aliases expand to too much; write the values out")
        if isinstance(event, NodeEvent) and event.anchor is not None:
            self._anchors[event.anchor] = built
        return built

    def _alias(self, event: AliasEvent, line: int, depth: int) -> _Built:
        if event.anchor not in self._anchors:
            raise DocumentError(line, "not YAML: an alias (*) refers to no anchor (&) above it")
        target = self._anchors[event.anchor]
        if depth + target.height > MAX_DEPTH:
            raise _too_deep(line)
        return _Built(target.data, Place(line, target.place.children), target.weight, target.height)

    def _sequence(self, event: SequenceStartEvent, path: str, depth: int) -> _Built:
        self._check_collection_tag(event, path)
        items: list[_Built] = []
        while not isinstance(item := self._next(), SequenceEndEvent):
            items.append(self._node(item, field_path(path, len(items)), depth + 1))
        place = Place(_line(event), [built.place for built in items])
        weight, height = 1 + sum(built.weight for built in items), 1 + max((built.height for built in items), default=0)
        return _Built([built.data for built in items], place, weight, height)

    def _mapping(self, event: Event, path: str, depth: int) -> _Built:
        self._check_collection_tag(event, path)
        data: dict[str, Any] = {}
        places: dict[str, Place] = {}
        merged: list[_Built] = []
        weight, height = 1, 1
        while not isinstance(key := self._next(), MappingEndEvent):
            line = _line(key)
            name, is_merge = self._key(key, path)
            built = self._node(self._next(), field_path(path, name), depth + 1)
            weight += built.weight + len(name)
            height = max(height, built.height + 1)
            if is_merge:
                merged.append(built)
                continue
            if name in data:
                message = f"stands twice in its mapping, first in line {places[name].line}; remove one of them"
                self._violations.append(Violation(field_path(path, name), message))
            data[name], places[name] = built.data, Place(line, built.place.children)
        for built in merged:
            self._merge(built, data, places)
        return _Built(data, Place(_line(event), places), weight, height)

    def _merge(self, built: _Built, data: dict[str, Any], places: dict[str, Place]) -> None:
        """The merge key `<<` (yaml.org/type/merge): what the mapping says itself wins, then what is named first."""
        several = isinstance(built.data, list)
        sources: Sequence[Any] = built.data if several else [built.data]
        if not all(isinstance(source, dict) for source in sources):
            raise DocumentError(built.place.line, "not YAML: '<<' takes a mapping or a list of mappings")
        children = built.place.children if several and isinstance(built.place.children, Sequence) else [built.place]
        for source, place in zip(sources, children, strict=True):
            for name, value in source.items():
                data.setdefault(name, value)
                places.setdefault(name, Place(built.place.line, place.children and place.children[name].children))

    def _key(self, event: Event, path: str) -> tuple[str, bool]:
        line = _line(event)
        if not isinstance(event, ScalarEvent):
            raise DocumentError(line, "a key must be plain text; write it without brackets, braces and aliases")
        tag = self._tag(event)
        if tag == _TAG + "merge":
            return "<<", True
        if tag not in (_TAG + "str", _TAG + "value", _TAG + "timestamp"):
            message = "is a key that YAML does not read as text; put it in quotes"
            self._violations.append(Violation(field_path(path, event.value), message))
        return str(event.value), False

    def _scalar(self, event: ScalarEvent, path: str) -> Any:
        tag = self._tag(event)
        if tag not in _PLAIN_TAGS:
            self._violations.append(Violation(path, "has a YAML tag (!); write the value without one"))
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
        except (ValueError, KeyError):
            # What only looks like a number (0b_, or thousands of digits) or is tagged as what it is not stays text.
            pass
        return event.value

    def _tag(self, event: ScalarEvent) -> str:
        if event.tag is None or event.tag == "!":
            return str(self._loader.resolve(ScalarNode, event.value, event.implicit))  # type: ignore[no-untyped-call]
        return str(event.tag)

    def _check_collection_tag(self, event: Event, path: str) -> None:
        if isinstance(event, CollectionStartEvent) and event.tag not in _COLLECTION_TAGS:
            self._violations.append(Violation(path, "has a YAML tag (!); write the value without one"))
