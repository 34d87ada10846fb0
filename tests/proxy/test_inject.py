from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote_from_bytes, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.http.message import FRAMING, Headers, RequestHead
from proxy.callers.tokens import Presented
from proxy.inject import outgoing, request_trailers
from tests.peers.manifests import Manifest, auth, basic_auth, connector_class, secret
from tests.proxy.decisions import OURS, OWN_HOST, forward_of, plan_of, request, tool, verdict_of

CANARY = "canary-71c0"
BASIC = (tool(auth=auth("basicAuth", "s")), basic_auth("s", "robot", CANARY, namespace="team"))
ANONYMOUS = (tool(auth=auth("basicAuth")),)
KEYED = connector_class(
    "keyed",
    [
        {
            "name": "key",
            "secretType": "Opaque",
            "optional": True,
            "generator": {
                "headers": [{"name": "PRIVATE-TOKEN", "value": "{{ .Secret.StringData.token }}"}],
                "query": [{"name": "api_key", "value": "{{ .Secret.StringData.token }}"}],
            },
        }
    ],
    proxy={"authExtractor": {"header": "X-Caller-Token"}},
)
TOKEN = secret("s", {"token": CANARY + "&=/ +%"}, namespace="team")
KEY = (KEYED, tool(class_name="keyed", auth=auth("key", "s")), TOKEN)
KEYLESS = (KEYED, tool(class_name="keyed", auth=auth("key")))
INJECTED = (b"Authorization", b"Basic " + b64encode(b"robot:" + CANARY.encode()))
QUOTED = b"canary-71c0%26%3D%2F%20%2B%25"


def sent(head: RequestHead, *manifests: Manifest) -> RequestHead:
    return outgoing(head, forward_of(head, *manifests))


def test_the_callers_fields_keep_order_case_and_bytes() -> None:
    own = ((b"x-B", b"\xff"), (b"X-a", b"1"), (b"x-a", b"2"), (b"Cookie", b"c=d"), (b"Empty", b""))
    head = sent(request(b"/x", own), *BASIC)
    assert head.headers == ((b"Host", b"tool.example"), *own, INJECTED)


def test_host_stays_in_its_place_and_case() -> None:
    head = RequestHead(b"GET", b"/", ((b"A", b"1"), (b"hOsT", OWN_HOST), (b"B", b"2")))
    forward = forward_of(request(), tool("https://tool.example:8443/git"))
    assert outgoing(head, forward).headers == ((b"A", b"1"), (b"hOsT", b"tool.example:8443"), (b"B", b"2"))


def test_an_old_client_without_host_gets_the_tools() -> None:
    head = request(b"/namespaces/team/connectors/tool", ((b"A", b"1"),), host=None)
    assert sent(head).headers == ((b"Host", b"tool.example"), (b"A", b"1"))


NOMINATIONS = [
    b"Authorization",
    b"authorization, private-token",
    b"Host",
    b"Content-Length",
    b"Transfer-Encoding",
    b"PRIVATE-TOKEN",
    b"Private_Token",
    b"close, X-Gone",
]


@pytest.mark.parametrize("nominated", NOMINATIONS)
def test_t03_connection_cannot_take_away_what_counts(nominated: bytes) -> None:
    body = ((b"Content-Length", b"5"), (b"X-Gone", b"1"), (b"Connection", nominated))
    head = sent(request(b"/", body, method=b"POST"), *KEY)
    assert head.values(b"private-token") == [TOKEN["stringData"]["token"].encode()]
    assert head.values(b"host") == [b"tool.example"]
    assert head.values(b"content-length") == [b"5"]
    assert head.values(b"connection") == ()
    assert bool(head.values(b"x-gone")) is (b"X-Gone" not in nominated)
    assert sent(request(b"/", body), *BASIC).values(b"authorization") == [INJECTED[1]]


OWN_TOKENS = [
    (b"Authorization", b"Bearer caller"),
    (b"AUTHORIZATION", b"Basic Y2FsbGVyOg=="),
    (b"authorization", b""),
    (b"Proxy-Authorization", b"Basic caller"),
    (b"Proxy_Authorization", b"Basic caller"),
    (b"X-Openapi-Address", b""),
    (b"X_Openapi_Address", b"api"),
    (b"x_openapi-ADDRESS", b"api"),
]


@pytest.mark.parametrize("manifests", [BASIC, ANONYMOUS, KEY, KEYLESS], ids=["basic", "anonymous", "key", "keyless"])
@pytest.mark.parametrize("own", OWN_TOKENS, ids=[name.decode() for name, _ in OWN_TOKENS])
def test_t21_the_callers_own_word_never_reaches_the_tool(own: tuple[bytes, bytes], manifests: tuple[Manifest]) -> None:
    head = sent(request(b"/", (own, (b"X", b"y"))), *manifests)
    assert own not in head.headers
    assert (b"X", b"y") in head.headers
    assert b"caller" not in b"".join(value for _, value in head.headers)


@pytest.mark.parametrize("manifests", [KEY, KEYLESS], ids=["key", "keyless"])
@pytest.mark.parametrize(
    "name", [b"Private-Token", b"PRIVATE_TOKEN", b"private_Token", b"X-Caller-Token", b"x_caller_token"]
)
def test_t21_nor_does_what_the_class_declares(name: bytes, manifests: tuple[Manifest, ...]) -> None:
    assert (name, b"caller") not in sent(request(b"/", ((name, b"caller"),)), *manifests).headers


@pytest.mark.parametrize(
    ("query", "left"),
    [
        (b"?api_key=x", b""),
        (b"?a=1&api_key=x&b=2", b"?a=1&b=2"),
        (b"?api%5Fkey=x&a", b"?a"),
        (b"?%61pi_key=x&%61=%62", b"?%61=%62"),
        (b"?api_key", b""),
        (b"?api_key=x&api_key=y", b""),
        (b"?a=1;api_key=x;b", b"?a=1;b"),
        (b"?api_key=x;b", b"?b"),
        (b"?a;b&c;d", b"?a;b&c;d"),
        (b"?", b"?"),
        (b"?&&", b"?&&"),
        (b"?api_keys=x&xapi_key=y", b"?api_keys=x&xapi_key=y"),
        (b"?a=api_key=x", b"?a=api_key=x"),
        (b"?a=%26api_key=x", b"?a=%26api_key=x"),
    ],
)
def test_t21_the_query_form(query: bytes, left: bytes) -> None:
    assert sent(request(b"/p%2Fq" + query), *KEYLESS).target == b"/p%2Fq" + left
    added = b"api_key=" + QUOTED
    separator = b"" if left.endswith((b"?", b"&")) else b"&" if left else b"?"
    assert sent(request(b"/p%2Fq" + query), *KEY).target == b"/p%2Fq" + left + separator + added


NAMES = st.sampled_from(
    ["Authorization", "PRIVATE-TOKEN", "X-Caller-Token", "Proxy-Authorization", "X-Openapi-Address", "X", "Accept"]
)


@st.composite
def spelled(draw: st.DrawFn) -> bytes:
    """A field name in any mixture of cases, with `_` for any `-`."""
    name = draw(NAMES)
    return "".join(
        draw(st.sampled_from("-_" if char == "-" else [char.lower(), char.upper()])) for char in name
    ).encode()


FORWARDS = [forward_of(request(), *KEY), forward_of(request(), *KEYLESS)]
PARAMETER = st.text("api_key%5F6=x;", max_size=14).map(str.encode)


@given(
    st.lists(st.tuples(spelled(), st.sampled_from([b"caller", b""])), max_size=6),
    st.lists(st.one_of(PARAMETER, st.sampled_from([b"api_key=caller", b"api%5fkey=caller"])), max_size=4),
)
def test_t21_no_spelling_gets_through(fields: list[tuple[bytes, bytes]], parameters: list[bytes]) -> None:
    for forward in FORWARDS:
        plan = forward.plan
        head = outgoing(request(b"/", tuple(fields)), forward._replace(request_target=b"/p?" + b"&".join(parameters)))
        own = head.headers[: len(head.headers) - len(plan.credential.headers)]
        folded = {name.lower().replace(b"_", b"-") for name, _ in own}
        assert not folded & {b"authorization", b"private-token", b"x-caller-token", b"x-openapi-address"}
        query = head.target.partition(b"?")[2].removesuffix(b"api_key=" + QUOTED)
        names = [part.partition(b"=")[0] for pair in query.split(b"&") for part in pair.split(b";")]
        assert b"api_key" not in [unquote_to_bytes(name) for name in names]
        kept = [name for name, _ in fields if name.lower().replace(b"_", b"-") in {b"x", b"accept"}]
        assert [name for name, _ in own if name != b"Host"] == kept


def test_t21_an_anonymous_request_gets_no_credential() -> None:
    assert sent(request(b"/x?a"), *KEYLESS) == RequestHead(b"GET", b"/x?a", ((b"Host", b"tool.example"),))


@pytest.mark.parametrize(
    ("headers", "own_hop"),
    [
        pytest.param(((b"Connection", b"Upgrade"), (b"Upgrade", b"h2c"), (b"HTTP2-Settings", b"x")), (), id="h2c"),
        pytest.param(((b"Connection", b"Upgrade"), (b"Upgrade", b"h2c, websocket")), (), id="list with websocket"),
        pytest.param(((b"Upgrade", b"websocket"),), (), id="not nominated"),
        pytest.param(
            ((b"Connection", b"keep-alive, upgrade"), (b"Upgrade", b"WebSocket")),
            ((b"Connection", b"Upgrade"), (b"Upgrade", b"websocket")),
            id="websocket",
        ),
        pytest.param(
            ((b"Connection", b"TE"), (b"TE", b"trailers, gzip;q=1")),
            ((b"Connection", b"TE"), (b"TE", b"trailers")),
            id="trailers",
        ),
        pytest.param(((b"Keep-Alive", b"timeout=5"), (b"Proxy-Connection", b"close")), (), id="hop-by-hop"),
    ],
)
def test_t20_only_websocket_and_trailers_are_asked_for(headers: Headers, own_hop: Headers) -> None:
    assert sent(request(b"/", headers)).headers == ((b"Host", b"tool.example"), *own_hop)


def test_t20_no_upgrade_with_another_method() -> None:
    headers = ((b"Connection", b"Upgrade"), (b"Upgrade", b"websocket"))
    assert sent(request(b"/", headers, method=b"POST")).headers == ((b"Host", b"tool.example"),)


def test_t11_framing_is_never_owned_by_a_class() -> None:
    framing = [name.decode() for name in FRAMING] + ["content_length", "Transfer_Encoding"]
    for name in framing:
        for extractor in (True, False):
            field = {"name": "X" if extractor else name, "value": "x"}
            made = connector_class(
                "odd",
                [{"name": "a", "secretType": "Opaque", "optional": True, "generator": {"headers": [field]}}],
                proxy={"authExtractor": {"header": name}} if extractor else {},
            )
            assert plan_of(made, tool(class_name="odd", auth=auth("a"))).refusal is not None, name


def test_trailers_cannot_stand_for_what_was_stripped() -> None:
    forward = forward_of(request(), *KEYLESS)
    allowed = ((b"X-Checksum", b"1"), (b"grpc-status", b"0"), (b"X-Original-URL", b"/no/prefix"))
    dropped: Headers = tuple(
        (name, b"x")
        for name in (
            b"Authorization",
            b"Private_Token",
            b"x-caller-token",
            b"Content-Length",
            b"Transfer_Encoding",
            b"Host",
            b"TE",
            b"Trailer",
            b"Connection",
            b"X-OpenAPI-Address",
            b"Destination",
            b"If",
            b"X_Amz_Copy_Source",
            b"X-HTTP-Method-Override",
            b"Sec-WebSocket-Protocol",
        )
    )
    assert request_trailers(forward, allowed[:1] + dropped + allowed[1:]) == allowed


def test_t37_no_trailer_says_another_path_behind_a_prefix() -> None:
    forward = forward_of(request(), tool("https://tool.example/pub"))
    assert request_trailers(forward, ((b"X-Original-URL", b"/private"), (b"X_Rewrite_Url", b"/private"))) == ()


LONG = b"c4ller.t0ken.of.some.length"


def spent(token: bytes, head: RequestHead) -> RequestHead:
    return outgoing(head, forward_of(head, tool())._replace(spent=Presented(token, b"authorization")))


def test_t21_a_copy_of_the_token_goes_wherever_it_stands() -> None:
    copies = ((b"X-Copy", LONG), (b"X-Other", b"token=" + LONG + b";"), (b"X-Kept", LONG[:-1]))
    assert spent(LONG, request(b"/", copies)).headers == ((b"Host", b"tool.example"), (b"X-Kept", LONG[:-1]))


def test_t21_a_copy_in_a_trailer_goes_too() -> None:
    forward = forward_of(request(), tool())._replace(spent=Presented(LONG, b"authorization"))
    assert request_trailers(forward, ((b"X-Copy", LONG), (b"X-Kept", b"1"))) == ((b"X-Kept", b"1"),)


DRESSED = [
    b"Basic " + b64encode(b"robot:" + LONG),
    b"Basic " + b64encode(LONG + b":"),
    b64encode(LONG),
    b"x=" + urlsafe_b64encode(b"y" + LONG + b"z").rstrip(b"="),
    quote_from_bytes(b'{"password": "' + LONG + b'"}', safe="").encode(),
    quote_from_bytes(b64encode(b"me:" + LONG), safe="").encode(),
]


@pytest.mark.parametrize("value", DRESSED)
def test_t39_it_goes_in_other_clothes_too(value: bytes) -> None:
    fields = ((b"X-Forwarded-Authorization", value), (b"X-Kept", b"Basic " + b64encode(b"robot:" + LONG[1:])))
    assert spent(LONG, request(b"/", fields)).headers == ((b"Host", b"tool.example"), fields[1])
    forward = forward_of(request(), tool())._replace(spent=Presented(LONG, b"authorization"))
    assert request_trailers(forward, fields) == fields[1:]


BEARS = b"base64url.bearer.authorization.k8s.io." + urlsafe_b64encode(LONG).rstrip(b"=")


@pytest.mark.parametrize("manifests", [BASIC, ANONYMOUS, KEYLESS], ids=["basic", "anonymous", "keyless"])
@pytest.mark.parametrize("name", [b"Sec-WebSocket-Protocol", b"sec_websocket_protocol"])
def test_t39_a_token_among_websocket_protocols_reaches_no_tool(name: bytes, manifests: tuple[Manifest, ...]) -> None:
    """Nobody had to prove anything, and still it is the caller's word to whoever reads it."""
    for value, left in ((b"v4.channel.k8s.io, " + BEARS, [b"v4.channel.k8s.io"]), (BEARS, [])):
        head = sent(request(b"/", ((name, value), (b"X", b"y"))), *manifests)
        assert [field[1] for field in head.headers if field[0] == name] == left
        assert (b"X", b"y") in head.headers


@pytest.mark.parametrize("query", [b"?access_token=" + LONG, b"?a;t=" + quote_from_bytes(DRESSED[0]).encode()])
def test_t39_nor_does_a_query_parameter_of_the_same_value(query: bytes) -> None:
    facts = OURS._replace(presented=Presented(LONG, b"authorization"))
    verdict = verdict_of(request(b"/x" + query + b"&b=c"), tool(), facts=facts)
    assert verdict.forward is not None
    assert verdict.forward.request_target == (b"/x?a&b=c" if b";" in query else b"/x?b=c")


@pytest.mark.parametrize("token", [b"64", b"chunked", b"6" * 20, b"tool.example"])
def test_t11_no_token_takes_away_what_frames_the_message(token: bytes) -> None:
    framing = ((b"Content-Length", b"6" * 20), (b"Transfer-Encoding", b"chunked"), (b"X", b"64"))
    head = spent(token, request(b"/", framing))
    assert head.headers == ((b"Host", b"tool.example"), *framing)
