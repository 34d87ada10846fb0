"""The watches and filters of a fake API server."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from connectors.objects.metadata import GROUP
from tests.peers.api_objects import KNOWN, ApiObjects, Change, Manifest, Place, RefusedError

CUT, DROP, GONE, BOOKMARK = "cut", "drop", "gone", "bookmark"
Terms = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Filter:
    """Which objects a list or watch is about, and how they are shown."""

    place: Place
    labels: Terms
    fields: Terms
    metadata_only: bool

    @classmethod
    def parse(cls, place: Place, query: Mapping[str, str], *, metadata_only: bool) -> Filter:
        return cls(place, _terms(query.get("labelSelector")), _terms(query.get("fieldSelector")), metadata_only)

    def has(self, place: Place, manifest: Manifest | None) -> bool:
        if manifest is None or place[:2] != self.place[:2] or self.place.namespace not in {"", place.namespace}:
            return False
        labels = manifest["metadata"].get("labels") or {}
        if not all(key in labels and value in {"*", labels[key]} for key, value in self.labels):
            return False
        known = {"metadata.name": place.name, "metadata.namespace": place.namespace, "type": manifest.get("type", "")}
        return all(known.get(key) == value for key, value in self.fields)

    def select(self, objects: ApiObjects) -> Iterator[Manifest]:
        for place in sorted(objects.stored):
            if self.has(place, objects.stored[place]):
                yield objects.stored[place]

    def shown(self, manifest: Manifest) -> Manifest:
        return partial(manifest) if self.metadata_only else manifest

    def page(self, items: list[Manifest], metadata: dict[str, Any]) -> Manifest:
        """A list. As a real server does it, items of built-in types come without kind and apiVersion."""
        if self.metadata_only:
            kind, api_version = "PartialObjectMetadataList", "meta.k8s.io/v1"
        else:
            kinds = [kind for (version, kind), known in KNOWN.items() if known.plural == self.place.plural]
            kind, api_version = f"{kinds[0] if kinds else self.place.plural}List", self.place.api_version
        shown = [self.shown(item) for item in items]
        if not self.metadata_only and not self.place.api_version.startswith(GROUP):
            shown = [{key: item[key] for key in item if key not in {"kind", "apiVersion"}} for item in shown]
        return {"kind": kind, "apiVersion": api_version, "metadata": metadata, "items": shown}


class Watch:
    """One open watch. Changes and commands are put into `queue`."""

    def __init__(self, chosen: Filter, request: web.Request, objects: ApiObjects, flowing: asyncio.Event) -> None:
        self.chosen = chosen
        self.queue: asyncio.Queue[Change | bytes | str] = asyncio.Queue()
        self.response = web.StreamResponse(headers={"Content-Type": "application/json"})
        self._request = request
        self._objects = objects
        self._flowing = flowing
        self._bookmarks = request.query.get("allowWatchBookmarks") in {"1", "true"}
        self._seconds = float(request.query.get("timeoutSeconds") or 1800)
        self._events: int | None = None
        self._bookmark_every = 60.0

    def start(self, version: str) -> None:
        """Queue what happened since `version`, or all that is there for none."""
        if version in {"", "0"}:
            for place, manifest in self._objects.stored.items():
                self.queue.put_nowait(Change(0, place, None, manifest))
            return
        if int(version) < self._objects.compacted:
            raise RefusedError(410, "Expired", f"too old resource version: {version} ({self._objects.compacted})")
        for change in self._objects.history:
            if change.version > int(version):
                self.queue.put_nowait(change)

    def limit(self, events: int | None, seconds: float | None, bookmark_every: float) -> None:
        self._events = events
        self._seconds = min(self._seconds, seconds) if seconds is not None else self._seconds
        self._bookmark_every = bookmark_every

    async def run(self) -> None:
        """Write until the time is over or a command ends it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._seconds):
                while self._events is None or self._events > 0:
                    if not await self._one(await self._next()):
                        return
            return
        if self._flowing.is_set():
            await self._one(BOOKMARK)

    async def _next(self) -> Change | bytes | str:
        try:
            async with asyncio.timeout(self._bookmark_every):
                entry = await self.queue.get()
        except TimeoutError:
            entry = BOOKMARK
        await self._flowing.wait()
        return entry

    async def _one(self, entry: Change | bytes | str) -> bool:
        if isinstance(entry, bytes):
            await self.response.write(entry)
        elif isinstance(entry, Change):
            await self._change(entry)
        elif entry == BOOKMARK and self._bookmarks:
            await self._send("BOOKMARK", self._bookmark())
        elif entry == GONE:
            gone = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 410, "reason": "Expired"}
            await self._send("ERROR", gone | {"message": "too old resource version"})
        elif entry == DROP and self._request.transport is not None:
            self._request.transport.abort()
        return not isinstance(entry, str) or entry == BOOKMARK

    async def _change(self, change: Change) -> None:
        before, after = (self.chosen.has(change.place, manifest) for manifest in (change.old, change.new))
        if not before and not after:
            return
        kind = "MODIFIED" if before and after else "ADDED" if after else "DELETED"
        shown = change.new if after else change.old
        if shown is None:
            return
        if kind == "DELETED":
            shown = {**shown, "metadata": {**shown["metadata"], "resourceVersion": str(change.version)}}
        await self._send(kind, self.chosen.shown(shown))
        if self._events is not None:
            self._events -= 1

    def _bookmark(self) -> Manifest:
        # Never beyond what this watch has still to tell.
        waiting = [entry.version for entry in self.queue._queue if isinstance(entry, Change)]  # type: ignore[attr-defined]
        version = min(waiting) - 1 if waiting else self._objects.version
        return {"kind": "Bookmark", "apiVersion": "v1", "metadata": {"resourceVersion": str(version)}}

    async def _send(self, kind: str, shown: Manifest) -> None:
        line = json.dumps({"type": kind, "object": shown}) + "\n"
        await self.response.write(line.encode())


def partial(manifest: Manifest) -> Manifest:
    """PartialObjectMetadata."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": manifest["metadata"]}


def _terms(text: str | None) -> Terms:
    """`a=b,c` -> (("a", "b"), ("c", "*"))."""
    pairs = (term.partition("=") for term in (text or "").split(",") if term)
    return tuple((key.rstrip("!").strip(), value.lstrip("=").strip() or "*") for key, _, value in pairs)
