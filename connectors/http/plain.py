"""Plain request heads, taken apart by one regular expression: nothing of them but the request line has to be judged."""

from __future__ import annotations

import re

from msgspec import Struct

from connectors.http.head import HEAD_END

# Bytes of a request line that is read by expression alone; longer ones are judged by llhttp.
MAX_LINE = 8 * 1024
# Bytes of a header block that is worth a digest; longer ones cost as much as to judge them.
MAX_BLOCK = 8 * 1024

# Characters of a path that need no escape (RFC 3986 section 3.3): every reader sees the same path.
_PLAIN = rb"[A-Za-z0-9\-._~!$&'()*+,;=:@/]*+"
_SEGMENT = rb"[A-Za-z0-9\-._~!$&'()*+,;=:@]++"
_LINE = re.compile(
    rb"(GET|HEAD|POST|PUT|DELETE|PATCH|OPTIONS) "
    rb"((?:/v2)?/namespaces/" + _SEGMENT + rb"/connectors/" + _SEGMENT + rb"(?=[/? ]))?+"
    rb"(/" + _PLAIN + rb")?+(\?[A-Za-z0-9\-._~!$&'()*+,;=:@/?%]*+)?+ HTTP/1\.1\r\n"
)


class Plain(Struct, frozen=True, gc=False):
    """A request head as it was sent, in parts. Its repr shows none of them: they can hold a caller's token.

    `prefix` is the part of the path that may name a Connector, empty if there is none; `path` is all of the path,
    `query` begins with its `?` or is empty. `block` is everything behind the request line, to and with the empty line;
    what is behind that begins at `end`.
    """

    method: bytes
    prefix: bytes
    path: bytes
    query: bytes
    block: bytes
    end: int

    def __repr__(self) -> str:
        return f"Plain({self.method.decode('ascii')})"


def plain_head(data: bytes) -> Plain | None:
    """The head that `data` begins with; None if it is not complete, not plain, or too long to be read this way.

    Whatever remembers a block and whatever looks one up cut it here; so both mean the same bytes by it.
    """
    line = _LINE.match(data)
    if line is None or (start := line.end()) > MAX_LINE:
        return None
    method, prefix, path, query = line.groups(b"")
    # From the request line's own end on: a block that is empty is found as such, and not as the next one.
    end = data.find(HEAD_END, start - 2, start + MAX_BLOCK) + 4
    if prefix:
        path = prefix + path
    if end <= start + 2 or not path or (46 in path and b".." in path):  # 46 is a dot: most paths have none
        return None
    return Plain(method, prefix, path, query, data[start:end], end)
