"""What a fake API server stores: objects, one growing resourceVersion, the history that watches are served from."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from connectors.kube import resources
from connectors.objects.metadata import GROUP

Manifest = dict[str, Any]

KNOWN = {
    (known.api_version, known.kind): known
    for known in vars(resources).values()
    if isinstance(known, resources.Resource)
}
STATUS_SUBRESOURCE = {"connectors", "connectorclasses", "services"}


class Place(NamedTuple):
    """Where an object is: API version, plural, namespace ("" where cluster-scoped), name."""

    api_version: str
    plural: str
    namespace: str
    name: str


@dataclass(frozen=True)
class Change:
    """One entry of the history. `old` is None for a creation, `new` is None for a deletion."""

    version: int
    place: Place
    old: Manifest | None
    new: Manifest | None


class RefusedError(Exception):
    """Becomes a metav1.Status."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message


@dataclass
class ApiObjects:
    """Objects as an API server keeps them. `told` hears of each change. `terminating`: namespaces being deleted."""

    told: Callable[[Change], None]
    version: int = 1000
    compacted: int = 0
    terminating: set[str] = field(default_factory=set)
    stored: dict[Place, Manifest] = field(default_factory=dict)
    history: list[Change] = field(default_factory=list)

    def of(self, api_version: str, plural: str, namespace: str = "") -> Iterator[Manifest]:
        """All of a resource, or of one namespace of it, in the order of their names."""
        for place in sorted(self.stored):
            if place[:2] == (api_version, plural) and namespace in {"", place.namespace}:
                yield self.stored[place]

    def found(self, place: Place) -> Manifest:
        if place not in self.stored:
            raise RefusedError(404, "NotFound", f'{place.plural} "{place.name}" not found')
        return self.stored[place]

    def create(self, place: Place, body: Manifest) -> Manifest:
        metadata = dict(body.get("metadata") or {})
        if metadata.get("resourceVersion"):
            raise RefusedError(400, "BadRequest", "resourceVersion should not be set on objects to be created")
        if metadata.get("namespace", place.namespace) != place.namespace:
            raise RefusedError(400, "BadRequest", "the namespace of the object does not match the request")
        name = metadata.get("name") or f"{metadata.get('generateName', '')}{uuid.uuid4().hex[:5]}"
        place = place._replace(name=name)
        if place.namespace in self.terminating:
            message = f'{place.plural} "{name}" is forbidden: namespace {place.namespace} is being terminated'
            raise RefusedError(403, "Forbidden", message)
        if place in self.stored:
            raise RefusedError(409, "AlreadyExists", f'{place.plural} "{name}" already exists')
        metadata |= {"name": name, "uid": str(uuid.uuid4()), "generation": 1, "creationTimestamp": _now()}
        if place.namespace:
            metadata["namespace"] = place.namespace
        content = {key: value for key, value in body.items() if key != "status" or not _has_status(place)}
        return self._store(place, {**content, "metadata": metadata})

    def replace(self, place: Place, body: Manifest, subresource: str = "") -> Manifest:
        old = self.found(place)
        given = body.get("metadata") or {}
        if given.get("name", place.name) != place.name:
            raise RefusedError(400, "BadRequest", "the name of the object does not match the name on the URL")
        if not given.get("resourceVersion") and place.api_version.startswith(GROUP):
            raise RefusedError(422, "Invalid", "metadata.resourceVersion: must be specified for an update")
        self.check(place, given.get("uid"), given.get("resourceVersion"))
        return self._update(place, old, body, subresource)

    def merge(self, place: Place, patch: Manifest, subresource: str = "") -> Manifest:
        old = self.found(place)
        given = patch.get("metadata") or {}
        if given.get("uid", old["metadata"]["uid"]) != old["metadata"]["uid"]:
            # As a real server does it: a uid is a precondition in a PUT only.
            raise RefusedError(422, "Invalid", "metadata.uid: Invalid value: field is immutable")
        self.check(place, None, given.get("resourceVersion"))
        return self._update(place, old, merged(old, patch), subresource)

    def delete(self, place: Place, uid: str | None = None, version: str | None = None) -> None:
        old = self.found(place)
        self.check(place, uid, version)
        if old["metadata"].get("finalizers"):
            self._store(place, {**old, "metadata": {**old["metadata"], "deletionTimestamp": _now()}})
        else:
            self._remove(place)

    def check(self, place: Place, uid: str | None, version: str | None) -> None:
        metadata = self.found(place)["metadata"]
        for given, key in ((uid, "uid"), (version, "resourceVersion")):
            if given and given != metadata[key]:
                message = f'Operation cannot be fulfilled on {place.plural} "{place.name}": the {key} is another one'
                raise RefusedError(409, "Conflict", message)

    def compact(self) -> None:
        """Forget the history: every version so far is too old to watch from."""
        self.history.clear()
        self.compacted = self.version

    def _update(self, place: Place, old: Manifest, body: Manifest, subresource: str) -> Manifest:
        kept = ("uid", "creationTimestamp", "generation", "resourceVersion", "namespace", "deletionTimestamp")
        if subresource == "status":
            new = {**old, "status": body.get("status")}
        else:
            metadata = dict(body.get("metadata") or {})
            metadata |= {key: old["metadata"][key] for key in kept if key in old["metadata"]}
            new = {**body, "metadata": metadata}
            if _has_status(place):
                new["status"] = old.get("status")
            if _content(new) != _content(old):
                metadata["generation"] = old["metadata"]["generation"] + 1
        new = {key: value for key, value in new.items() if value is not None}
        if new == old:
            return old
        if new["metadata"].get("deletionTimestamp") and not new["metadata"].get("finalizers"):
            return self._remove(place)
        return self._store(place, new)

    def _store(self, place: Place, manifest: Manifest) -> Manifest:
        self.version += 1
        new = copy.deepcopy(manifest)
        new["metadata"]["resourceVersion"] = str(self.version)
        self._tell(Change(self.version, place, self.stored.get(place), new))
        self.stored[place] = new
        return new

    def _remove(self, place: Place) -> Manifest:
        self.version += 1
        old = self.stored.pop(place)
        self._tell(Change(self.version, place, old, None))
        return old

    def _tell(self, change: Change) -> None:
        self.history.append(change)
        self.told(change)


def merged(old: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    result = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def place_of(manifest: Manifest) -> Place:
    """Where a manifest belongs; a namespaced one without a namespace belongs to `default`."""
    api_version, kind, metadata = manifest["apiVersion"], manifest["kind"], manifest["metadata"]
    known = KNOWN.get((api_version, kind))
    plural = known.plural if known else kind.lower() + ("es" if kind.endswith("s") else "s")
    namespace = metadata.get("namespace", "")
    if known and known.namespaced:
        namespace = namespace or "default"
    return Place(api_version, plural, namespace, metadata.get("name", ""))


def _has_status(place: Place) -> bool:
    return place.plural in STATUS_SUBRESOURCE


def _content(manifest: Manifest) -> Manifest:
    return {key: value for key, value in manifest.items() if key not in {"metadata", "status"} and value is not None}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
