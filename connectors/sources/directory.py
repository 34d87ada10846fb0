"""Objects from directories of manifests, kept up to date."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path

from connectors.sources.builtin import builtin_classes
from connectors.sources.files import Listing, is_recent, list_files
from connectors.sources.ledger import Ledger
from connectors.sources.loaded import Ignored, Loaded, objects_of
from connectors.sources.manifest_file import ManifestFile, repeated, reread
from connectors.sources.manifests import Manifest
from connectors.sources.place import Place
from connectors.sources.problem import Identity, Problem, about_file
from connectors.sources.ticks import settled, ticks


class DirectorySource:
    """Reads manifests below `paths`, directories or files, and the built-in classes, which classes in them replace.

    What cannot be read or understood keeps the last good objects. Of two objects of one kind, namespace and name the
    first one serves, in the order of `paths`, and below a directory in that of the names.
    """

    def __init__(self, paths: Sequence[Path], timestamp: Callable[[], str]) -> None:
        """`timestamp` returns the time as metav1.Time writes it, for objects that do not say when they were made."""
        self._paths = tuple(paths)
        self._builtin = builtin_classes()
        self._ledger = Ledger(timestamp)
        self._files: dict[str, ManifestFile] = {}
        self._broken: dict[str, str] = {}
        self._last: Loaded | None = None
        # A cancelled watch may leave its thread loading while the next one begins.
        self._lock = threading.Lock()

    def load(self) -> Loaded:
        """Read what has changed since the last time. Blocks on the file system: call it in a thread."""
        with self._lock:
            listing = list_files(self._paths)
            self._files = self._read(listing)
            self._broken = listing.broken
            self._last = self._merge()
            return self._last

    async def watch(self) -> AsyncGenerator[Loaded, None]:
        """Everything anew whenever something in it has changed, at the latest 2 s after it did.

        A change is noticed within 0.5 s, and read once the files have been at rest for a moment, at most 1 s later.
        """
        async with aclosing(ticks(self._paths)) as pulse:
            async for _ in pulse:
                listing = await asyncio.to_thread(list_files, self._paths)
                if not self._differs(listing):
                    continue
                await settled(lambda: list_files(self._paths), listing)
                before = self._last
                loaded = await asyncio.to_thread(self.load)
                if before is None or not loaded.tells_the_same(before):
                    yield loaded

    def _differs(self, listing: Listing) -> bool:
        known = {name: file.signature for name, file in self._files.items() if not _below(name, listing.broken)}
        listed = {name: signature for name, signature in listing.files.items() if not _below(name, listing.broken)}
        return known != listed or listing.broken != self._broken

    def _read(self, listing: Listing) -> dict[str, ManifestFile]:
        files = {}
        for name in self._names(listing):
            before = self._files.get(name, ManifestFile(name))
            signature = listing.files.get(name)
            if signature is None or signature == before.signature:
                files[name] = before
                continue
            now = reread(before, None if is_recent(signature, time.time_ns()) else signature)
            if now is not None:
                files[name] = now
        return files

    def _names(self, listing: Listing) -> list[str]:
        """The files that count, in the order in which they serve; those below a broken directory keep their places."""
        kept = [name for name in self._files if _below(name, listing.broken)]
        if not kept:
            return list(listing.files)
        stay = [name for name in self._files if name in listing.files or name in kept]
        return stay + [name for name in listing.files if name not in self._files]

    def _merge(self) -> Loaded:
        unreadable = [about_file(path, 0, why) for path, why in self._broken.items()]
        problems = list(unreadable)
        chosen: dict[Identity, Manifest] = {}
        places: dict[Identity, tuple[str, Place]] = {}
        for name, file in self._files.items():
            problems.extend(file.problems)
            unreadable.extend(file.problems if file.unreadable else ())
            for identity, manifest in file.objects.items():
                if identity in places:
                    problems.append(_repeated(name, manifest, places[identity]))
                else:
                    chosen[identity], places[identity] = manifest, (name, manifest.place)
        builtin = {identity: manifest for identity, manifest in self._builtin.items() if identity not in chosen}
        ignored = tuple(Ignored(kind, name) for name, file in self._files.items() for kind in file.ignored)
        values = self._ledger.settle({**chosen, **builtin})
        return Loaded(objects_of(values), tuple(problems), tuple(unreadable), ignored, places)


def _repeated(file: str, manifest: Manifest, first: tuple[str, Place]) -> Problem:
    where, place = first
    return repeated(file, manifest, f"{where}:{place.line}")


def _below(name: str, broken: dict[str, str]) -> bool:
    return any(
        name == path or name.startswith(path + os.sep) or (path == os.curdir and not Path(name).is_absolute())
        for path in broken
    )
