"""What the files say together: of one identity the first file's object serves. A change costs what it is about."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeVar

from msgspec.structs import replace

from connectors.objects.connector import Connector, ConnectorKey
from connectors.objects.connector_class import ConnectorClass
from connectors.objects.feature_flags import FeatureFlags
from connectors.objects.metadata import ObjectMeta, shared
from connectors.objects.secret import Secret, SecretKey
from connectors.snapshot import Changes, Objects
from connectors.sources.manifest_file import ManifestFile, repeated
from connectors.sources.manifests import Manifest, Value
from connectors.sources.place import Identity, Place, Problem
from connectors.trust import is_for_all


class Ledger:
    """Gives objects from files the metadata that an API server would, and remembers each object while it is there.

    An object keeps its uid and its creation time; its resourceVersion and generation move only when its content does,
    and until then it stays the same instance: by that a snapshot sees what has not changed. A uid in a manifest is not
    used: it would be that of another object, of a cluster or of a copied file, and connections are kept apart by uid.
    """

    def __init__(self, timestamp: Callable[[], str]) -> None:
        """`timestamp` returns the time as metav1.Time writes it."""
        self._timestamp = timestamp
        self._entries: dict[Identity, Manifest] = {}
        self._version = 0

    def value(self, identity: Identity) -> Value | None:
        """The object of this identity, as it was settled last."""
        entry = self._entries.get(identity)
        return entry.value if entry else None

    def settle(self, identity: Identity, manifest: Manifest | None) -> Manifest | None:
        """The manifest with its object numbered; None if it holds no usable object: then that is forgotten."""
        before = self._entries.get(identity)
        if before is not None and manifest is not None and before.content == manifest.content:
            # Its lines may have moved.
            settled = before if before.place is manifest.place else dataclasses.replace(manifest, value=before.value)
        elif manifest is None or manifest.value is None:
            self._entries.pop(identity, None)
            return None
        else:
            value = self._numbered(identity, manifest.value, before.value if before else None)
            settled = dataclasses.replace(manifest, value=value)
        self._entries[identity] = settled
        return settled

    def _numbered(self, identity: Identity, value: Value, before: Value | None) -> Value:
        if isinstance(value, FeatureFlags):
            return value
        self._version += 1
        old = before.metadata if before and not isinstance(before, FeatureFlags) else None
        created = old.creation_timestamp if old else value.metadata.creation_timestamp or shared(self._timestamp())
        metadata = replace(
            value.metadata,
            namespace=identity.namespace,
            uid=old.uid if old else str(uuid.uuid4()),
            resource_version=str(self._version),
            generation=old.generation + 1 if old else 1,
            creation_timestamp=created,
        )
        return _with(value, metadata)


def _with(value: Value, metadata: ObjectMeta) -> Value:
    if isinstance(value, Secret):
        return dataclasses.replace(value, metadata=metadata)
    return value if isinstance(value, FeatureFlags) else replace(value, metadata=metadata)


Key = TypeVar("Key")
Item = TypeVar("Item")

# Where Secrets with CAs for all are; in a cluster that is a setting.
SYSTEM_NAMESPACE = "connectors-system"


@dataclass(slots=True)
class _Kinds:
    """The objects by kind."""

    connectors: dict[ConnectorKey, Connector] = field(default_factory=dict)
    classes: dict[str, ConnectorClass] = field(default_factory=dict)
    secrets: dict[SecretKey, Secret] = field(default_factory=dict)
    authorities: dict[SecretKey, Secret] = field(default_factory=dict)
    flags: FeatureFlags = field(default_factory=FeatureFlags)


@dataclass(slots=True)
class _Changed:
    """What has changed."""

    connectors: dict[ConnectorKey, Connector | None] = field(default_factory=dict)
    classes: dict[str, ConnectorClass | None] = field(default_factory=dict)
    secrets: dict[SecretKey, Secret | None] = field(default_factory=dict)
    flags: FeatureFlags | None = None
    for_all: bool = False


class Merged:
    """Files in their order, and behind them what is built in."""

    def __init__(self, builtin: Mapping[Identity, Manifest], timestamp: Callable[[], str]) -> None:
        self._builtin = builtin
        self._ledger = Ledger(timestamp)
        self._files: dict[str, ManifestFile] = {}
        # Most have one: its name alone takes no memory.
        self._holders: dict[Identity, str | tuple[str, ...]] = {}
        self._repeated: dict[Identity, list[Problem]] = {}
        self._telling: dict[str, ManifestFile] = {}
        self._kinds = _Kinds()
        self._changed = _Changed()
        for identity in builtin:
            self._settle(identity)

    @property
    def files(self) -> Mapping[str, ManifestFile]:
        """Those that count, in their order; a live view."""
        return MappingProxyType(self._files)

    def put(self, file: ManifestFile) -> None:
        """A file is new, or was read again; a new one counts as the last."""
        before = self._files.get(file.name)
        self._files[file.name] = file
        if file.problems or file.ignored:
            self._telling[file.name] = file
        else:
            self._telling.pop(file.name, None)
        if before is not None:
            self._release(before, file.objects)
        for identity in file.objects:
            holders = self._of(identity)
            if file.name not in holders:
                self._holders[identity] = (*holders, file.name) if holders else file.name
            self._settle(identity)

    def drop(self, name: str) -> None:
        """A file is gone."""
        before = self._files.pop(name, None)
        self._telling.pop(name, None)
        if before is not None:
            self._release(before, {})

    def reorder(self, names: Iterable[str]) -> None:
        """The files come in this order now."""
        self._files = {name: self._files[name] for name in names}
        self._telling = {name: self._files[name] for name in self._files if name in self._telling}
        for identity in [identity for identity, holders in self._holders.items() if not isinstance(holders, str)]:
            self._settle(identity)

    def place(self, identity: Identity) -> tuple[str, Place] | None:
        """The file and place of the object that serves; None for what is built in, and what is not there."""
        holders = self._of(identity)
        return (holders[0], self._files[holders[0]].objects[identity].place) if holders else None

    def problems(self) -> Iterator[Problem]:
        """What is wrong with files, and with objects as their manifests stand."""
        for file in self._telling.values():
            yield from file.problems
        for repetitions in self._repeated.values():
            yield from repetitions

    def telling(self) -> Iterable[ManifestFile]:
        """The files that have a problem, or objects that are left alone."""
        return self._telling.values()

    def objects(self) -> Objects:
        """All of them."""
        kinds = self._kinds
        return Objects(
            connectors=tuple(kinds.connectors.values()),
            classes=tuple(kinds.classes.values()),
            secrets=tuple(kinds.secrets.values()),
            flags=kinds.flags,
            authorities=tuple(kinds.authorities.values()),
        )

    def changes(self) -> Changes:
        """What has changed since the last call."""
        changed, self._changed = self._changed, _Changed()
        for_all = tuple(self._kinds.authorities.values()) if changed.for_all else None
        return Changes(changed.connectors, changed.classes, changed.secrets, changed.flags, authorities=for_all)

    def _of(self, identity: Identity) -> tuple[str, ...]:
        """The files that have it, the one that serves first."""
        found = self._holders.get(identity, ())
        return (found,) if isinstance(found, str) else found

    def _release(self, before: ManifestFile, kept: Mapping[Identity, Manifest]) -> None:
        for identity in before.objects:
            if identity not in kept:
                left = tuple(name for name in self._of(identity) if name != before.name)
                if left:
                    self._holders[identity] = left
                else:
                    del self._holders[identity]
                self._settle(identity)

    def _settle(self, identity: Identity) -> None:
        """Choose who serves under this identity, and note it if that is another value than before."""
        before = self._ledger.value(identity)
        holders = self._of(identity)
        self._repeated.pop(identity, None)
        if len(holders) > 1:
            places = {name: number for number, name in enumerate(self._files)}
            self._holders[identity] = holders = tuple(sorted(holders, key=places.__getitem__))
            self._repeated[identity] = list(self._repetitions(identity, holders))
        manifest = self._files[holders[0]].objects[identity] if holders else self._builtin.get(identity)
        settled = self._ledger.settle(identity, manifest)
        if holders and settled is not None:
            # One instance for both places, or each object would be in memory twice.
            self._files[holders[0]].objects[identity] = settled
        value = settled.value if settled else None
        if value is not before:
            self._note(identity, value if value is not None else before, gone=value is None)

    def _repetitions(self, identity: Identity, holders: tuple[str, ...]) -> Iterator[Problem]:
        first = f"{holders[0]}:{self._files[holders[0]].objects[identity].place.line}"
        for name in holders[1:]:
            yield repeated(name, self._files[name].objects[identity], first)

    def _note(self, identity: Identity, value: Value | None, *, gone: bool) -> None:
        kinds, changed = self._kinds, self._changed
        match value:
            case Connector():
                key = ConnectorKey(identity.namespace, identity.name)
                _put(kinds.connectors, changed.connectors, key, None if gone else value)
            case ConnectorClass():
                _put(kinds.classes, changed.classes, identity.name, None if gone else value)
            case Secret():
                secret_key, secret = SecretKey(identity.namespace, identity.name), None if gone else value
                _put(kinds.secrets, changed.secrets, secret_key, secret)
                self._note_authority(secret_key, secret)
            case FeatureFlags():
                kinds.flags = changed.flags = FeatureFlags() if gone else value

    def _note_authority(self, key: SecretKey, secret: Secret | None) -> None:
        known = self._kinds.authorities
        if secret is not None and is_for_all(secret, SYSTEM_NAMESPACE):
            known[key], self._changed.for_all = secret, True
        elif known.pop(key, None) is not None:
            self._changed.for_all = True


def _put(held: dict[Key, Item], changed: dict[Key, Item | None], key: Key, value: Item | None) -> None:
    changed[key] = value
    if value is None:
        held.pop(key, None)
    else:
        held[key] = value
