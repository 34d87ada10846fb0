"""What a property test plays: random requests and answers, and what changes between them."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from enum import Enum

from hypothesis import strategies as st

from proxy.settings import ClientAuth
from tests.peers.answering_tool import Reply
from tests.proxy.transcripts.remembering.requests import NO_HOST, SECOND, TOKEN, basic, bearer, named

HOSTS = [named(name) for name in (b"tool", b"other", b"keyed", b"extended", b"front")]
PREFIXES = [
    b"/namespaces/default/connectors/" + name
    for name in (b"tool", b"other", b"keyed", b"extended", b"extended@api", b"none")
]
SEGMENTS = [b"a", b"b%2Fc", b"%2e", b".", b";x", b"~", b"", b"v2", b"namespaces", b"%zz", b"+", b"a..b"]
CLIMBING = [b"..", b"%2e%2e", b"..;x", b"%252e."]
QUERIES = [b"", b"", b"?", b"?a=b", b"?t=" + TOKEN, b"?API_KEY=1", b"?a;api%5Fkey=2&c", b"?x=/../y", b"?http://h/"]
METHODS = [b"GET", b"GET", b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"PROPFIND"]
ODD_METHODS = [b"TRACE", b"CONNECT", b"FOO", b"get", b"PRI"]
BASIC_USER = b"Authorization: Basic " + b64encode(TOKEN + b":")
TOKENS = [bearer(), bearer(), basic(), BASIC_USER]
ODD_TOKENS = [bearer(SECOND), bearer(b"made-up"), b"X-None: 1", b"PRIVATE-TOKEN: " + TOKEN]
"""Of a caller who may not, of no caller, none, and where not every class reads it."""
FIELDS = [
    b"Accept: text/html",
    b"accept:text/plain",
    b"X-Own: y",
    b"X-Own:",
    b"x_own:  y \t",
    b"Cookie: a=b; c=d",
    b"X-Forwarded-For: 10.0.0.1",
    b"X-Request-Id: 0123456789abcdef-1",
    b"X-Copy: " + TOKEN,
    b"Connection: close",
    b"Connection: keep-alive",
    b"Connection: X-Own, Authorization",
    b"connection: Keep-Alive",
    b"Keep-Alive: timeout=5",
    b"Proxy-Connection: keep-alive",
    b"Proxy-Authorization: Basic eDp5",
    b"TE: trailers",
    b"TE: gzip",
    b"Upgrade: h2c",
    b"Expect: 100-continue",
    b"Trailer: X-T",
    b"X-Openapi-Address: api",
    b"Range: bytes=0-1",
    b"Destination: /x/y",
    b"Origin: http://c-tool.default.localhost",
    b"Referer: http://c-other.default.localhost/x/y?z",
    b"X-Original-URL: /x",
    b"X-HTTP-Method-Override: PATCH",
    b"Sec-WebSocket-Protocol: x, base64url.bearer.authorization.k8s.io.eA",
    b"X-Login: Basic " + b64encode(b"any:" + TOKEN),
    b"Content_Length: 5",
    b"X-High: caf\xe9",
]
ODD_FIELDS = [
    b"Host: c-other.default.localhost",
    b"Destination: /x/../y",
    b"Content-Length: one",
    b"Transfer-Encoding: gzip",
    b"X-A : y",
    b"X-A: \x01",
    b" folded",
    b"X-A",
]
STATUSES = [b"200 OK", b"200 OK", b"200 OK", b"201 Created", b"302 Found", b"401 No", b"404 ", b"500 caf\xe9", b"599 X"]
ANSWER_FIELDS = [
    b"Server: tool",
    b"Date: Mon, 01 Jan 2024 00:00:00 GMT",
    b"X-A: 1",
    b"x-a:1",
    b"X-A:",
    b"X-A: \t1 ",
    b'ETag: "x"',
    b"Location: /y?API_KEY=injected-key&a",
    b"Location: http://<tool>/pre/y",
    b"Location: https://elsewhere.example/",
    b"location: ../z",
    b"Content-Location: http://<tool>/root/y",
    b"Link: <http://<tool>/z>; rel=next, </pre/w>; rel=last",
    b"Refresh: 1; url=/y?API_KEY=injected-key",
    b"Set-Cookie: a=b; Path=/pre; Domain=x",
    b"Set-Cookie: c=d; Secure; HttpOnly",
    b'WWW-Authenticate: Bearer realm="https://x", Basic realm="y"',
    b'WWW-Authenticate: Bearer realm="https://x"',
    b"Connection: close",
    b"Connection: keep-alive",
    b"Connection: X-A",
    b"Connection: close, Set-Cookie",
    b"Keep-Alive: timeout=5",
    b"Keep-Alive: timeout=1",
    b"Proxy-Authenticate: Basic",
    b"Upgrade: h2c",
    b"X-Connectors-Reason: Forbidden",
    b"X_Connectors_Reason: Forbidden",
    b"Content_Length: 9",
    b"Trailer: X-T",
    b"X-Request-Id: theirs",
]
INTERIM = [b"HTTP/1.1 103 Early Hints\r\nLink: </s>; rel=preload\r\n\r\n", b"HTTP/1.1 100 C\r\n\r\n"]
ODD_ANSWERS = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshor",
    b"HTTP/1.1 200 OK\r\nX-A: 1\r\n 2\r\n\r\n",
    b"HTTP/1.1 200 OK\nX-A: 1\n\n",
    b"HTTP/1.1 200 OK\r\nX-A: \0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX-A",
    b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    b"NOT HTTP\r\n\r\n",
]


class Framing(Enum):
    """How long a message says its body is."""

    NONE = "none"
    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"


class State(Enum):
    """Which objects serve: the first ones, or some in which one thing differs."""

    FIRST = "first"
    SECRETS = "other Secrets"
    CALLERS = "the callers' tokens changed hands"
    ADDRESSES = "other addresses"
    CLASSES = "another class"
    GONE = "a Connector is gone"


KEEPING = [state for state in State if state is not State.GONE]
"""Those in which no Connector's numbers go: where they go while a request runs, it counts as the first one again."""


class Event(Enum):
    """What happens between two equal requests, before the last round."""

    NOTHING = "nothing"
    POOL_DIES = "the tool closes its kept connections"
    CLIENT_LEAVES = "another client connection"
    TIME_PASSES = "answers about callers end"


@dataclass(frozen=True)
class Exchange:
    """One request, or several at once, and how the tool answers each. Cuts count from either message's start."""

    request: bytes
    count: int
    replies: Reply
    cuts: tuple[int, ...]
    swaps_to: State | None = field(default=None)


@dataclass(frozen=True)
class Segment:
    """Objects that serve, and what is played again and again meanwhile."""

    state: State
    event: Event
    exchanges: tuple[Exchange, ...]


def often(common: list[bytes], odd: list[bytes]) -> st.SearchStrategy[bytes]:
    """One of the odd ones now and then: behind it nothing else of a message is looked at."""
    return seldom(50).flatmap(lambda now: st.sampled_from(odd if now else common))


def seldom(of: int) -> st.SearchStrategy[bool]:
    """True once in so many times. Hypothesis likes the ends of a range, so it is a number within."""
    return st.integers(0, of - 1).map(lambda number: number == of // 2)


@st.composite
def heads(draw: st.DrawFn) -> tuple[bytes, tuple[bytes, ...]]:
    """Host, and the other lines, of a request."""
    host = draw(often([*HOSTS, HOSTS[0], NO_HOST, HOSTS[0].upper() + b":80"], [named(b"none"), b""]))
    token = draw(st.sampled_from(ODD_TOKENS if draw(seldom(10)) else TOKENS))
    lines = draw(st.lists(often(FIELDS, ODD_FIELDS), max_size=4))
    lines.insert(draw(st.integers(0, len(lines))), token)
    return host, tuple(lines)


@st.composite
def targets(draw: st.DrawFn, host: bytes) -> bytes:
    """A target, of a form that such a host makes likely."""
    prefix = b""
    by_path = host == NO_HOST or (host == named(b"front") and draw(st.booleans()))
    if by_path != draw(seldom(10)):
        prefix = draw(st.sampled_from([b"", b"", b"/v2"])) + draw(st.sampled_from(PREFIXES))
    path = b"".join(b"/" + segment for segment in draw(st.lists(often(SEGMENTS, CLIMBING), max_size=3)))
    target = prefix + (path or draw(st.sampled_from([b"", b"/"]))) or b"/"
    if draw(seldom(30)):
        target = b"http://" + draw(st.sampled_from([host, b"elsewhere"])) + target
    elif draw(seldom(50)):
        target = draw(st.sampled_from([b"*", b"x", b"/x#y"]))
    return target + draw(st.sampled_from(QUERIES))


@st.composite
def requests(draw: st.DrawFn, head: tuple[bytes, tuple[bytes, ...]]) -> bytes:
    """A request with one of the given heads: only its line, and its body's framing, are its own."""
    host, lines = head
    line = b"%b %b HTTP/%b" % (
        draw(often(METHODS, ODD_METHODS)),
        draw(targets(host)),
        draw(often([b"1.1"] * 9 + [b"1.0"], [b"1.2", b"2.0"])),
    )
    framing = draw(st.sampled_from([Framing.NONE, Framing.NONE, Framing.LENGTH, Framing.CHUNKED]))
    start = draw(often([b""], [b"\r\n", b"\r\n\r\n"]))
    body = draw(st.sampled_from([b"", b"body", b"GET /no HTTP/1.1\r\n\r\n", b"x" * 700]))
    return start + written(line, (b"Host: " + host, *lines), framing, body)


def written(line: bytes, lines: tuple[bytes, ...], framing: Framing, body: bytes) -> bytes:
    """A message."""
    own = {
        Framing.LENGTH: (b"Content-Length: %d" % len(body),),
        Framing.CHUNKED: (b"Transfer-Encoding: chunked",),
    }.get(framing, ())
    head = b"".join(text + b"\r\n" for text in (line, *lines, *own)) + b"\r\n"
    if framing is Framing.NONE:
        return head
    if framing is Framing.CHUNKED:
        chunk = b"%x;e=f\r\n%b\r\n" % (len(body), body) if body else b""
        return head + chunk + b"0\r\nX-T: v\r\nSet-Cookie: no\r\n\r\n"
    return head + body


@st.composite
def replies(draw: st.DrawFn) -> Reply:
    """An answer that ends: by itself, or with its connection. In one piece, or in several."""
    if draw(seldom(10)):
        return Reply((draw(st.sampled_from(ODD_ANSWERS)),), close=True)
    interim = draw(often([b""], INTERIM))
    framing = draw(st.sampled_from([Framing.LENGTH, Framing.LENGTH, Framing.CHUNKED, Framing.CLOSE]))
    status = draw(st.sampled_from(STATUSES))
    if draw(seldom(10)):
        framing, status = Framing.NONE, draw(st.sampled_from([b"204 No Content", b"304 Not Modified"]))
    version = draw(often([b"1.1"], [b"1.0"]))
    body = draw(st.sampled_from([b"", b"ok", b"HTTP/1.1 200 OK\r\n\r\n", b"y" * 700]))
    lines = tuple(draw(st.lists(st.sampled_from(ANSWER_FIELDS), max_size=5)))
    answer = interim + written(b"HTTP/%b %b" % (version, status), lines, framing, body)
    surplus = draw(often([b""], [b"x", b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen"]))
    close = framing is Framing.CLOSE or draw(seldom(10))
    return Reply(in_pieces(answer + surplus, draw(cuts())), close)


def cuts() -> st.SearchStrategy[tuple[int, ...]]:
    """Where a message is cut: mostly nowhere."""
    some = st.lists(st.integers(1, 400), min_size=1, max_size=4).map(lambda places: tuple(sorted(set(places))))
    return seldom(4).flatmap(lambda now: some if now else st.just(()))


def in_pieces(data: bytes, places: tuple[int, ...]) -> tuple[bytes, ...]:
    """The parts that end there."""
    ends = [*(place for place in places if place < len(data)), len(data)]
    return tuple(data[start:end] for start, end in zip([0, *ends], ends, strict=False))


@st.composite
def exchanges(draw: st.DrawFn, known: list[tuple[bytes, tuple[bytes, ...]]], answers: list[Reply]) -> Exchange:
    """One of a few heads, and one of a few answers: what is seen once is remembered by nothing."""
    request = draw(requests(draw(st.sampled_from(known))))
    swaps_to = draw(seldom(8).flatmap(lambda now: st.sampled_from(KEEPING) if now else st.none()))
    count = 1 if swaps_to else draw(st.sampled_from([1, 1, 1, 2, 3]))
    return Exchange(request, count, draw(st.sampled_from(answers)), draw(cuts()), swaps_to)


@st.composite
def segments(draw: st.DrawFn) -> list[Segment]:
    """A whole play."""
    known = draw(st.lists(heads(), min_size=1, max_size=2))
    answers = draw(st.lists(replies(), min_size=1, max_size=2))
    played = st.lists(exchanges(known, answers), min_size=1, max_size=3).map(tuple)
    state = st.sampled_from([State.FIRST, State.FIRST, State.FIRST, *State])
    made = st.builds(Segment, state, st.sampled_from(Event), played)
    return draw(st.lists(made, min_size=1, max_size=3))


modes = st.sampled_from(ClientAuth)
