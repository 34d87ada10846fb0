"""The credential: always the proxy's own, never the caller's, whatever the caller sends."""

from __future__ import annotations

from base64 import b64encode

import pytest

from proxy.settings import ClientAuth, ProxySettings
from tests.peers.dialogue import OK, Dialogue, get, message, seen
from tests.peers.manifests import auth, basic_auth, bearer_token, caller_token, connector, connector_class, secret
from tests.proxy.transcripts.conftest import Talk

BASIC = b"Authorization: Basic " + b64encode(b"robot:s3cret")
TOKEN_MODE = ProxySettings(client_auth=ClientAuth.TOKEN)
TOKEN = b"eyJhbGciOi.caller.token"
CALLERS = (
    caller_token("ci", TOKEN.decode()),
    caller_token("elsewhere", "token-of-elsewhere", namespace="other"),
)
AS_PASSWORD = b"Authorization: Basic " + b64encode(b"any:" + TOKEN)
AS_USERNAME = b"Authorization: Basic " + b64encode(TOKEN + b":")
AS_BEARER = b"Authorization: Bearer " + TOKEN


async def with_basic(talk: Talk) -> Dialogue:
    return await talk(basic_auth("s", "robot", "s3cret"), auth=auth("basicAuth", "s"))


async def passes(line: Dialogue, fields: tuple[bytes, ...], expected: tuple[bytes, ...]) -> None:
    line.client_sends(get(b"/", *fields))
    await line.tool_sees(seen(b"/", *expected))
    line.tool_sends(OK)
    await line.client_gets(OK)


async def test_basic_auth_is_injected_last(talk: Talk) -> None:
    await passes(await with_basic(talk), (b"A: b",), (b"A: b", BASIC))


async def test_bearer_token_is_injected(talk: Talk) -> None:
    line = await talk(bearer_token("s", "tok\n"), auth=auth("bearerAuth", "s"))
    await passes(line, (), (b"Authorization: Bearer tok",))


async def test_t40_a_line_end_in_the_secret_reaches_no_tool(talk: Talk) -> None:
    line = await talk(basic_auth("s", "robot\n", "s3cret\r\n"), auth=auth("basicAuth", "s"))
    await passes(line, (), (BASIC,))


async def test_generated_headers_and_query(talk: Talk) -> None:
    line = await talk()
    generator = {
        "headers": [{"name": "PRIVATE-TOKEN", "value": "{{ .Secret.StringData.token }}"}],
        "query": [{"name": "api_key", "value": "{{ .Secret.StringData.token }}"}],
    }
    kind = connector_class("keyed", [{"name": "key", "secretType": "Opaque", "generator": generator}])
    line.proxy.swap(
        connector("tool", line.upstream.address, "keyed", auth=auth("key", "s")), kind, secret("s", {"token": "t&1"})
    )
    line.client_sends(get(b"/a?x=1&api_key=mine&api%5Fkey=mine&y", b"private_token: mine", b"Private-Token: mine"))
    await line.tool_sees(seen(b"/a?x=1&y&api_key=t%261", b"PRIVATE-TOKEN: t&1"))
    line.tool_sends(OK)
    await line.client_gets(OK)


async def test_t21_the_callers_own_credentials_never_reach_the_tool(talk: Talk) -> None:
    fields = (AS_BEARER, b"authorization: Basic abc", b"AUTHORIZATION: x", b"Proxy-Authorization: Basic abc")
    await passes(await with_basic(talk), fields, (BASIC,))


async def test_t21_nor_of_an_anonymous_connector(talk: Talk) -> None:
    fields = (AS_BEARER, b"Proxy-Authorization: Basic abc", b"Proxy_Authorization: x", b"X_Openapi_Address: y")
    await passes(await talk(), fields, ())


@pytest.mark.parametrize(
    "connection",
    [
        b"Connection: Authorization",
        b"Connection: close-not, AUTHORIZATION , keep-alive",
        b"Proxy-Connection: Authorization",
        b"connection:authorization",
        b"Keep-Alive: Authorization",
    ],
)
async def test_t03_connection_header_cannot_drop_the_credential(talk: Talk, connection: bytes) -> None:
    await passes(await with_basic(talk), (connection, b"Authorization: mine"), (BASIC,))


async def test_t03_a_trailer_cannot_replace_the_credential(talk: Talk) -> None:
    line = await with_basic(talk)
    chunked = b"Transfer-Encoding: chunked"
    trailers = b"Authorization: mine\r\nauthorization: mine\r\n"
    line.client_sends(message(b"PUT / HTTP/1.1", b"Host: <proxy>", chunked, body=b"0\r\n" + trailers + b"\r\n"))
    await line.tool_sees(message(b"PUT / HTTP/1.1", b"Host: <tool>", chunked, BASIC, body=b"0\r\n\r\n"))
    line.tool_sends(OK)
    await line.client_gets(OK)


async def test_t01_the_credential_goes_to_the_chosen_address_alone(talk: Talk) -> None:
    """A redirect is the client's to follow: nothing is dialled for it."""
    line = await with_basic(talk)
    line.client_sends(get())
    await line.tool_sees(seen(b"/", BASIC))
    moved = message(b"HTTP/1.1 307 Temporary Redirect", b"Location: http://127.0.0.1:1/x", b"Content-Length: 0")
    line.tool_sends(moved)
    await line.client_gets(moved)
    assert len(line.upstream.connections) == 1


# -- callers must prove who they are


@pytest.mark.parametrize("field", [AS_PASSWORD, AS_USERNAME, AS_BEARER, AS_BEARER.replace(b"Bearer", b"bEARER")])
async def test_t21_a_valid_token_is_let_in_and_stays_behind(talk: Talk, field: bytes) -> None:
    line = await talk(*CALLERS, basic_auth("s", "robot", "s3cret"), auth=auth("basicAuth", "s"), settings=TOKEN_MODE)
    await passes(line, (field,), (BASIC,))
    assert TOKEN not in line.tool.received
    await line.new_client()
    await passes(line, (field,), (BASIC,))


async def test_t21_a_valid_token_stays_behind_for_an_anonymous_connector_too(talk: Talk) -> None:
    await passes(await talk(*CALLERS, settings=TOKEN_MODE), (AS_PASSWORD,), ())


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param((), id="none"),
        pytest.param((b"Authorization: Bearer wrong",), id="wrong"),
        pytest.param((b"Authorization: Bearer",), id="empty bearer"),
        pytest.param((b"Authorization: Basic",), id="empty basic"),
        pytest.param((b"Authorization: Basic !!!",), id="not base64"),
        pytest.param((b"Authorization: Basic " + b64encode(TOKEN),), id="no colon"),
        pytest.param((b"Authorization: Basic " + b64encode(TOKEN + b":other"),), id="user name beside a password"),
        pytest.param((b"Authorization: Digest " + TOKEN,), id="another scheme"),
        pytest.param((b"Authorization: " + TOKEN,), id="no scheme"),
        pytest.param((AS_BEARER, AS_BEARER), id="twice"),
        pytest.param((b"Proxy-" + AS_BEARER,), id="another field"),
    ],
)
@pytest.mark.parametrize("name", [b"tool", b"absent"])
async def test_strangers_get_both_challenges_and_learn_nothing(
    talk: Talk, fields: tuple[bytes, ...], name: bytes
) -> None:
    line = await talk(*CALLERS, settings=TOKEN_MODE)
    line.client_sends(message(b"GET / HTTP/1.1", b"Host: c-" + name + b".default", *fields))
    head = await line.client_is_refused(b"401", b"Unauthenticated")
    assert b'\r\nWWW-Authenticate: Basic realm="connectors"\r\n' in head
    assert b'\r\nWWW-Authenticate: Bearer realm="connectors"\r\n' in head
    assert line.upstream.connections == []


@pytest.mark.parametrize("target", [b"/v2/", b"/v2/namespaces/default/connectors/tool/x/manifests/1"])
async def test_strangers_who_ask_a_registry_get_no_bearer_challenge(talk: Talk, target: bytes) -> None:
    """docker would ask the URL `connectors` for a token, and fail; with Basic alone it logs in."""
    line = await talk(*CALLERS, settings=TOKEN_MODE)
    line.client_sends(get(target))
    head = await line.client_is_refused(b"401", b"Unauthenticated")
    assert b'\r\nWWW-Authenticate: Basic realm="connectors"\r\n' in head
    assert b"Bearer" not in head


@pytest.mark.parametrize("name", [b"tool", b"absent"])
async def test_callers_of_another_namespace_are_forbidden_and_learn_nothing(talk: Talk, name: bytes) -> None:
    line = await talk(*CALLERS, settings=TOKEN_MODE)
    line.client_sends(
        message(b"GET / HTTP/1.1", b"Host: c-" + name + b".default", b"Authorization: Bearer token-of-elsewhere")
    )
    await line.client_is_refused(b"403", b"Forbidden")
    assert line.upstream.connections == []


async def test_a_known_caller_is_told_that_there_is_no_such_connector(talk: Talk) -> None:
    line = await talk(*CALLERS, settings=TOKEN_MODE)
    line.client_sends(message(b"GET / HTTP/1.1", b"Host: c-absent.default", AS_BEARER))
    await line.client_is_refused(b"404", b"ConnectorNotFound")


async def test_a_token_that_is_taken_away_lets_nobody_in(talk: Talk) -> None:
    line = await talk(*CALLERS, settings=TOKEN_MODE)
    await passes(line, (AS_BEARER,), ())
    line.proxy.swap(connector("tool", line.upstream.address))
    line.client_sends(get(b"/", AS_BEARER))
    await line.client_is_refused(b"401", b"Unauthenticated")
