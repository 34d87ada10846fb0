"""How deep JSON is nested: counted before it is decoded, since a decoder's limit differs from one Python to the next.

Python 3.11 follows some 1,000 levels, 3.13 10,000. What 3.13 still decodes ends the process where a library converts it
by recursion in C without a limit, as the one for CEL does from 6,000 levels on, which are 12 KB of a tool's answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

# Levels that a decoder is given. OpenAPI documents, the deepest thing there is, have about 25. Python 3.11 bears 1,000
# calls in each other: a function that recurses takes one a level, and what calls it about a hundred.
MOST_LEVELS = 400

_STRUCTURE = b'[]{}"'
# Brackets -> +1 and -1 as signed bytes.
_STEPS = bytes({b"[": 1, b"{": 1, b"]": 0xFF, b"}": 0xFF}.get(bytes([code]), code) for code in range(256))
_REST = bytes(code for code in range(256) if code not in _STRUCTURE)
# Bytes that are looked at together: what begins deep is known after the first of them.
_STRIDE = 65_536


def too_deep(raw: bytes, most: int = MOST_LEVELS) -> bool:
    """Whether arrays and objects are nested more than `most` levels deep (RFC 8259 sections 4, 5 and 7).

    True too for what is not JSON and so deep before that is seen: a decoder gets that far. It takes 5 ms for a megabyte
    of objects of an API server, 20 ms for one of brackets alone; nothing for what has few brackets.
    """
    if raw.count(b"[") + raw.count(b"{") <= most:
        return False
    depth, in_string = 0, 0
    for part in _parts(raw):
        pieces = _structure(part).split(b'"')
        steps = memoryview(b"".join(pieces[in_string::2])).cast("b")
        in_string ^= len(pieces) % 2 == 0
        depths = list(accumulate(steps, initial=depth))
        if max(depths) > most:
            return True
        depth = depths[-1]
    return False


def _parts(raw: bytes) -> Iterator[bytes]:
    """Pieces of a stride; none begins within an escape."""
    begin = 0
    while part := raw[begin : begin + _STRIDE]:
        backslashes = len(part) - len(part.rstrip(b"\\"))
        if backslashes % 2 and len(part) > 1:
            part = part[:-1]
        yield part
        begin += len(part)


def _structure(part: bytes) -> bytes:
    """A byte for each bracket, and quotes. Whole passes in C: a loop of Python would cost 20 times as much."""
    if b"\\" in part:
        part = part.replace(b"\\\\", b"").replace(b'\\"', b"")
    # Two quotes beside each other have nothing between them that counts, whether they open or close.
    return part.translate(_STEPS, _REST).replace(b'""', b"")
