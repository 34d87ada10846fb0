"""What the webhook answers: yes, or no with every reason; and warnings either way. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from connectors.objects.violation import Severity, Violation, errors

# Characters of one warning. The API server cuts what is longer than 256 (apiserver, admission/plugin/webhook), and
# kubectl shows each in a line.
MAX_WARNING = 250
# Warnings of one answer: the API server keeps 4 KiB of all webhooks together, and more is not read.
MAX_WARNINGS = 20
# Violations that a denial lists; their number is told. A spec has 64 KiB at most, in which thousands fit.
MAX_CAUSES = 100
# Connectors that a warning names.
NAMED = 10
# Characters of a user's name in a message or a log line. Objects' names have fewer, users' any number.
MAX_NAME = 256

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\s]+")


@dataclass(frozen=True, slots=True)
class Denial:
    """A no. `code` and `reason` are those of metav1.Status; `causes` say it by field."""

    code: HTTPStatus
    reason: str
    message: str
    causes: tuple[Violation, ...] = ()


@dataclass(frozen=True, slots=True)
class ReviewVerdict:
    """The answer. `warnings` are fit for a header."""

    denial: Denial | None = None
    warnings: tuple[str, ...] = ()

    @property
    def allowed(self) -> bool:
        """Whether it is a yes."""
        return self.denial is None


def judged(violations: tuple[Violation, ...]) -> ReviewVerdict:
    """No if one of them is an error; the others are warnings."""
    warnings = warned(item for item in violations if item.severity is Severity.WARNING)
    fatal = errors(violations)
    if not fatal:
        return ReviewVerdict(warnings=warnings)
    return ReviewVerdict(denied(HTTPStatus.UNPROCESSABLE_ENTITY, "Invalid", fatal), warnings)


def tolerated(violations: tuple[Violation, ...]) -> ReviewVerdict:
    """Yes: what is wrong was so before, or goes away; it is told as warnings."""
    return ReviewVerdict(warnings=warned(violations))


def denied(code: HTTPStatus, reason: str, violations: Sequence[Violation]) -> Denial:
    """A no for these reasons, all of which its message lists."""
    listed = tuple(Violation(flat(item.path), flat(item.message)) for item in violations[:MAX_CAUSES])
    lines = [str(item) for item in listed]
    if rest := len(violations) - len(listed):
        lines.append(f"and {rest} more")
    return Denial(code, reason, "; ".join(lines), listed)


def warned(items: Iterable[Violation | str]) -> tuple[str, ...]:
    """As warnings, one a line, each no longer than MAX_WARNING."""
    lines = [_bounded(flat(str(item)), MAX_WARNING) for item in items]
    if len(lines) <= MAX_WARNINGS:
        return tuple(lines)
    return (*lines[: MAX_WARNINGS - 1], f"and {len(lines) - MAX_WARNINGS + 1} more warnings")


def naming(what: str, names: Sequence[str]) -> tuple[str, ...]:
    """`what`, followed by up to NAMED of the names and how many more there are, in as many lines as that takes."""
    words = [*names[:NAMED], *([f"and {len(names) - NAMED} more"] if len(names) > NAMED else [])]
    lines = [f"{what}:"]
    for word in words:
        if len(lines[-1]) + len(word) + 2 > MAX_WARNING:
            lines.append("also:")
        lines[-1] += f" {word}," if word is not words[-1] else f" {word}"
    return warned(lines)


def flat(text: str) -> str:
    """In one line, of characters that a header may hold (RFC 9110 section 5.5); names in it may be of any kind."""
    return _UNPRINTABLE.sub(" ", text)


def bounded_name(name: str) -> str:
    """A name that a user chose, cut to what a reader needs."""
    return _bounded(name, MAX_NAME)


def _bounded(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
