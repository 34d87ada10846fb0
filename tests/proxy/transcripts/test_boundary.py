"""What fields carry past the path of a request: other paths, other methods, and the caller's token in other clothes."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode

import pytest

from proxy.settings import ClientAuth, ProxySettings
from tests.peers.dialogue import OK, Dialogue, get, message, seen
from tests.peers.manifests import auth, bearer_token, caller_token
from tests.proxy.transcripts.conftest import Talk

TOKEN = b"eyJhbGciOi.caller.token-of-some_length"
CALLERS = ProxySettings(client_auth=ClientAuth.TOKEN)
BEARER = b"Authorization: Bearer " + TOKEN
INJECTED = b"Authorization: Bearer injected"
FORM = b"/namespaces/default/connectors/tool"


async def guarded(talk: Talk, prefix: str = "/pub", class_name: str = "generic") -> Dialogue:
    """A tool with a credential and a path prefix; callers must prove who they are."""
    kind = "bearerTokenAuth" if class_name == "k8s" else "bearerAuth"
    secrets = (bearer_token("s", "injected"), caller_token("ci", TOKEN.decode()))
    return await talk(*secrets, prefix=prefix, class_name=class_name, settings=CALLERS, auth=auth(kind, "s"))


async def passes(line: Dialogue, sent: bytes, expected: bytes) -> None:
    line.client_sends(sent)
    await line.tool_sees(expected)
    line.tool_sends(OK)
    await line.client_gets(OK)


@pytest.mark.parametrize(
    ("field", "got"),
    [
        (b"Destination: http://<proxy>/b", b"Destination: http://<tool>/pub/b"),
        (b"Destination: https://<proxy>/b", b"Destination: http://<tool>/pub/b"),
        (b"Destination: /b", b"Destination: /pub/b"),
        (b"Destination: http://<tool>/pub/b", b"Destination: http://<tool>/pub/b"),
        (b"If: </b> (<urn:x>)", b"If: </pub/b> (<urn:x>)"),
        (b"Origin: http://<proxy>", b"Origin: http://<tool>"),
        (b"Origin: http://elsewhere.example", b"Origin: http://elsewhere.example"),
        (b"Referer: http://<proxy>/b", b"Referer: http://<tool>/pub/b"),
        (b"X-HTTP-Method-Override: DELETE", b"X-HTTP-Method-Override: DELETE"),
        (b"X-Original-URL: /private/key", None),
        (b"X_Rewrite_URL: /private/key", None),
    ],
)
async def test_t37_a_place_in_a_field_becomes_the_tools(talk: Talk, field: bytes, got: bytes | None) -> None:
    line = await guarded(talk)
    for _ in range(4):
        await passes(line, get(b"/a", BEARER, field), seen(b"/pub/a", *([got] if got else []), INJECTED))


@pytest.mark.parametrize(
    "field",
    [
        b"Destination: http://<tool>/private/key",
        b"Destination: http://<proxy>/../private/key",
        b"Destination: http://elsewhere.example/b",
        b"If: <http://<tool>/private/key> (<urn:x>)",
        b"If: nothing of the kind",
        b"X-Amz-Copy-Source: /private/key",
        b"X-HTTP-Method-Override: TRACE",
        b"x_method_override: trace",
    ],
)
async def test_t37_what_lies_outside_is_refused_and_the_tool_hears_nothing(talk: Talk, field: bytes) -> None:
    line = await guarded(talk)
    line.client_sends(get(b"/a", field))
    await line.client_is_refused(b"401", b"Unauthenticated")
    line.client_sends(message(b"PUT /a HTTP/1.1", b"Host: <proxy>", BEARER, field, b"Content-Length: 0"))
    await line.client_is_refused(b"400", b"RequestMalformed")
    await line.client_is_closed()
    assert line.upstream.connections == []


@pytest.mark.parametrize(
    "path",
    [
        b"/a/%u002e%u002e/b",
        b"/%u002e./b",
        b"/..%c2%a0/b",
        b"/..%0a/b",
        b"/%0d../b",
        b"/.%01./b",
        b"/%20../b",
        b"/a%u002f..%u002fb",
    ],
)
@pytest.mark.parametrize("prefix", [b"", FORM])
async def test_t04_odd_dot_segments_are_refused_as_plain_ones(talk: Talk, prefix: bytes, path: bytes) -> None:
    line = await guarded(talk)
    line.client_sends(get(prefix + path, BEARER))
    await line.client_is_refused(b"400", b"RequestMalformed")
    await line.client_is_closed()
    assert line.upstream.connections == []


@pytest.mark.parametrize("target", [b"/private/key", b"http://<tool>/private/key"])
async def test_another_path_is_said_where_the_address_has_no_prefix(talk: Talk, target: bytes) -> None:
    """Everything of the tool is the Connector's; clients behind another proxy say so."""
    line = await guarded(talk, prefix="")
    field = b"X-Original-URL: " + target
    await passes(line, get(b"/a", BEARER, field), seen(b"/a", field, INJECTED))


# -- the caller's token


AS_PROTOCOL = b"base64url.bearer.authorization.k8s.io." + urlsafe_b64encode(TOKEN).rstrip(b"=")
UPGRADE = (b"Connection: Upgrade", b"Upgrade: websocket")


@pytest.mark.parametrize(
    "field",
    [
        b"X-Forwarded-Authorization: Basic " + b64encode(b"any:" + TOKEN),
        b"X-Auth: " + b64encode(TOKEN),
        b"Cookie: login=" + urlsafe_b64encode(b'{"token":"' + TOKEN + b'"}').replace(b"=", b"%3D"),
        b"Sec-WebSocket-Protocol: " + AS_PROTOCOL,
    ],
)
@pytest.mark.parametrize("query", [b"", b"?access_token=" + TOKEN, b"?t=" + b64encode(b"any:" + TOKEN).rstrip(b"=")])
async def test_t39_t21_a_token_in_other_clothes_stays_behind(talk: Talk, field: bytes, query: bytes) -> None:
    line = await guarded(talk, prefix="")
    for _ in range(3):
        await passes(line, get(b"/a" + query, BEARER, field, b"X: y"), seen(b"/a", b"X: y", INJECTED))


async def test_t39_a_browsers_websocket_to_kubernetes_brings_its_token_as_a_protocol(talk: Talk) -> None:
    line = await guarded(talk, prefix="", class_name="k8s")
    protocols = b"Sec-WebSocket-Protocol: "
    line.client_sends(get(b"/exec", *UPGRADE, protocols + AS_PROTOCOL + b", v5.channel.k8s.io"))
    expected = seen(b"/exec", protocols + b"v5.channel.k8s.io", *UPGRADE, INJECTED)
    await line.tool_sees(expected)
    switched = message(b"HTTP/1.1 101 Switching Protocols", *UPGRADE, protocols + b"v5.channel.k8s.io")
    line.tool_sends(switched + b"through")
    await line.client_gets(
        message(b"HTTP/1.1 101 Switching Protocols", protocols + b"v5.channel.k8s.io", *UPGRADE, body=b"through")
    )


@pytest.mark.parametrize("class_name", ["generic", "k8s"])
async def test_t39_no_other_class_reads_it_there_and_none_reads_a_wrong_one(talk: Talk, class_name: str) -> None:
    line = await guarded(talk, prefix="", class_name=class_name)
    told = AS_PROTOCOL if class_name == "generic" else AS_PROTOCOL[:-2]
    line.client_sends(get(b"/exec", *UPGRADE, b"Sec-WebSocket-Protocol: v5.channel.k8s.io, " + told))
    await line.client_is_refused(b"401", b"Unauthenticated")
    assert line.upstream.connections == []
