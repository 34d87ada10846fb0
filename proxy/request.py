"""The decision on a header block, without the request line: it holds for every request that has this block."""

from __future__ import annotations

import sys
from typing import NamedTuple

from connectors.credentials.credential import fold, without_query
from connectors.http.framing import BodyKind, Framing
from connectors.http.head import ParsedRequest, write_fields, write_request
from connectors.http.isolation import depends_on_method
from connectors.http.message import RequestHead, Version
from connectors.http.plain import Plain
from connectors.objects.user import User
from proxy.callers.answers import Evidence
from proxy.callers.guises import UNMISTAKABLE
from proxy.decision import Facts, Forward
from proxy.inject import stripped, wants_websocket
from proxy.references import METHOD_OVERRIDES
from proxy.response import NOTHING_KNOWN, KnownLines
from proxy.upstream import IdlePool

_LINE_END = b" HTTP/1.1\r\n"
# Fields of requests that are judged each time: what follows from them is rare, or depends on more than the block.
_NOT_AGAIN = (b"expect", b"http2-settings", b"proxy-authorization", b"te", b"upgrade", b"x-openapi-address")


class Block(bytes):
    """A request's field lines on their way to the tool, credential included; it does not show itself."""

    def __repr__(self) -> str:
        return "Block(********)"

    __str__ = __repr__


class Manners(NamedTuple):
    """The properties of a request on which an answer of the proxy's own depends, and whether its connection stays.

    `old`: it is HTTP/1.0. `page`: a browser shows the answer to a person.
    """

    has_body: bool
    keep_alive: bool
    old: bool
    page: bool = False


def manners_of(request: ParsedRequest) -> Manners:
    """Those of a request that was parsed."""
    has_body, head = request.framing.kind is not BodyKind.NONE, request.head
    # Browsers alone name it first (for what they show; scripts do not); pip names it last.
    page = any(value[:9].lower() == b"text/html" for value in head.values(b"accept"))
    return Manners(has_body, request.keep_alive, head.version is Version.HTTP_1_0, page)


class Passage:
    """The decision on a block. Its repr shows nothing of it: it holds the credential.

    `forward` is without what the request line and the caller's token decide: its target is empty, its token left out.
    `tail` follows the target on the wire. `evidence` is what the API server's answers rest on, None if it was not
    asked. `as_it_is`: the request-target is sent as `path_rule` gives it. `pool`: of the connections to use; `known`:
    lines of responses. `stays`: the client's connection goes on behind the answer, without a word in it. `once`: it may
    not be sent twice, whatever its method is. `long_query`: from so many bytes on a query could hold the caller's
    token, and is judged each time. `websocket`, and `waits` for a 100, are rare, and never remembered.
    """

    __slots__ = (
        "_headers", "as_it_is", "caller", "evidence", "forward", "framing", "has_body", "keep_alive", "known",
        "long_query", "manners", "old", "once", "path_rule", "plan", "pool", "stays", "tail", "waits", "websocket",
    )  # fmt: skip

    def __init__(
        self, request: ParsedRequest, forward: Forward, facts: Facts, pool: IdlePool, known: KnownLines
    ) -> None:
        head = request.head
        # A passage serves other requests too: nothing of this one's line, and no token, may stay in it.
        self.forward = forward._replace(request_target=b"", spent=None)
        self.plan = forward.plan
        self.caller: User | None = facts.caller
        self.evidence: Evidence | None = facts.evidence
        self.framing: Framing = request.framing
        self.manners = manners_of(request)
        self.has_body, self.keep_alive, self.old, _ = self.manners
        # A GET that is a POST to the tool is as little to be repeated as a POST (threat 30).
        overridden = any(fold(name) in METHOD_OVERRIDES for name, _ in head.headers)
        self.once = self.has_body or overridden
        self.stays = self.keep_alive and not self.old
        self.pool = pool
        # HTTP/1.0 has no chunks, so its clients get other lines; these must not be remembered for others.
        self.known = NOTHING_KNOWN if self.old else known
        made = stripped(head, forward)
        self.tail = Block(b"%b%b\r\n" % (_LINE_END, write_fields(made.headers)))
        # Kept a second time, as fields, only if something is made from them for each request.
        self._headers = made.headers if forward.target.mint else ()
        self.as_it_is = forward.target.query is None and forward.target.mint is None
        self.path_rule = forward.path_rule
        self.long_query = _long_query(forward)
        self.websocket = wants_websocket(head)
        self.waits = any(value.lower() == b"100-continue" for value in head.values(b"expect"))

    def __repr__(self) -> str:
        return f"Passage({self.forward})"

    def head(self, method: bytes, request_target: bytes) -> bytes:
        """The head to send, as `outgoing` makes it, for a request-target before the credential's part of its query.

        Raises:
            RefusedError: what must be made for this very request cannot be (see Target.mint).
        """
        if self.as_it_is:
            return method + b" " + request_target + self.tail
        target = self.forward.target
        if target.query:
            request_target = without_query(request_target, target.query.owned)
        if target.mint is None:
            return method + b" " + request_target + self.tail
        return write_request(target.mint(RequestHead(method, request_target, self._headers)))


def _long_query(forward: Forward) -> int:
    """In none of its guises is the token shorter than it is; how long it is tells no one which it was."""
    length = len(forward.spent.token) if forward.spent else 0
    return length if length >= UNMISTAKABLE else sys.maxsize


def may_be_used_again(passage: Passage, request: ParsedRequest, plain: Plain, forward: Forward) -> bool:
    """Whether `passage` says of every request with this block what was decided for `request`, whose head is `plain`."""
    head = request.head
    if depends_on_method(head):
        return False  # a link to the tool was followed, by GET; the same block behind POST is another page's
    if passage.old or any(head.values(name) for name in _NOT_AGAIN):
        return False
    if passage.evidence is not None and not passage.evidence.lasting:
        return False
    if forward.spent is not None and request.framing.kind is BodyKind.CHUNKED:
        return False  # the caller's token is looked for in trailers, too, and is not kept
    # llhttp and the expression for plain heads must have read the same request line, and lead to the same target.
    same_line = (head.method, head.target) == (plain.method, plain.path + plain.query)
    return same_line and passage.path_rule.target(plain.path, plain.query) == forward.request_target
