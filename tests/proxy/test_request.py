from __future__ import annotations

import logging
import sys
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from connectors.http.framing import CHUNKED, NO_BODY, BodyKind, Framing
from connectors.http.head import parse_request, write_request
from connectors.objects.connector_class import RESOLVER_ANNOTATION
from connectors.objects.user import service_account_user
from proxy.callers.answers import Evidence
from proxy.callers.tokens import Presented
from proxy.decision import Facts, PathRule, Permission
from proxy.inject import outgoing
from proxy.request import Block, Manners, Passage, manners_of
from tests.peers.manifests import Manifest, auth, basic_auth, connector, connector_class, secret
from tests.proxy.decisions import ANYBODY, OWN_HOST, snapshot_of, tool
from tests.proxy.passages import LINE, Judged, head_of, judged, plain_of

CANARY = "canary-71c0"
TOKEN = b"callers-token-of-more-than-16-bytes"
BEARER = b"Authorization: Bearer " + TOKEN


def team(name: str, address: str, class_name: str, **spec: Any) -> Manifest:
    return connector(name, address, class_name, namespace="team", **spec)


def world() -> tuple[Manifest, ...]:
    """A Connector for each way in which a target and a credential are made; other-class names differ on purpose."""
    generator = {
        "headers": [{"name": "PRIVATE-TOKEN", "value": "{{ .Secret.StringData.token }}"}],
        "query": [{"name": "api_key", "value": "{{ .Secret.StringData.token }}"}],
    }
    keyed = connector_class("keyed", [{"name": "key", "secretType": "Opaque", "generator": generator}])
    forge = connector_class("forge", addressExtensions=[{"name": "api", "type": "string"}])
    registry = connector_class("registry")
    registry["metadata"]["annotations"] = {RESOLVER_ANNOTATION: "path"}
    api = [{"name": "api", "value": "https://api.example/v3/"}]
    return (
        *(keyed, forge, registry),
        tool("https://tool.example/git", auth=auth("basicAuth", "basic")),
        basic_auth("basic", "robot", CANARY, namespace="team"),
        team("keyed", "https://keyed.example", "keyed", auth=auth("key", "key")),
        secret("key", {"token": CANARY + "&=/ +%"}, namespace="team"),
        team("forge", "https://forge.example:8443/a/", "forge", addressExtensions=api),
        team("registry", "https://registry.example", "registry"),
        team("anonymous", "https://anonymous.example", "generic", auth=auth("basicAuth")),
    )


SNAPSHOT = snapshot_of(*world())
FORM = b"/namespaces/team/connectors/"
NAMES = (b"tool", b"keyed", b"forge", b"registry", b"anonymous")
HOSTS = [b"c-%b.team.localhost" % name for name in NAMES]
PREFIXES = [
    b"",
    *(FORM + name for name in NAMES),
    *(b"/v2" + FORM + name for name in NAMES),
    *(start + FORM + b"forge@api" for start in (b"", b"/v2")),
]
RESTS = [b"", b"/", b"//", b"/x", b"/a/b.c;d", b"/v2/x", b"/x" + FORM + b"tool/y"]
QUERIES = [b"", b"?", b"?a=b", b"?api_key=1", b"?a=b&API_KEY=1;api%5Fkey=2&c", b"?a=b&", b"?/../"]
METHODS = [b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"PATCH", b"OPTIONS"]
FIELDS = [
    *(b"Accept: */*", b"Cookie: a=b", b"X-A: 1", b"X-A: 2", b"X-A:  spaced \t", b"X-Empty:", b"X-B: \xff"),
    *(b"Connection: keep-alive", b"Connection: close", b"Connection: X-A, Host", b"Connection: Authorization"),
    *(b"Keep-Alive: 5", b"Proxy-Connection: x", b"Private_Token: mine", b"PRIVATE-TOKEN: mine", BEARER),
    *(b"X-Copy: " + TOKEN, b"Proxy-Authorization: Basic x", b"X-Openapi-Address: ", b"X_Openapi_Address: api"),
    *(b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Expect: 100-continue", b"TE: trailers", b"TE: gzip"),
    *(b"Upgrade: websocket", b"Connection: Upgrade", b"HTTP2-Settings: x", b"Upgrade: h2c"),
    *(b"Origin: http://proxy:1", b"Referer: http://proxy:1" + FORM + b"forge/x", b"X-Original-URL: /x"),
    *(b"Destination: <here>/y", b"If: <<here>/y> (<urn:x>)", b"Referer: <here>/z?a"),
    *(b"X-HTTP-Method: PUT", b"X-Login: Basic " + b64encode(b"me:" + TOKEN)),
]
FRAMINGS = {b"Content-Length: 5", b"Transfer-Encoding: chunked"}
OURS = Facts(True, service_account_user("team", "a"), Permission(allowed=True))


def with_token(evidence: Evidence | None = None) -> Facts:
    """The caller proved who it is by TOKEN, which must not reach the tool."""
    return OURS._replace(presented=Presented(TOKEN, b"authorization"), evidence=evidence)


FACTS = [ANYBODY, OURS, with_token()]
FIELD_LISTS = st.lists(st.sampled_from(FIELDS), max_size=5, unique=True).filter(lambda got: not set(got) >= FRAMINGS)
ENDINGS = st.tuples(st.sampled_from(METHODS), st.sampled_from(RESTS), st.sampled_from(QUERIES))


def line_of(prefix: bytes, ending: tuple[bytes, bytes, bytes]) -> bytes:
    method, rest, query = ending
    return b"%b %b HTTP/1.1" % (method, (prefix + rest or b"/") + query)


@st.composite
def requests(draw: st.DrawFn) -> tuple[bytes, bytes, tuple[bytes, ...]]:
    """(Host, prefix, fields) of a request that is let through."""
    prefix = draw(st.sampled_from(PREFIXES))
    named = b"c-" + prefix.rpartition(b"/")[2].partition(b"@")[0] + b".team.localhost"
    # A Host that says something else than the path wins over it, but for a class that leaves the naming to the path.
    host = draw(st.sampled_from([b"proxy:1", named, *HOSTS] if prefix else HOSTS))
    fields = tuple(draw(FIELD_LISTS))
    # Two choices of an address that differ are refused.
    fields = tuple(field for field in fields if b"@" not in prefix or b"X-Openapi" not in field)
    # A place below the address that is used; any other one is refused.
    return host, prefix, tuple(field.replace(b"<here>", b"http://" + host + prefix) for field in fields)


@settings(max_examples=300)
@given(requests(), ENDINGS, st.sampled_from(FACTS))
def test_the_head_to_send_is_the_one_that_the_long_way_writes(
    asked: tuple[bytes, bytes, tuple[bytes, ...]], ending: tuple[bytes, bytes, bytes], facts: Facts
) -> None:
    host, prefix, fields = asked
    got = judged(head_of(*fields, line=line_of(prefix, ending), host=host), SNAPSHOT, facts)
    head = got.request.head
    assert got.passage.head(head.method, got.forward.request_target) == write_request(outgoing(head, got.forward))


def same(first: Judged, second: Judged) -> None:
    """Of the second request the same was decided as of the first, but for its request line."""
    was, fresh = first.passage, second.passage
    assert was.forward == fresh.forward
    assert (was.caller, was.pool, was.framing, was.manners) == (fresh.caller, fresh.pool, fresh.framing, fresh.manners)
    assert (was.has_body, was.keep_alive, was.old) == (fresh.has_body, fresh.keep_alive, fresh.old) == was.manners[:3]
    assert (was.websocket, was.waits) == (fresh.websocket, fresh.waits) == (False, False)


@settings(max_examples=400)
@given(requests(), ENDINGS, ENDINGS, st.sampled_from(FACTS))
@example((b"proxy:1", FORM + b"forge", ()), (b"GET", b"", b""), (b"GET", b"/x", b"?q"), ANYBODY)
@example((b"proxy:1", b"/v2" + FORM + b"forge", ()), (b"GET", b"/x", b""), (b"PUT", b"", b"?"), ANYBODY)
@example((HOSTS[1], b"", ()), (b"GET", b"/x", b""), (b"GET", b"/x", b"?API_KEY=1"), ANYBODY)
def test_what_may_be_used_again_says_what_a_fresh_decision_would(
    asked: tuple[bytes, bytes, tuple[bytes, ...]],
    before: tuple[bytes, bytes, bytes],
    now: tuple[bytes, bytes, bytes],
    facts: Facts,
) -> None:
    host, prefix, fields = asked
    first = judged(head_of(*fields, line=line_of(prefix, before), host=host), SNAPSHOT, facts)
    raw = head_of(*fields, line=line_of(prefix, now), host=host)
    plain = plain_of(raw)
    if not first.again or first.plain is None or first.plain.prefix != plain.prefix:
        return
    second = judged(raw, SNAPSHOT, facts)
    target = first.passage.path_rule.target(plain.path, plain.query)
    assert target == second.forward.request_target
    assert first.passage.head(plain.method, target) == write_request(outgoing(second.request.head, second.forward))
    same(first, second)


@pytest.mark.parametrize(
    ("address", "prefix", "rule"),
    [
        ("https://t.example", b"", PathRule(b"", 0, b"/")),
        ("https://t.example/git", b"", PathRule(b"/git", 0, b"/git")),
        ("https://t.example/git/", FORM + b"tool", PathRule(b"/git", 32, b"/git/")),
        ("https://t.example", FORM + b"tool", PathRule(b"", 32, b"/")),
        ("https://t.example/git", b"/v2" + FORM + b"tool", PathRule(b"/git/v2", 35, b"/git/v2/")),
    ],
)
def test_the_rule_of_a_path(address: str, prefix: bytes, rule: PathRule) -> None:
    raw = head_of(line=b"GET " + prefix + b"/x HTTP/1.1")
    assert judged(raw, snapshot_of(tool(address))).passage.path_rule == rule
    assert rule.target(prefix + b"/x", b"?q") == rule.prefix + b"/x?q"
    if prefix:  # without one there is always a path
        assert rule.target(prefix, b"?q") == rule.bare + b"?q"


@pytest.mark.parametrize(("token", "length"), [(TOKEN, len(TOKEN)), (b"x" * 15, sys.maxsize)])
def test_t39_from_which_length_on_a_query_may_hold_the_callers_token(token: bytes, length: int) -> None:
    facts = OURS._replace(presented=Presented(token, b"authorization"))
    assert judged(head_of(BEARER), SNAPSHOT, facts).passage.long_query == length
    assert judged(head_of(), SNAPSHOT).passage.long_query == sys.maxsize


def test_t39_a_query_that_held_it_is_not_used_again() -> None:
    got = judged(head_of(BEARER, line=b"GET /x?t=" + TOKEN + b"&a HTTP/1.1"), SNAPSHOT, with_token())
    assert got.forward.request_target == b"/git/x?a"
    assert not got.again


# -- what must not be used again


def lasting(value: bool) -> Evidence:
    evidence = Evidence(lambda: 0.0, lambda: 0.0)
    evidence.lasting = value
    return evidence


AGAIN = {
    "nothing special": (head_of(b"Accept: */*"), ANYBODY),
    "a body of known length": (head_of(b"Content-Length: 5"), with_token()),
    "chunks, and no token to be looked for in trailers": (head_of(b"Transfer-Encoding: chunked"), OURS),
    "close": (head_of(b"Connection: close"), ANYBODY),
    "a caller's token": (head_of(BEARER), with_token()),
    "answers that last": (head_of(BEARER), with_token(lasting(True))),
    "query": (head_of(line=b"GET /x?api_key=1 HTTP/1.1", host=HOSTS[1]), ANYBODY),
    "path form": (head_of(line=b"GET " + FORM + b"forge@api?x HTTP/1.1", host=b"proxy:1"), ANYBODY),
    "the tool's own page": (head_of(b"Sec-Fetch-Site: same-origin"), ANYBODY),
    "the address bar": (head_of(b"Sec-Fetch-Site: none"), ANYBODY),
    "a chooser that no one reads": (head_of(b"X_Openapi_Address: api"), ANYBODY),
}
NOT_AGAIN = {
    "Expect": (head_of(b"Expect: 100-continue", b"Content-Length: 5"), ANYBODY),
    "another Expect": (head_of(b"expect: x"), ANYBODY),
    "TE": (head_of(b"TE: trailers"), ANYBODY),
    "an empty TE": (head_of(b"TE:"), ANYBODY),
    "Upgrade": (head_of(b"Upgrade: websocket", b"Connection: Upgrade"), ANYBODY),
    "Upgrade by POST": (head_of(b"Upgrade: websocket", b"Connection: Upgrade", line=b"POST /x HTTP/1.1"), ANYBODY),
    "h2c": (head_of(b"Upgrade: h2c", b"HTTP2-Settings: x"), ANYBODY),
    "HTTP2-Settings": (head_of(b"HTTP2-Settings: x"), ANYBODY),
    "X-Openapi-Address": (head_of(b"X-Openapi-Address: api", host=HOSTS[2]), ANYBODY),
    "an empty X-Openapi-Address": (head_of(b"X-Openapi-Address:"), ANYBODY),
    "Proxy-Authorization": (head_of(b"proxy-authorization: Basic x"), ANYBODY),
    "another origin's page, by a link": (head_of(b"Sec-Fetch-Site: cross-site"), ANYBODY),
    "another site of tomorrow": (head_of(b"sec-fetch-site: x"), ANYBODY),
    "HTTP/1.0": (head_of(line=b"GET /x HTTP/1.0"), ANYBODY),
    "absolute form": (head_of(line=b"GET http://" + OWN_HOST + b"/x HTTP/1.1"), ANYBODY),
    "an escape in the path": (head_of(line=b"GET /%61 HTTP/1.1"), ANYBODY),
    "answers that do not last": (head_of(BEARER), with_token(lasting(False))),
    "chunks, whose trailers may hold the token": (head_of(BEARER, b"Transfer-Encoding: chunked"), with_token()),
}


@pytest.mark.parametrize("name", [*AGAIN, *NOT_AGAIN])
def test_what_may_be_used_again(name: str) -> None:
    raw, facts = (AGAIN | NOT_AGAIN)[name]
    assert judged(raw, SNAPSHOT, facts).again is (name in AGAIN)


@pytest.mark.parametrize("line", [b"GET /y HTTP/1.1", b"GET /x?q HTTP/1.1", b"PUT /x HTTP/1.1"])
def test_a_head_that_is_not_the_requests_own_is_not_learned_from(line: bytes) -> None:
    got = judged(head_of(), SNAPSHOT)
    assert got.again
    assert not got._replace(plain=plain_of(head_of(line=line))).again


def test_an_old_request_is_not_used_again_whatever_its_head_looks_like() -> None:
    got = judged(head_of(line=b"GET /x HTTP/1.0"), SNAPSHOT)
    assert not got._replace(plain=plain_of(head_of(line=LINE))).again


def test_a_way_that_leads_elsewhere_is_not_used_again() -> None:
    got = judged(head_of(), SNAPSHOT)
    assert not got._replace(forward=got.forward._replace(request_target=b"/elsewhere")).again


# -- what a passage holds, and shows


@pytest.mark.parametrize(
    ("fields", "framing", "manners"),
    [
        ((), NO_BODY, Manners(False, True, False)),
        ((b"Content-Length: 0",), NO_BODY, Manners(False, True, False)),
        ((b"Content-Length: 5",), Framing(BodyKind.LENGTH, 5), Manners(True, True, False)),
        ((b"Transfer-Encoding: chunked", b"Connection: close"), CHUNKED, Manners(True, False, False)),
    ],
)
def test_manners(fields: tuple[bytes, ...], framing: Framing, manners: Manners) -> None:
    passage = judged(head_of(*fields), SNAPSHOT).passage
    assert (passage.framing, passage.manners) == (framing, manners)


@pytest.mark.parametrize(
    ("accept", "page"),
    [
        (b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
        (b"Text/HTML", True),
        (b"*/*", False),
        (b"application/vnd.pypi.simple.v1+json, text/html; q=0.01", False),
        (b"application/json", False),
    ],
)
def test_a_browser_shows_the_answer(accept: bytes, page: bool) -> None:
    assert judged(head_of(b"Accept: " + accept), SNAPSHOT).passage.manners.page is page


def test_manners_of_an_old_client() -> None:
    old = parse_request(head_of(line=b"GET /x HTTP/1.0"), header_count=8)
    assert manners_of(old) == Manners(has_body=False, keep_alive=False, old=True)


def test_rare_wishes() -> None:
    upgrade = judged(head_of(b"Upgrade: websocket", b"Connection: Upgrade"), SNAPSHOT).passage
    waiting = judged(head_of(b"Expect: 100-Continue", b"Content-Length: 5"), SNAPSHOT).passage
    assert (upgrade.websocket, upgrade.waits) == (True, False)
    assert (waiting.websocket, waiting.waits) == (False, True)


def test_of_the_request_line_and_the_callers_token_nothing_is_kept() -> None:
    passage = judged(head_of(BEARER, line=b"GET /canary-path?canary-query HTTP/1.1"), SNAPSHOT, with_token()).passage
    assert (passage.forward.request_target, passage.forward.spent) == (b"", None)
    assert passage.caller == OURS.caller
    assert b"canary-path" not in bytes(passage.tail)


def shown(item: object) -> set[str]:
    """Every way in which a value gets into a text."""
    record = logging.LogRecord("x", logging.INFO, "x", 1, "%s %r", (item, item), None)
    percent = ["%s" % (item,), "%r" % (item,), "%a" % (item,)]  # noqa: UP031 - old formats are ways, too
    inside = [repr([item]), repr({"a": item}), str((item,))]
    return {repr(item), str(item), f"{item}", f"{item!r}", format(item), record.getMessage(), *percent, *inside}


@pytest.mark.parametrize("host", HOSTS[:2])
def test_t27_a_passage_shows_nothing_of_what_it_holds(host: bytes) -> None:
    passage: Passage = judged(head_of(BEARER, b"Cookie: canary-cookie", host=host), SNAPSHOT, with_token()).passage
    sent = passage.head(b"GET", b"/x")
    injected = b64encode(b"robot:" + CANARY.encode()) if host == HOSTS[0] else CANARY.encode()
    assert injected in sent
    assert b"canary-cookie" in sent
    for item in (passage, passage.tail, passage.path_rule, passage.manners, passage.forward, passage.pool):
        for text in shown(item):
            assert "canary" not in text
            assert injected.decode() not in text
            assert TOKEN.decode() not in text


def test_t27_a_block_is_bytes_that_do_not_show_themselves() -> None:
    block = Block(b" HTTP/1.1\r\nX: canary\r\n\r\n")
    assert b"GET /" + block == b"GET / HTTP/1.1\r\nX: canary\r\n\r\n"
    assert {repr(block), str(block), f"{block}", format(block)} == {"Block(********)"}
    assert not any("canary" in text for text in shown(block))
