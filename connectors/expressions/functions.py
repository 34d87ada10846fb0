"""The functions a template may call, as one literal table."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Function:
    """`apply` takes the arguments as bytes and raises ValueError for ones it cannot take; `least`/`most` count them."""

    apply: Callable[[list[bytes]], bytes]
    least: int
    most: int

    def problem(self, count: int) -> str | None:
        """What is wrong with calling it with `count` arguments; None where nothing is."""
        if self.least <= count <= self.most:
            return None
        return f"takes {self.least} to {self.most} arguments, not {count}"


def _b64enc(arguments: list[bytes]) -> bytes:
    return b64encode(arguments[0])


def _printf(arguments: list[bytes]) -> bytes:
    """Go's Sprintf with the one verb %s (and %%)."""
    pattern, *values = arguments
    first, *pieces = pattern.replace(b"%%", b"\0").split(b"%")
    if len(pieces) != len(values) or not all(piece.startswith(b"s") for piece in pieces):
        raise ValueError("only %s and %% are known, with one argument for each %s")
    output = first.replace(b"\0", b"%")
    for piece, value in zip(pieces, values, strict=True):
        output += value + piece[1:].replace(b"\0", b"%")
    return output


FUNCTIONS: dict[str, Function] = {
    "b64enc": Function(_b64enc, 1, 1),
    "printf": Function(_printf, 1, 8),
}
