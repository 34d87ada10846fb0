"""What bounds a template. One rendering stays within about 50 ms, whatever a class or a Secret holds."""

from __future__ import annotations


class TemplateError(ValueError):
    """A template is not in the subset, or cannot be rendered. The message never holds a rendered value.

    `missing_key` is the key that the Secret lacks ("" where the template computes its name); None in other cases.
    """

    def __init__(self, message: str, *, missing_key: str | None = None) -> None:
        super().__init__(message)
        self.missing_key = missing_key


def error_at(source: str, position: int, message: str, *, missing_key: str | None = None) -> TemplateError:
    """An error that begins with line and column of `position`, both counted from 1, columns in characters."""
    line = source.count("\n", 0, position) + 1
    column = position - source.rfind("\n", 0, position)
    return TemplateError(f"line {line}, column {column}: {message}", missing_key=missing_key)


# Characters of a template. The longest of the published classes has under 600.
MAX_SOURCE = 4096
# Bytes of a rendering, and of each value made on the way: what a request head of 64 KiB can hold several times.
MAX_OUTPUT = 16 * 1024
# Blocks and parentheses inside each other: compiling and evaluating recurse as deep, six Python frames a level.
MAX_NESTING = 32
# Nodes evaluated, turns of `range`, and bytes moved (256 of them are a step): about a microsecond each.
MAX_STEPS = 20_000
# Items of a list made on the way: more than a Connector has parameters.
MAX_ITEMS = 4096
STEP_BYTES = 256
STEP_ITEMS = 64
# Arguments of a call that are a step beside the call's own: most calls have fewer.
STEP_ARGUMENTS = 2


class Buffer:
    """Collects bytes, at most MAX_OUTPUT of them."""

    __slots__ = ("_parts", "_size")

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, piece: bytes) -> None:
        """Append.

        Raises:
            ValueError: that is too much.
        """
        self._size += len(piece)
        if self._size > MAX_OUTPUT:
            raise ValueError(TOO_LONG)
        self._parts.append(piece)

    def value(self) -> bytes:
        """All of it."""
        return b"".join(self._parts)


TOO_LONG = f"the rendering is longer than {MAX_OUTPUT} bytes"
