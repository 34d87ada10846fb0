"""Files on disk: which there are below a path, when one has changed, and what is in it."""

from __future__ import annotations

import asyncio
import logging
import os
import stat
import struct
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from watchfiles import awatch

SUFFIXES = frozenset({".yaml", ".yml", ".json"})

# Nanoseconds. File systems count time in steps of up to 10 ms: a file written just before it was read may be written
# again within the same step, and then only reading it again shows the change.
RECENT_NS = 50_000_000

# Device, inode, size, time of modification and of change of what a path leads to; packed, since there are as many of
# them as files.
Signature = bytes
_SIGNATURE = struct.Struct("=QQQqq")


class UnreadableFileError(Exception):
    """A file or directory cannot be read. The message says why, in the system's words, and what to do."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The manifest files below the paths, in the order in which they serve, with their signatures.

    `broken` says why a path or directory could not be listed: what was known of files below it still stands. `whole`:
    whether these are all files, or some that were looked at alone.
    """

    files: dict[str, Signature]
    broken: dict[str, str]
    whole: bool = True


def list_files(paths: Sequence[Path]) -> Listing:
    """All files named by `paths` or below them. A file reached twice, by whatever name, counts once."""
    files: dict[str, Signature] = {}
    broken: dict[str, str] = {}
    seen: set[tuple[int, int]] = set()
    for path in paths:
        for file, found in _walk(str(path), broken):
            if (found.st_dev, found.st_ino) not in seen:
                seen.add((found.st_dev, found.st_ino))
                files[file] = _signature(found)
    return Listing(files, broken)


def is_foreign(path: str, known: Iterable[str]) -> bool:
    """Whether nothing that counts has changed with this path, which is none of the `known` files.

    So it is with what editors write before they rename it. Not so with a directory, a link, or one that has gone.
    """
    name = os.path.basename(path)  # noqa: PTH119
    if name.startswith("..") or os.path.splitext(name)[1] in SUFFIXES:  # noqa: PTH122
        return False
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except FileNotFoundError:
        return not any(file.startswith(path + os.sep) for file in known)
    except OSError:
        return False


def look_at(names: Iterable[str]) -> dict[str, Signature] | None:
    """The signatures of these files now; None if one has gone, or is none any more."""
    files = {}
    for name in names:
        try:
            found = os.stat(name)  # noqa: PTH116 - a name from a listing, among thousands
        except OSError:
            return None
        if stat.S_ISDIR(found.st_mode):
            return None
        files[name] = _signature(found)
    return files


def is_recent(signature: Signature, now: int) -> bool:
    """Whether the file was modified so shortly before `now`, in nanoseconds, that one more change may hide."""
    return abs(now - int(_SIGNATURE.unpack(signature)[3])) < RECENT_NS


def size_of(signature: Signature) -> int:
    """Bytes of the file."""
    return int(_SIGNATURE.unpack(signature)[2])


def read_file(file: str, most: int) -> bytes:
    """Up to `most` + 1 bytes, so that the caller sees when there are more than `most`.

    Raises:
        FileNotFoundError: it went away.
        UnreadableError: it is not a regular file, or the system refuses.
    """
    try:
        # A named pipe must not hold up the reader.
        with open(os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as opened:  # noqa: PTH123
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                raise UnreadableFileError("is not a regular file; remove it, or put a file there")
            return opened.read(most + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UnreadableFileError(_why(error)) from None


def _walk(path: str, broken: dict[str, str]) -> Iterator[tuple[str, os.stat_result]]:
    """A path from the command line: a file counts whatever its suffix, a missing one is an error."""
    try:
        found = os.stat(path)  # noqa: PTH116 - see _walk_directory
    except OSError as error:
        broken[path] = _why(error)
        return
    if stat.S_ISDIR(found.st_mode):
        yield from _walk_directory(path, broken, {(found.st_dev, found.st_ino)})
    else:
        yield path, found


def _walk_directory(
    directory: str, broken: dict[str, str], above: set[tuple[int, int]]
) -> Iterator[tuple[str, os.stat_result]]:
    """Sorted, links followed; `above` holds the directories on the way here, so that a loop of links ends.

    Names with two leading dots are skipped: a projected volume keeps its generations there (`..data`), and links to
    them. Text and not Path: with thousands of files, looked at again and again, that is half of what a look costs.
    """
    for name in _names(directory, broken):
        path = name if directory == os.curdir else os.path.join(directory, name)  # noqa: PTH118
        counts = os.path.splitext(name)[1] in SUFFIXES  # noqa: PTH122
        try:
            found = os.stat(path)  # noqa: PTH116
        except FileNotFoundError:
            # Gone since it was listed, or a link that leads nowhere: editors lock files with those.
            continue
        except OSError as error:
            if counts:
                broken[path] = _why(error)
            continue
        if not stat.S_ISDIR(found.st_mode):
            if counts:
                yield path, found
        elif (found.st_dev, found.st_ino) not in above:
            yield from _walk_directory(path, broken, above | {(found.st_dev, found.st_ino)})


def _names(directory: str, broken: dict[str, str]) -> list[str]:
    """The names in it that are looked at, sorted; none where it has gone or cannot be read."""
    try:
        listed = os.listdir(directory)  # noqa: PTH208 - names, to sort them and no more
    except FileNotFoundError:
        return []
    except OSError as error:
        broken[directory] = _why(error)
        return []
    return sorted(name for name in listed if not name.startswith(".."))


def _signature(found: os.stat_result) -> Signature:
    return _SIGNATURE.pack(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _why(error: OSError) -> str:
    match error:
        case PermissionError():
            hint = "let this user read it"
        case FileNotFoundError():
            hint = "correct the path, or create it"
        case _:
            hint = "it is tried again"
    return f"{(error.strerror or 'cannot be read').lower()}; {hint}"


logger = logging.getLogger("connectors.manifests")

# Seconds between looks when nothing is reported: reports do not cover what links lead to, nor network file systems.
INTERVAL = 0.5
# Of a core, at most, for looking at everything again and again: with 10,000 files one look takes 50 ms and more.
SHARE = 0.1
# Seconds between two looks at everything, however long they take.
LONGEST = 0.9
# Seconds without a change after which a file counts as written to its end.
REST = 0.1
# Seconds after which files are read though they still change.
PATIENCE = 1.0
_STEP = 0.05


async def ticks(paths: Sequence[Path]) -> AsyncGenerator[frozenset[str] | None, None]:
    """None, for a look at everything: at once, and every INTERVAL seconds. In between, what the system reports.

    Where the last look at everything took long, the next one comes later: see SHARE.
    """
    clock = asyncio.get_running_loop().time
    began = clock()
    yield None
    due = began + _pause(clock() - began)
    present = [path for path in paths if path.exists()]
    try:
        async with aclosing(_reports(present)) as reports:
            async for reported in reports:
                # Also where a look at everything is due: that would wait, all files once more each time, for one file
                # to come to rest.
                if reported:
                    yield reported
                if clock() >= due:
                    began = clock()
                    yield None
                    due = clock() + _pause(clock() - began)
    except OSError as error:
        # The table of watches is full, or a path has gone since.
        logger.warning("changes are looked for every %g s, since the system does not report them: %s", INTERVAL, error)
    while True:
        await asyncio.sleep(INTERVAL)
        yield None


def _pause(took: float) -> float:
    return min(max(INTERVAL, took / SHARE), LONGEST)


async def settled(look: Callable[[], Listing], seen: Listing) -> Listing:
    """Wait until what `look` sees, `seen` the last time, has not changed for REST seconds, at most PATIENCE seconds.

    Returns what it saw last.
    """
    clock = asyncio.get_running_loop().time
    begin = since = clock()
    while clock() - since < REST and clock() - begin < PATIENCE:
        await asyncio.sleep(_STEP)
        now = await asyncio.to_thread(look)
        if now != seen:
            seen, since = now, clock()
    return seen


async def _reports(paths: Sequence[Path]) -> AsyncGenerator[frozenset[str], None]:
    if not paths:
        return
    timeout = int(INTERVAL * 1000)
    changes = awatch(*paths, watch_filter=None, debounce=200, step=20, rust_timeout=timeout, yield_on_timeout=True)
    async for found in changes:
        yield frozenset(path for _, path in found)
