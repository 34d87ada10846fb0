"""The tool's response head on its way to the client, line by line: a line that was seen before is known. Pure.

What is known is always what the long way made of such a line: llhttp and `client_head` judge a head that is new, and
`learn` keeps what each of its lines came to.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from msgspec import Struct

from connectors.credentials.credential import fold
from connectors.http.framing import BODYLESS, CHUNKED, BodyKind, Framing, declared_framing, plain_length
from connectors.http.head import connection_tokens, write_fields
from connectors.http.message import HOP_BY_HOP, Headers, MessageError, ResponseHead, Version
from connectors.objects.reasons import Reason, Refusal
from proxy.scrub import CHANGED

# Lines seen once, of which only a hash is kept: which of them are worth more, the second time shows.
MAX_CANDIDATES = 64
# Bytes that a line costs beside its own: by sys.getsizeof its object, its place in a dict and its Treatment.
COST = 256

# A field line as `write_fields` writes it; whatever else llhttp takes is rewritten on the long way.
_FIELD = re.compile(
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]++): ((?![\t ])[\t\x20-\x7e\x80-\xff]++(?<![\t ]))",
)
_STATUS = re.compile(rb"HTTP/1\.1 ([2-9][0-9]{2}) ([\t\x20-\x7e\x80-\xff]*+)")
# Names whose values can be a secret, or are new each time: of such a line only the name is kept.
_PRIVATE = re.compile(
    rb"auth|cookie|credential|csrf|jwt|key|link|location|passw|refresh|secret|session|sign|token|x-request"
)

# (folded name, value) -> the value for the client; None where the field is left out.
Rewrite = Callable[[bytes, bytes], bytes | None]


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
_OF_BODY: Final = Treatment("as it is, unless the answer has no body", passed=True)
_REWRITE: Final = Treatment("rewritten for each request")

# What is written of a line, with its line end: nothing of one that is not for the client. Beside it its treatment,
# where that concerns the whole answer.
Line = tuple[bytes, Treatment | None]


class Answer(Struct, gc=False):
    """A final response head for the client, but for this hop's own Connection field: lines, each with its line end.

    `framing` is what the head declares, None for a body that ends with the connection: the request's method and the
    status may take it away. `persistent`: the tool keeps its connection; `keep_alive` is its Keep-Alive field.
    `length_if_kept` is that of the body behind a head that anything but HEAD asked for, where both sides' connections
    are kept, and `head_if_kept` the whole head then; -1 where that cannot be said in advance.
    """

    status: int
    head: bytes
    framing: Framing | None
    persistent: bool
    keep_alive: bytes
    length_if_kept: int = -1
    head_if_kept: bytes = b""

    def __repr__(self) -> str:
        return f"Answer({self.status})"  # its lines can hold what a tool echoes of a credential


class KnownLines:
    """The lines of one Connector's tool. Bounded by `budget` bytes: beyond it they are forgotten, and no others."""

    __slots__ = ("_budget", "_candidates", "_dropped", "_heads_size", "_names", "_size", "heads", "lines", "statuses")

    def __init__(self, budget: int, dropped: frozenset[bytes] = frozenset()) -> None:
        """`dropped`: as that of ClientSide, one for all that these lines are for."""
        self._dropped = dropped
        self.lines: dict[bytes, Line] = {}
        self.statuses: dict[bytes, int] = {}
        # What whole heads came to of which every line was known: a tool says the same in most of its answers, for as
        # long as its clock shows the same second.
        self.heads: dict[bytes, Answer] = {}
        self._names: dict[bytes, _Name] = {}
        self._candidates: set[int] = set()
        self._budget = budget
        self._size = 0
        self._heads_size = 0

    def learn(self, status_line: bytes, head: ResponseHead) -> None:
        """A final head was judged: keep its status line, if it is written as it came, and the names of its fields."""
        # A 407 is judged each time: whether it is the tool's or an upstream proxy's, the address decides.
        plain = (
            head.status != 407
            and _STATUS.fullmatch(status_line)
            and status_line == b"HTTP/1.1 %d %b" % (head.status, head.reason)
        )
        if plain and status_line not in self.statuses and self._room_for(status_line):
            self.statuses[status_line] = head.status
        for name, _ in head.headers:
            if name not in self._names and self._room_for(name):
                self._names[name] = _named(name, self._dropped)

    def keep_head(self, head: bytes, answer: Answer) -> None:
        """All lines of this head were known. In a quarter of the budget: the next second has another head."""
        cost, most = len(head) + len(answer.head) + len(answer.head_if_kept) + 2 * COST, self._budget // 4
        if self._heads_size + cost > most:
            self.heads.clear()
            self._heads_size = 0
        if cost <= most:
            self.heads[head] = answer
            self._heads_size += cost

    def treated(self, line: bytes, rewrite: Rewrite) -> Line | None:
        """A line that is not known, and perhaps is from now on; None where its name is new, or llhttp has to judge."""
        found = _FIELD.fullmatch(line)
        name = self._names.get(found[1]) if found is not None else None
        if found is None or name is None:
            return None
        treatment = name.treatment or _by_value(name.folded, found[2])
        if treatment is None:
            return None
        if treatment is _REWRITE:  # a secret, or another value each time: it is never kept
            changed = rewrite(name.folded, found[2])
            return b"" if changed is None else found[1] + b": " + changed + b"\r\n", None
        written = line + b"\r\n" if treatment.passed else b""
        made = written, None if treatment in (PASS, DROP) else treatment
        if not name.private:
            self._keep(line, made)
        return made

    def _keep(self, line: bytes, made: Line) -> None:
        """From its second sight on: most lines that are seen once are never seen again."""
        mark = hash(line)
        if mark not in self._candidates:
            if len(self._candidates) >= MAX_CANDIDATES:
                self._candidates.clear()
            self._candidates.add(mark)
        elif self._room_for(line + made[0]):
            self.lines[line] = made

    def _room_for(self, kept: bytes) -> bool:
        cost, most = len(kept) + COST, self._budget - self._budget // 4
        if self._size + cost > most:
            self.lines.clear()
            self.statuses.clear()
            self._names.clear()
            self._size = 0
        fits = self._size + cost <= most
        self._size += cost if fits else 0
        return fits


# No line is known, and without a budget none is learnt.
NOTHING_KNOWN: Final = KnownLines(0)


class _Name(NamedTuple):
    """A field's name, in lower case. `treatment`: of every line of it; None where the value decides.

    `private`: no line of it is kept.
    """

    folded: bytes
    treatment: Treatment | None
    private: bool


def _named(name: bytes, dropped: frozenset[bytes]) -> _Name:
    """Names of framing fields are compared as they are, not folded: `Content_Length` frames nothing."""
    lower, folded = name.lower(), fold(name)
    private = folded in CHANGED or _PRIVATE.search(lower) is not None
    if lower in _MEANING:
        return _Name(lower, None, private)
    treatment = _REWRITE if folded in CHANGED else DROP if folded in HOP_BY_HOP | dropped else PASS
    if folded in (b"transfer-encoding", b"trailer"):
        treatment = _OF_BODY  # what some read as framing, too (proxy/scrub.py)
    return _Name(folded, treatment, private)


_MEANING = (b"content-length", b"transfer-encoding", b"connection", b"keep-alive", b"close")


def _by_value(name: bytes, value: bytes) -> Treatment | None:
    """None where it decides about other fields, or about the body in a way that has to be judged."""
    match name:
        case b"content-length":
            length = plain_length(value)
            return None if length is None else Treatment("as it is", True, Framing(BodyKind.LENGTH, length))
        case b"transfer-encoding":
            return _CHUNKED if value.lower() == b"chunked" else None
        case b"connection":
            return {b"close": _CLOSE, b"keep-alive": DROP}.get(value.lower())
        case b"keep-alive":
            return Treatment("not for the client", keep_alive=value)
        case _:
            return None  # `Connection: close` nominates `Close`, and then it is not for the client


def known_answer(head: bytes, known: KnownLines, rewrite: Rewrite, most: int) -> Answer | None:
    """What a head that is not in `known.heads` comes to where each line is known; None where it has to be judged whole.

    That is so as well where one line speaks about another: two lengths, or a length beside a coding; or where it has
    more than `most` fields. `head` ends before its last line end.
    """
    lines = head.split(b"\r\n")
    status, fields = known.statuses.get(lines[0]), lines[1:]
    if status is None or len(fields) > most:
        return None
    written, all_known, framing, persistent, keep_alive, of_body = [], True, None, True, b"", False
    for field in fields:
        line = known.lines.get(field)
        if line is None:
            line = known.treated(field, rewrite)
            if line is None:
                return None
            all_known = False
        out, meaning = line
        written.append(out)
        if meaning is not None:
            if meaning.framing and framing:
                return None
            framing, keep_alive = meaning.framing or framing, keep_alive or meaning.keep_alive
            persistent = persistent and meaning is not _CLOSE
            of_body = of_body or meaning is _OF_BODY or meaning is _CHUNKED
    if of_body and status in BODYLESS:
        return None  # what it says of a body may not reach the client (proxy/scrub.py)
    answer = Answer(status, lines[0] + b"\r\n" + b"".join(written), framing, persistent, keep_alive)
    if framing is not None and framing.kind is BodyKind.LENGTH and persistent and status not in BODYLESS:
        answer.length_if_kept, answer.head_if_kept = framing.length, answer.head + b"\r\n"
    if all_known:
        known.keep_head(head, answer)
    return answer


def broken_answer(error: MessageError) -> Refusal:
    """What is told of an answer that cannot be passed on."""
    # What an upstream proxy has answered in the tool's place is not the tool's fault.
    if error.refusal.reason is Reason.UPSTREAM_UNREACHABLE:
        return error.refusal
    return Refusal(Reason.UPSTREAM_PROTOCOL, error.refusal.message)


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
