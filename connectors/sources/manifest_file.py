"""One file over time: what is in it now, and the last good objects where it cannot be used."""

from __future__ import annotations

from dataclasses import dataclass, field

from connectors.objects.violation import Violation
from connectors.sources.documents import DocumentError
from connectors.sources.files import Signature, UnreadableFileError, read_file
from connectors.sources.manifests import MAX_FILE, Manifest, Manifests, read_manifests
from connectors.sources.place import Identity, Problem, about_file


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """`objects` is what serves; `signature` is that of the content it was read from, None if it is to be read again."""

    name: str
    signature: Signature | None = None
    objects: dict[Identity, Manifest] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    ignored: tuple[str, ...] = ()
    unreadable: bool = False


# What a file holds, or why it cannot be read; None: it has gone.
Fetched = bytes | UnreadableFileError | None


def fetch(name: str) -> Fetched:
    """Read a file; of one that is too large a part."""
    try:
        return read_file(name, MAX_FILE)
    except FileNotFoundError:
        return None
    except UnreadableFileError as error:
        return error


def reread(before: ManifestFile, signature: Signature | None, raw: Fetched) -> ManifestFile | None:
    """The file as it is now, `raw` having been fetched; None if it has gone."""
    name = before.name
    if raw is None:
        return None
    if isinstance(raw, UnreadableFileError):
        problem = about_file(name, 0, str(raw))
        return ManifestFile(name, None, before.objects, (problem,), unreadable=True)
    if len(raw) > MAX_FILE:
        problem = about_file(name, 0, f"is larger than {MAX_FILE // 1024**2} MiB; split it")
        return ManifestFile(name, signature, before.objects, (problem,))
    try:
        found = read_manifests(raw, json=name.endswith(".json"))
    except DocumentError as error:
        return ManifestFile(name, signature, before.objects, (about_file(name, error.line, error.message),))
    return _update(before, signature, found)


def _update(before: ManifestFile, signature: Signature | None, found: Manifests) -> ManifestFile:
    objects: dict[Identity, Manifest] = {}
    problems: list[Problem] = []
    lines: dict[Identity, int] = {}
    for entry in found.entries:
        problems.extend(_problems(before.name, entry))
        identity = entry.identity
        if not identity.name:
            continue
        if identity in lines:
            problems.append(repeated(before.name, entry, f"{before.name}:{lines[identity]}"))
            continue
        lines[identity] = entry.place.line
        good = entry if entry.value is not None else before.objects.get(identity)
        if good is not None:
            objects[identity] = good
    if not all(entry.identity.name for entry in found.entries):
        # One of the objects that were here may be the one that does not say its name.
        objects = {**objects, **{key: value for key, value in before.objects.items() if key not in objects}}
    return ManifestFile(before.name, signature, objects, tuple(problems), found.ignored)


def repeated(file: str, entry: Manifest, where: str) -> Problem:
    """The problem of an object that stands a second time, at `where` first."""
    violation = Violation("metadata.name", f"the object stands at {where} too, and that one serves; remove one of them")
    return Problem(file, entry.place.line_of(violation.path), entry.identity, violation)


def _problems(file: str, entry: Manifest) -> list[Problem]:
    return [
        Problem(file, entry.place.line_of(violation.path), entry.identity, violation) for violation in entry.violations
    ]
