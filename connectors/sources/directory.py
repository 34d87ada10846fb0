"""Objects from directories of manifests, kept up to date."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from importlib import resources
from pathlib import Path

from connectors.snapshot import Changes
from connectors.sources.files import (
    Listing,
    Signature,
    is_foreign,
    is_recent,
    list_files,
    look_at,
    settled,
    size_of,
    ticks,
)
from connectors.sources.loaded import Ignored, Loaded
from connectors.sources.manifest_file import ManifestFile, fetch, reread
from connectors.sources.manifests import MAX_FILE, Manifest, read_manifests
from connectors.sources.merged import Merged
from connectors.sources.place import Identity, about_file


def builtin_classes() -> Mapping[Identity, Manifest]:
    """The built-in ConnectorClasses: connectors/classes/*.yaml, read by the same parser as any other."""
    files = sorted(resources.files("connectors").joinpath("classes").iterdir(), key=lambda file: file.name)
    manifests = (read_manifests(file.read_bytes()) for file in files if file.name.endswith(".yaml"))
    return {entry.identity: entry for found in manifests for entry in found.entries}


# Files that are fetched before they are parsed, if they are not large.
BATCH = 256


class DirectorySource:
    """Reads manifests below `paths`, directories or files, and the built-in classes, which classes in them replace.

    What cannot be read or understood keeps the last good objects. Of two objects of one kind, namespace and name the
    first one serves, in the order of `paths`, and below a directory in that of the names.
    """

    def __init__(self, paths: Sequence[Path], timestamp: Callable[[], str]) -> None:
        """`timestamp` returns the time as metav1.Time writes it, for objects that do not say when they were made."""
        self._paths = tuple(paths)
        self._merged = Merged(builtin_classes(), timestamp)
        self._broken: dict[str, str] = {}
        self._last: Loaded | None = None
        # A cancelled watch may leave its thread loading while the next one begins.
        self._lock = threading.Lock()

    def load(self) -> Loaded:
        """Read what has changed since the last time. Blocks on the file system: call it in a thread."""
        with self._lock:
            self._read_all(list_files(self._paths))
            changes = self._merged.changes()
            # At the first call these are all objects. At a later one, the caller has missed some changes.
            self._last = self._loaded(changes if self._last is None else None)
            return self._last

    async def watch(self) -> AsyncGenerator[Loaded, None]:
        """What has changed, whenever something has, at the latest 2 s after it did.

        A change is noticed within a second, and read once the files have been at rest for a moment, at most 1 s later.
        """
        async with aclosing(ticks(self._paths)) as pulse:
            async for reported in pulse:
                names = await asyncio.to_thread(self._concerned, reported)
                if names is not None and not names:
                    continue
                look = partial(self._look, names)
                seen = await asyncio.to_thread(look)
                if not await asyncio.to_thread(self._differs, seen):
                    continue
                seen = await settled(look, seen)
                before = self._last
                loaded = await asyncio.to_thread(self._follow, seen)
                if before is None or not loaded.tells_the_same(before):
                    yield loaded

    def _concerned(self, reported: frozenset[str] | None) -> frozenset[str] | None:
        """The only files to look at, since nothing else of interest was reported; None: look everywhere."""
        files = self._merged.files
        if reported is None:
            return None
        others = [path for path in reported if path not in files]
        return reported.difference(others) if all(is_foreign(path, files) for path in others) else None

    def _look(self, names: frozenset[str] | None) -> Listing:
        """What there is now: of these files alone, or where one of them has gone too, everything."""
        found = look_at(names) if names is not None else None
        return list_files(self._paths) if found is None else Listing(found, self._broken, whole=False)

    def _follow(self, seen: Listing) -> Loaded:
        with self._lock:
            if seen.whole:
                self._read_all(seen)
            else:
                self._read(seen.files)
            self._last = self._loaded(self._merged.changes())
            return self._last

    def _differs(self, listing: Listing) -> bool:
        files = self._merged.files
        if not listing.whole:
            return any(files[name].signature != signature for name, signature in listing.files.items())
        known = {name: file.signature for name, file in files.items()}
        if not listing.broken:
            return known != listing.files or listing.broken != self._broken
        known = {name: signature for name, signature in known.items() if not _below(name, listing.broken)}
        listed = {name: signature for name, signature in listing.files.items() if not _below(name, listing.broken)}
        return known != listed or listing.broken != self._broken

    def _read_all(self, listing: Listing) -> None:
        self._broken = listing.broken
        names = self._names(listing)
        for name in self._merged.files.keys() - set(names):
            self._merged.drop(name)
        self._read(listing.files)
        self._merged.reorder(name for name in names if name in self._merged.files)

    def _read(self, listed: Mapping[str, Signature]) -> None:
        """Read the changed files again."""
        files = self._merged.files
        stale = (
            (name, signature)
            for name, signature in listed.items()
            if name not in files or files[name].signature != signature
        )
        for some in _batches(stale):
            now = time.time_ns()
            fetched = [fetch(name) for name, _ in some]
            for (name, signature), raw in zip(some, fetched, strict=True):
                # Changed just now, it may change once more within the same step of the file system's clock.
                trusted = None if is_recent(signature, now) else signature
                made = reread(files.get(name) or ManifestFile(name), trusted, raw)
                if made is None:
                    self._merged.drop(name)
                else:
                    self._merged.put(made)

    def _names(self, listing: Listing) -> list[str]:
        """The files that count, in the order in which they serve; those below a broken directory keep their places."""
        files = self._merged.files
        kept = {name for name in files if _below(name, listing.broken)} if listing.broken else set()
        if not kept:
            return list(listing.files)
        stay = [name for name in files if name in listing.files or name in kept]
        return stay + [name for name in listing.files if name not in files]

    def _loaded(self, changes: Changes | None) -> Loaded:
        merged = self._merged
        of_paths = [about_file(path, 0, why) for path, why in self._broken.items()]
        telling = list(merged.telling())
        unreadable = [*of_paths, *(problem for file in telling if file.unreadable for problem in file.problems)]
        ignored = tuple(Ignored(kind, file.name) for file in telling for kind in file.ignored)
        problems = (*of_paths, *merged.problems())
        return Loaded(merged.objects(), problems, tuple(unreadable), ignored, merged.place, changes)


def _batches(files: Iterable[tuple[str, Signature]]) -> Iterator[list[tuple[str, Signature]]]:
    """Fetch some files at a time: alternating between kernel and parser for each adds half to reading thousands."""
    batch: list[tuple[str, Signature]] = []
    size = 0
    for name, signature in files:
        batch.append((name, signature))
        size += size_of(signature)
        if len(batch) >= BATCH or size >= MAX_FILE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _below(name: str, broken: dict[str, str]) -> bool:
    return any(
        name == path or name.startswith(path + os.sep) or (path == os.curdir and not Path(name).is_absolute())
        for path in broken
    )
