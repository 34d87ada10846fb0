"""Files on disk: which there are below a path, when one has changed, and what is in it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

SUFFIXES = frozenset({".yaml", ".yml", ".json"})

RECENT_NS = 50_000_000
"""Nanoseconds. File systems count time in steps of up to 10 ms: a file written just before it was read may be written
again within the same step, and then only reading it again shows the change."""

Signature = tuple[int, int, int, int, int]
"""Device, inode, size, time of modification and of change of what a path leads to."""


class UnreadableError(Exception):
    """A file or directory cannot be read. The message says why, in the system's words, and what to do."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The manifest files below the paths, in the order in which they serve, with their signatures.

    `broken` says why a path or directory could not be listed: what was known of files below it still stands.
    """

    files: dict[str, Signature]
    broken: dict[str, str]


def list_files(paths: Sequence[Path]) -> Listing:
    """All files named by `paths` or below them. A file reached twice, by whatever name, counts once."""
    files: dict[str, Signature] = {}
    broken: dict[str, str] = {}
    seen: set[tuple[int, int]] = set()
    for path in paths:
        for file, found in _walk(path, broken):
            if (found.st_dev, found.st_ino) not in seen:
                seen.add((found.st_dev, found.st_ino))
                files[str(file)] = _signature(found)
    return Listing(files, broken)


def is_recent(signature: Signature, now: int) -> bool:
    """Whether the file was modified so shortly before `now`, in nanoseconds, that one more change may hide."""
    return abs(now - signature[3]) < RECENT_NS


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
                raise UnreadableError("is not a regular file; remove it, or put a file there")
            return opened.read(most + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UnreadableError(_why(error)) from None


def _walk(path: Path, broken: dict[str, str]) -> Iterator[tuple[Path, os.stat_result]]:
    """A path from the command line: a file counts whatever its suffix, a missing one is an error."""
    try:
        found = path.stat()
    except OSError as error:
        broken[str(path)] = _why(error)
        return
    if stat.S_ISDIR(found.st_mode):
        yield from _walk_directory(path, broken, {(found.st_dev, found.st_ino)})
    else:
        yield path, found


def _walk_directory(
    directory: Path, broken: dict[str, str], above: set[tuple[int, int]]
) -> Iterator[tuple[Path, os.stat_result]]:
    """Sorted, links followed; `above` holds the directories on the way here, so that a loop of links ends.

    Names with two leading dots are skipped: a projected volume keeps its generations there (`..data`), and links to
    them.
    """
    try:
        names = sorted(os.listdir(directory))  # noqa: PTH208 - names, to sort them and no more
    except FileNotFoundError:
        return
    except OSError as error:
        broken[str(directory)] = _why(error)
        return
    for name in names:
        path = directory / name
        if name.startswith(".."):
            continue
        try:
            found = path.stat()
        except FileNotFoundError:
            # Gone since it was listed, or a link that leads nowhere: editors lock files with those.
            continue
        except OSError as error:
            if path.suffix in SUFFIXES:
                broken[str(path)] = _why(error)
            continue
        if not stat.S_ISDIR(found.st_mode):
            if path.suffix in SUFFIXES:
                yield path, found
        elif (found.st_dev, found.st_ino) not in above:
            yield from _walk_directory(path, broken, above | {(found.st_dev, found.st_ino)})


def _signature(found: os.stat_result) -> Signature:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _why(error: OSError) -> str:
    match error:
        case PermissionError():
            hint = "let this user read it"
        case FileNotFoundError():
            hint = "correct the path, or create it"
        case _:
            hint = "it is tried again"
    return f"{(error.strerror or 'cannot be read').lower()}; {hint}"
