"""The bytes of a file -> the objects in it, each with its place and what is wrong with it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from typing import Any

from msgspec import Struct, field

from connectors.objects.connector import Connector
from connectors.objects.connector_class import ConnectorClass
from connectors.objects.feature_flags import CONFIG_MAP_NAME, FeatureFlags
from connectors.objects.metadata import API_VERSION, GROUP, ObjectMeta
from connectors.objects.secret import Secret
from connectors.objects.violation import Violation
from connectors.sources.documents import Document, read_json, read_yaml
from connectors.sources.feature_flags import decode_flags
from connectors.sources.fields import decode, unknown_fields, without_nulls
from connectors.sources.place import UNNAMED, Identity, Place
from connectors.sources.secrets import decode_secret

# Bytes of a file. An API server takes objects of 1.5 MiB; a file may hold several.
MAX_FILE = 8 * 1024 * 1024
# Unknown fields of an object that are named: for each the fields that it could mean are compared with it.
MAX_UNKNOWN = 64
DEFAULT_NAMESPACE = "default"
# How alike two kinds are (difflib's ratio): one letter left out of Connector makes 0.94, ConnectorList 0.82.
_LIKE = 0.85
# Characters of a kind that could be meant for one of ours.
_LONGEST_MEANT = 64

CONNECTOR = "Connector"
CONNECTOR_CLASS = "ConnectorClass"
SECRET = "Secret"  # noqa: S105 - a kind's name
CONFIG_MAP = "ConfigMap"

Value = Connector | ConnectorClass | Secret | FeatureFlags
Decoded = tuple[Value | None, tuple[Violation, ...]]


@dataclass(frozen=True, slots=True)
class Manifest:
    """One object of a file.

    `value` is None if it cannot be used; `identity` is UNNAMED if not even that can be told. `content` is a digest
    that changes when, and only when, the object's text means something else.
    """

    identity: Identity
    place: Place
    content: bytes = b""
    value: Value | None = None
    violations: tuple[Violation, ...] = ()


@dataclass(frozen=True, slots=True)
class Manifests:
    """Everything in one file; `ignored` names the kinds that this project does not read."""

    entries: tuple[Manifest, ...] = ()
    ignored: tuple[str, ...] = ()


def read_manifests(raw: bytes, *, json: bool = False) -> Manifests:
    """Read one file.

    Raises:
        DocumentError: nothing of it can be used, since it is not YAML.
    """
    entries, ignored = [], dict[str, None]()
    for document in read_json(raw) if json else read_yaml(raw):
        for item in _expand(document):
            kind = item.data.get("kind") if isinstance(item.data, dict) else None
            if isinstance(kind, str) and kind and (kind not in _KINDS or _is_foreign(kind, item.data)):
                if meant := _meant(kind, item.data):
                    wrong = Violation("kind", f"there is no such kind in {GROUP}; did you mean {meant}?")
                    # Without a name: the object that it replaced in this file goes on serving.
                    entries.append(Manifest(UNNAMED, item.place, violations=(wrong,)))
                else:
                    ignored[kind] = None
            else:
                entries.append(_manifest(item))
    return Manifests(tuple(entries), tuple(ignored))


def _expand(document: Document) -> Iterator[Document]:
    """`kind: List`, as `kubectl get -o yaml` writes it, stands for its items."""
    data = document.data
    if not isinstance(data, dict) or data.get("kind") != "List" or not isinstance(data.get("items"), list):
        yield document
        return
    items = document.place.below("items")
    of_all, by_item = _sorted(document.violations)
    for index, item in enumerate(data["items"]):
        prefix = f"items[{index}]"
        own = tuple([_inside(violation, prefix) for violation in by_item.get(prefix, ())])
        yield from _expand(Document(item, items.below(str(index)), of_all + own if own else of_all))


# Violations of a list as a whole that each of its items repeats: a list has thousands of items.
_OF_ALL = 8
_ITEM = re.compile(r"items\[[0-9]+\]")


def _sorted(violations: Sequence[Violation]) -> tuple[tuple[Violation, ...], Mapping[str, list[Violation]]]:
    """Those of the list as a whole, which leave every item in doubt, and those of each item by its prefix."""
    of_all: list[Violation] = []
    by_item: dict[str, list[Violation]] = {}
    for violation in violations:
        item = _ITEM.match(violation.path)
        if item is not None:
            by_item.setdefault(item[0], []).append(violation)
        elif len(of_all) < _OF_ALL:
            of_all.append(violation)
    return tuple(of_all), by_item


def _inside(violation: Violation, prefix: str) -> Violation:
    """The violation with its path as the item at `prefix` sees it."""
    path = violation.path.removeprefix(prefix).removeprefix(".")
    return Violation(path, violation.message, violation.severity)


def _is_foreign(kind: str, data: dict[str, Any]) -> bool:
    """A ConfigMap that is not the one with the flags."""
    metadata = data.get("metadata")
    return kind == CONFIG_MAP and (not isinstance(metadata, dict) or metadata.get("name") != CONFIG_MAP_NAME)


def _meant(kind: str, data: dict[str, Any]) -> str:
    """The kind of ours that a word of our API group misspells; empty if it is another kind of that group."""
    version = data.get("apiVersion")
    # A long word is not misspelt, and comparing it would cost its length squared.
    if not isinstance(version, str) or not version.startswith(f"{GROUP}/") or len(kind) > _LONGEST_MEANT:
        return ""
    ours = {name.casefold(): name for name, shape in _KINDS.items() if shape.api_version == API_VERSION}
    close = get_close_matches(kind.casefold(), ours, 1, _LIKE)
    return ours[close[0]] if close else ""


def _manifest(document: Document) -> Manifest:
    data = document.data
    if not isinstance(data, dict):
        wrong = Violation("", "is not an object; begin it with apiVersion, kind and metadata")
        return Manifest(UNNAMED, document.place, violations=(wrong,))
    kind = data.get("kind")
    if not isinstance(kind, str) or kind not in _KINDS:
        known = ", ".join(_KINDS)
        return Manifest(UNNAMED, document.place, violations=(Violation("kind", f"is missing; give one of: {known}"),))
    identity = _identity(kind, data)
    fatal = (*document.violations, *_validate_head(kind, data))
    if fatal:
        return Manifest(identity, document.place, violations=fatal)
    shape, text = _KINDS[kind], repr(data)
    # Nearly no manifest has a null, and a copy of each would cost as much as reading it.
    useful = without_nulls(data) if "None" in text else data
    value, violations = shape.decode(useful)
    unknown = () if value is None else tuple(islice(_unknown(shape, useful), MAX_UNKNOWN))
    content = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return Manifest(identity, document.place, content, value, violations + unknown)


def _identity(kind: str, data: dict[str, Any]) -> Identity:
    metadata = data.get("metadata")
    name, namespace = "", ""
    if isinstance(metadata, dict):
        name, namespace = metadata.get("name") or "", metadata.get("namespace") or ""
    if not isinstance(name, str) or not isinstance(namespace, str):
        return UNNAMED
    return Identity(kind, (namespace or DEFAULT_NAMESPACE) if _KINDS[kind].namespaced else "", name)


def _validate_head(kind: str, data: dict[str, Any]) -> Iterator[Violation]:
    """The rules that must hold before any other is worth looking at."""
    wanted = _KINDS[kind].api_version
    if data.get("apiVersion") != wanted:
        yield Violation("apiVersion", f"must be {wanted}")
    metadata = data.get("metadata")
    if not isinstance(metadata, dict):
        yield Violation("metadata", "must be a mapping with a name")
    elif not metadata.get("name"):
        hint = "generateName is not supported, give the object a name" if "generateName" in metadata else "give one"
        yield Violation("metadata.name", f"is missing; {hint}")


def _unknown(shape: _Kind, data: dict[str, Any]) -> Iterator[Violation]:
    yield from unknown_fields(data, shape.fields, "", {"apiVersion", "kind", "metadata", "status"})
    yield from unknown_fields(data["metadata"], ObjectMeta, "metadata", _SERVER_METADATA)


# What an API server adds to metadata, or to what `kubectl get -o yaml` printed.
_SERVER_METADATA = frozenset(
    {
        "clusterName",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "finalizers",
        "generateName",
        "managedFields",
        "ownerReferences",
        "selfLink",
    }
)


class _SecretFields(Struct):
    """The fields of a Secret by name only."""

    type: Any = None
    data: Any = None
    string_data: Any = field(default=None, name="stringData")
    immutable: Any = None


class _ConfigMapFields(Struct):
    """The fields of a ConfigMap by name only."""

    data: Any = None
    binary_data: Any = field(default=None, name="binaryData")
    immutable: Any = None


def _decode_connector(data: dict[str, Any]) -> Decoded:
    return _decoded(decode(data, Connector))


def _decode_class(data: dict[str, Any]) -> Decoded:
    return _decoded(decode(data, ConnectorClass))


def _decoded(result: Connector | ConnectorClass | Violation) -> Decoded:
    return (None, (result,)) if isinstance(result, Violation) else (result, ())


@dataclass(frozen=True, slots=True)
class _Kind:
    """How manifests of one kind are read."""

    api_version: str
    namespaced: bool
    decode: Callable[[dict[str, Any]], Decoded]
    fields: type[Struct]


_KINDS: dict[str, _Kind] = {
    CONNECTOR: _Kind(API_VERSION, namespaced=True, decode=_decode_connector, fields=Connector),
    CONNECTOR_CLASS: _Kind(API_VERSION, namespaced=False, decode=_decode_class, fields=ConnectorClass),
    SECRET: _Kind("v1", namespaced=True, decode=decode_secret, fields=_SecretFields),
    # The flags are one for all: of two ConfigMaps in two namespaces the second one is a problem.
    CONFIG_MAP: _Kind("v1", namespaced=False, decode=decode_flags, fields=_ConfigMapFields),
}
