"""The tool's response head on its way to the client, line by line: a line that was seen before is known. Pure.

What is known is always what the long way made of such a line: llhttp and `client_head` judge a head that is new, and
`learn` keeps what each of its lines came to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from msgspec import Struct

from connectors.credentials.credential import fold
from connectors.http.fields import HOP_BY_HOP
from connectors.model.message import Headers, ResponseHead, Version
from proxy.http1.framing import CHUNKED, MAX_LENGTH_DIGITS, BodyKind, Framing, declared_framing
from proxy.http1.head import connection_tokens, write_fields
from proxy.scrub import CHANGED

MAX_CANDIDATES = 64
"""Lines seen once, of which only a hash is kept: which of them are worth more, the second time shows."""
COST = 256
"""Bytes that a line costs beside its own: by sys.getsizeof its object, its place in a dict and its Treatment."""

_FIELD = re.compile(
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]++): ((?![\t ])[\t\x20-\x7e\x80-\xff]++(?<![\t ]))",
)
"""A field line as `write_fields` writes it; whatever else llhttp takes is rewritten on the long way."""
_STATUS = re.compile(rb"HTTP/1\.1 ([2-9][0-9]{2}) ([\t\x20-\x7e\x80-\xff]*+)")
_PRIVATE = re.compile(
    rb"auth|cookie|credential|csrf|jwt|key|link|location|passw|refresh|secret|session|sign|token|x-request"
)
"""Names whose values can be somebody's secret, or are new each time: of such a line only the name is kept."""

BODYLESS = (204, 304)
"""Statuses whose answers have no body, whatever their fields say (RFC 9112 section 6.3)."""

Rewrite = Callable[[bytes, bytes], bytes | None]
"""(folded name, value) -> the value for the client; None where the field is left out."""


class Treatment(NamedTuple):
    """What becomes of a line. `passed`: it goes to the client as it is.

    `framing` is what it says of the body, `keep_alive` what Keep-Alive says.
    """

    name: str
    passed: bool = False
    framing: Framing | None = None
    keep_alive: bytes = b""


PASS: Final = Treatment("as it is", passed=True)
DROP: Final = Treatment("not for the client")
_CLOSE: Final = Treatment("not for the client, and the tool's connection ends")
_CHUNKED: Final = Treatment("as it is", passed=True, framing=CHUNKED)
_REWRITE: Final = Treatment("rewritten for each request")
_MEAN_NOTHING = (PASS, DROP, _REWRITE)
"""What is said by such a line concerns no other."""


class Answer(Struct, gc=False):
    """A final response head for the client, but for this hop's own Connection field: lines, each with its line end.

    `framing` is what the head declares, None for a body that ends with the connection: the request's method and the
    status may take it away. `persistent`: the tool keeps its connection; `keep_alive` is its Keep-Alive field.
    `length` is that of the body behind a head that anything but HEAD asked for, where both sides' connections can stay,
    and `kept` the whole head then; -1 where that cannot be said in advance.
    """

    status: int
    head: bytes
    framing: Framing | None
    persistent: bool
    keep_alive: bytes
    length: int = -1
    kept: bytes = b""

    def __repr__(self) -> str:
        return f"Answer({self.status})"  # its lines can hold what a tool echoes of a credential


class KnownLines:
    """The lines of one Connector's tool. Bounded by `budget` bytes: beyond it they are forgotten, and no others."""

    __slots__ = ("_budget", "_candidates", "_heads_size", "_names", "_size", "heads", "lines", "meanings", "statuses")

    def __init__(self, budget: int) -> None:
        self.lines: dict[bytes, bytes] = {}
        """What is written of a line, with its line end: nothing of one that is not for the client."""
        self.meanings: dict[bytes, Treatment] = {}
        """Of those lines the ones that concern the whole answer."""
        self.statuses: dict[bytes, int] = {}
        self.heads: dict[bytes, Answer] = {}
        """What whole heads came to of which every line was known: a tool gives most of its answers the same, for as long
        as its clock shows the same second."""
        self._names: set[bytes] = set()
        self._candidates: set[int] = set()
        self._budget = budget
        self._size = 0
        self._heads_size = 0

    def learn(self, status_line: bytes, head: ResponseHead) -> None:
        """A final head was judged: keep its status line, if it is written as it came, and the names of its fields."""
        plain = _STATUS.fullmatch(status_line) and status_line == b"HTTP/1.1 %d %b" % (head.status, head.reason)
        if plain and status_line not in self.statuses and self._room_for(status_line):
            self.statuses[status_line] = head.status
        for name, _ in head.headers:
            if name not in self._names and self._room_for(name):
                self._names.add(name)

    def keep_head(self, head: bytes, answer: Answer) -> None:
        """All lines of this head were known. In a quarter of the budget: the next second has another head."""
        cost, most = len(head) + len(answer.head) + COST, self._budget // 4
        if self._heads_size + cost > most:
            self.heads.clear()
            self._heads_size = 0
        if cost <= most:
            self.heads[head] = answer
            self._heads_size += cost

    def by_name(self, line: bytes) -> Treatment | None:
        """The treatment of a line that was not seen before, if its name was; None where llhttp has to judge it."""
        found = _FIELD.fullmatch(line)
        if found is None or found[1] not in self._names:
            return None
        treatment = _treatment(found[1], found[2])
        if treatment is not None and treatment is not _REWRITE and not _PRIVATE.search(found[1].lower()):
            self._keep(line, treatment)
        return treatment

    def _keep(self, line: bytes, treatment: Treatment) -> None:
        """From its second sight on: most lines that are seen once are never seen again."""
        mark, written = hash(line), line + b"\r\n" if treatment.passed else b""
        if mark not in self._candidates:
            if len(self._candidates) >= MAX_CANDIDATES:
                self._candidates.clear()
            self._candidates.add(mark)
        elif self._room_for(line + written):
            self.lines[line] = written
            if treatment not in _MEAN_NOTHING:
                self.meanings[line] = treatment

    def _room_for(self, kept: bytes) -> bool:
        cost, most = len(kept) + COST, self._budget - self._budget // 4
        if self._size + cost > most:
            self.lines.clear()
            self.meanings.clear()
            self.statuses.clear()
            self._names.clear()
            self._size = 0
        fits = self._size + cost <= most
        self._size += cost if fits else 0
        return fits


NOTHING_KNOWN: Final = KnownLines(0)
"""No line is known, and without a budget none is learnt."""


def _treatment(name: bytes, value: bytes) -> Treatment | None:
    """Of a field; None where its value decides about other fields, or about the body in a way that has to be judged.

    Names of framing fields are compared as they are, not folded: `Content_Length` frames nothing.
    """
    match name.lower():
        case b"content-length":
            plain = value.isdigit() and len(value) <= MAX_LENGTH_DIGITS
            return Treatment("as it is", passed=True, framing=Framing(BodyKind.LENGTH, int(value))) if plain else None
        case b"transfer-encoding":
            return _CHUNKED if value.lower() == b"chunked" else None
        case b"connection":
            return {b"close": _CLOSE, b"keep-alive": DROP}.get(value.lower())
        case b"keep-alive":
            return Treatment("not for the client", keep_alive=value)
        case b"close":
            return None  # `Connection: close` nominates it, and then it is not for the client
    folded = fold(name)
    if folded in CHANGED:
        return _REWRITE
    return DROP if folded in HOP_BY_HOP else PASS


def known_answer(head: bytes, known: KnownLines, rewrite: Rewrite, most: int) -> Answer | None:
    """What this head came to, or comes to where each line of it is known; None where it has to be judged as a whole.

    That is so as well where one line speaks about another: two lengths, or a length beside a coding; or where it has
    more than `most` fields. `head` ends before its last line end.
    """
    answer = known.heads.get(head)
    if answer is not None:
        return answer
    lines = head.split(b"\r\n")
    status, fields, rewritten = known.statuses.get(lines[0]), lines[1:], False
    if status is None or len(fields) > most:
        return None
    try:
        # What Python does not do itself takes half the time.
        written = b"".join(map(known.lines.__getitem__, fields))
        meanings: Iterable[Treatment] = filter(None, map(known.meanings.get, fields))
    except KeyError:
        named = _by_name(fields, known, rewrite)
        if named is None:
            return None
        written, meanings = named
        rewritten = True
    framing, persistent, keep_alive = None, True, b""
    for meaning in meanings:
        if meaning.framing is not None:
            if framing is not None:
                return None
            framing = meaning.framing
        elif meaning is _CLOSE:
            persistent = False
        else:
            keep_alive = keep_alive or meaning.keep_alive
    answer = Answer(status, lines[0] + b"\r\n" + written, framing, persistent, keep_alive)
    if framing is not None and framing.kind is BodyKind.LENGTH and persistent and status not in BODYLESS:
        answer.length, answer.kept = framing.length, answer.head + b"\r\n"
    if not rewritten:
        known.keep_head(head, answer)
    return answer


def _by_name(fields: list[bytes], known: KnownLines, rewrite: Rewrite) -> tuple[bytes, list[Treatment]] | None:
    """What is written of fields of which not every line was seen before, and what concerns the whole answer."""
    written, meanings = b"", []
    for line in fields:
        seen = known.lines.get(line)
        treatment = known.by_name(line) if seen is None else known.meanings.get(line, PASS if seen else DROP)
        if treatment is None:
            return None
        if treatment.passed:
            written += line + b"\r\n"
        elif treatment is _REWRITE:
            written += _rewritten(line, rewrite)
        if treatment not in _MEAN_NOTHING:
            meanings.append(treatment)
    return written, meanings


def _rewritten(line: bytes, rewrite: Rewrite) -> bytes:
    name, _, value = line.partition(b": ")
    changed = rewrite(fold(name), value)
    return b"" if changed is None else b"%b: %b\r\n" % (name, changed)


def judged_answer(head: ResponseHead, headers: Headers) -> Answer:
    """The head as llhttp and the strict rules have read it; `headers` are those of it that the client gets.

    Raises:
        MessageError: its framing is broken, with reason UpstreamProtocol.
    """
    lines = b"HTTP/1.1 %d %b\r\n%b" % (head.status, head.reason, write_fields(headers))
    persistent = b"close" not in connection_tokens(head) and head.version is Version.HTTP_1_1
    return Answer(head.status, lines, declared_framing(head), persistent, next(iter(head.values(b"keep-alive")), b""))


def without_coding(headers: Headers) -> Headers:
    """The fields for a client that knows no chunks (HTTP/1.0)."""
    return tuple(field for field in headers if field[0].lower() not in (b"transfer-encoding", b"trailer"))
