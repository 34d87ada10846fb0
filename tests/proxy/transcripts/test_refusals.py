"""What the proxy answers itself: every refusal that can be provoked, with its exact bytes."""

from __future__ import annotations

import json
import re
import ssl

import pytest
import trustme

from proxy.settings import ProxySettings, Timeouts
from tests.peers.dialogue import Dialogue, get, message
from tests.peers.manifests import auth, connector, connector_class, secret
from tests.peers.raw_upstream import RawUpstream
from tests.proxy.transcripts.conftest import Talk

GET = b"GET /x HTTP/1.1"
REQUEST_ID = re.compile(rb"X-Request-Id: [0-9a-f]{16}-[0-9a-f]+\r\n")
DATE = re.compile(rb"Date: (Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT\r\n")


async def refusal(line: Dialogue, status: int, phrase: str, reason: str, *extra: bytes, keep: bool = True) -> str:
    """Read one refusal, compare all of it but the time, the id and the sentence; the sentence."""
    head = await line.client.read_head()
    length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
    body = await line.client.read_exactly(length)
    assert REQUEST_ID.sub(b"X-Request-Id: id\r\n", DATE.sub(b"Date: now\r\n", head)) == message(
        f"HTTP/1.1 {status} {phrase}".encode(),
        b"Content-Type: application/json",
        b"Content-Length: %d" % length,
        b"Date: now",
        b"Cache-Control: no-store",
        b"X-Connectors-Reason: " + reason.encode(),
        b"X-Request-Id: id",
        *extra,
        *(() if keep else (b"Connection: close",)),
    )
    said = json.loads(body)
    sentence: str = said.pop("message")
    shape = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    assert said == {**shape, "reason": reason, "code": status}
    assert sentence
    return sentence


def objects(line: Dialogue) -> list[dict[str, object]]:
    """Connectors that cannot serve, each in its own way, beside one that does."""
    address = line.upstream.address
    return [
        connector("tool", address),
        connector("no-class", address, "missing"),
        connector("bad-address", "ftp://x"),
        connector("no-auth", address, auth=auth("unknown", "s")),
        connector("no-secret", address, auth=auth("basicAuth", "missing")),
        connector("wrong-type", address, auth=auth("basicAuth", "opaque")),
        connector("no-key", address, auth=auth("bearerAuth", "bearer")),
        secret("opaque", {"a": "b"}),
        secret("bearer", {"other": "x"}, "connectors.cpaas.io/bearer-token"),
        connector("own-host", "http://c-tool.default.svc.cluster.local"),
        connector("own-port", f"http://127.0.0.1:{line.proxy.port}"),
        connector("own-name", f"http://localhost:{line.proxy.port}"),
        connector("no-proxy", address, "bare"),
        connector_class("bare", proxy=None),
        connector("no-name", "http://does-not-exist.invalid"),
        connector("refused", "http://127.0.0.1:1"),
        connector("no-tls", address.replace("http:", "https:")),
    ]


@pytest.mark.parametrize(
    ("name", "status", "phrase", "reason"),
    [
        ("absent", 404, "Not Found", "ConnectorNotFound"),
        ("no-proxy", 404, "Not Found", "ConnectorNotFound"),
        ("no-class", 503, "Service Unavailable", "ConnectorInvalid"),
        ("bad-address", 503, "Service Unavailable", "ConnectorInvalid"),
        ("no-auth", 503, "Service Unavailable", "ConnectorInvalid"),
        ("no-secret", 503, "Service Unavailable", "CredentialUnavailable"),
        ("wrong-type", 503, "Service Unavailable", "CredentialUnavailable"),
        ("no-key", 503, "Service Unavailable", "CredentialUnavailable"),
        ("own-host", 508, "Loop Detected", "LoopDetected"),
        ("own-port", 508, "Loop Detected", "LoopDetected"),
        ("own-name", 508, "Loop Detected", "LoopDetected"),
        ("refused", 502, "Bad Gateway", "UpstreamUnreachable"),
        ("no-name", 502, "Bad Gateway", "UpstreamUnreachable"),
    ],
)
async def test_refusal_keeps_the_connection(talk: Talk, name: str, status: int, phrase: str, reason: str) -> None:
    line = await talk()
    line.proxy.swap(*objects(line))
    line.client_sends(message(GET, f"Host: c-{name}.default".encode()))
    await refusal(line, status, phrase, reason)
    assert line.proxy.metric("connectors_proxy_refusals_total", reason=reason) == 1
    await line.works()


async def test_host_without_any_connector(talk: Talk) -> None:
    line = await talk()
    line.client_sends(message(GET, b"Host: www.example.com"))
    await refusal(line, 404, "Not Found", "ConnectorNotFound")
    await line.works()


@pytest.mark.parametrize("method", [b"TRACE", b"CONNECT"])
async def test_t06_trace_never_reaches_the_tool(talk: Talk, method: bytes) -> None:
    line = await talk()
    target = b"<proxy>:80" if method == b"CONNECT" else b"/"
    line.client_sends(message(method + b" " + target + b" HTTP/1.1", b"Host: <proxy>"))
    allow = b"Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
    await refusal(line, 405, "Method Not Allowed", "MethodNotAllowed", allow)
    assert line.upstream.connections == []


async def test_head_gets_a_refusal_without_its_body(talk: Talk) -> None:
    line = await talk()
    line.client_sends(message(b"HEAD /x HTTP/1.1", b"Host: c-absent.default"))
    head = await line.client.read_head()
    assert head.startswith(b"HTTP/1.1 404 Not Found\r\n")
    await line.works()


async def test_a_refused_request_with_a_body_ends_the_connection_and_is_read(talk: Talk) -> None:
    line = await talk()
    line.client_sends(message(b"POST /x HTTP/1.1", b"Host: c-absent.default", b"Content-Length: 100000", body=b"abc"))
    await refusal(line, 404, "Not Found", "ConnectorNotFound", keep=False)
    await line.client.send_all(b"x" * 90_000)
    await line.client_is_closed()


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param((b"GET /x HTTP/1.0", b"Host: c-absent.default"), id="HTTP/1.0"),
        pytest.param((GET, b"Host: c-absent.default", b"Connection: close"), id="close"),
    ],
)
async def test_a_refusal_closes_where_the_client_wants_it(talk: Talk, lines: tuple[bytes, ...]) -> None:
    line = await talk()
    line.client_sends(message(*lines))
    await refusal(line, 404, "Not Found", "ConnectorNotFound", keep=False)
    await line.client_is_closed()


async def test_a_refusal_in_a_pipeline_stands_in_its_place(talk: Talk) -> None:
    line = await talk()
    line.client_sends(message(GET, b"Host: c-absent.default") + get(b"/still"))
    await refusal(line, 404, "Not Found", "ConnectorNotFound")
    await line.tool_sees(message(b"GET /still HTTP/1.1", b"Host: <tool>"))


@pytest.mark.parametrize(
    "target",
    [
        b"/../x",
        b"/a/../../x",
        b"/%2e%2e/x",
        b"/.%2E/x",
        b"/%252e%252e/x",
        b"/a/..",
        b"/..%2fx",
        b"/..%5cx",
        b"/..;a=b/x",
        b"/namespaces/default/connectors/tool/../other/x",
        b"/namespaces/default/connectors/tool/%2e%2e%2fother/x",
    ],
)
async def test_t04_climbing_targets_are_refused(talk: Talk, target: bytes) -> None:
    line = await talk(prefix="/pre")
    line.client_sends(get(target))
    await refusal(line, 400, "Bad Request", "RequestMalformed", keep=False)
    assert line.upstream.connections == []


@pytest.mark.parametrize(
    "target",
    [b"http://c-other.default/x", b"http://other.example/x", b"https://<proxy>/x", b"ftp://<proxy>/", b"*", b"x"],
)
async def test_t02_targets_that_contradict_host_are_refused(talk: Talk, target: bytes) -> None:
    line = await talk()
    line.proxy.swap(connector("tool", line.upstream.address), connector("other", line.upstream.address))
    line.client_sends(get(target))
    await line.client_is_refused(b"400", b"RequestMalformed")
    assert line.upstream.connections == []


async def test_choosing_twice_is_refused(talk: Talk) -> None:
    line = await talk()
    line.client_sends(get(b"/", b"X-Openapi-Address: a", b"x-openapi-address: b"))
    await refusal(line, 400, "Bad Request", "RequestMalformed", keep=False)
    await line.client_is_closed()


# -- the tool's side


@pytest.mark.parametrize("fault", ["authority", "name"])
async def test_certificate_that_is_not_trusted(talk: Talk, authority: trustme.CA, fault: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issuer, name = (trustme.CA(), "localhost") if fault == "authority" else (authority, "other.example")
    issuer.issue_cert(name).configure_cert(context)
    line = await talk(tls=context)
    line.client_sends(get())
    sentence = await refusal(line, 502, "Bad Gateway", "UpstreamTLS")
    assert "is not trusted" in sentence
    assert line.upstream.connections == [] or await line.upstream.connections[0].read_to_eof() == b""


async def test_https_tool(talk: Talk, server_tls: ssl.SSLContext) -> None:
    line = await talk(tls=server_tls)
    await line.works()
    await line.works()
    assert len(line.upstream.connections) == 1


async def test_tool_that_speaks_no_tls(talk: Talk) -> None:
    line = await talk()
    async with RawUpstream(plain) as upstream:
        line.proxy.swap(connector("tool", upstream.address.replace("http:", "https:")))
        line.client_sends(get())
        await refusal(line, 502, "Bad Gateway", "UpstreamTLS")


async def plain(connection) -> None:  # type: ignore[no-untyped-def]
    await connection.read_exactly(1)
    connection.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    connection.close()


async def test_dial_that_takes_too_long(talk: Talk) -> None:
    """The tool's port answers TCP and says nothing in TLS."""
    # The trust of a system is read within it, too.
    line = await talk(settings=ProxySettings(timeouts=Timeouts(connect=0.4)))
    line.proxy.swap(connector("tool", line.upstream.address.replace("http:", "https:")))
    line.client_sends(get())
    await refusal(line, 504, "Gateway Timeout", "UpstreamTimeout")
    tool = await line.tool_accepts()
    await tool.wait_closed()
    await tool.read_to_eof()


async def test_tool_that_answers_nothing(talk: Talk) -> None:
    line = await talk(settings=ProxySettings(timeouts=Timeouts(first_byte=0.1)))
    line.client_sends(get())
    await refusal(line, 504, "Gateway Timeout", "UpstreamTimeout")
    await line.tool_accepts()
    await line.tool.wait_closed()
    await line.tool.read_to_eof()
    await line.works()


@pytest.mark.parametrize("status", [b"401 Unauthorized", b"403 Forbidden", b"500 Internal Server Error", b"503 X"])
async def test_the_tools_own_errors_pass_unchanged(talk: Talk, status: bytes) -> None:
    line = await talk()
    line.client_sends(get())
    await line.tool_accepts()
    await line.tool.read_head()
    answer = message(b"HTTP/1.1 " + status, b'WWW-Authenticate: Basic realm="tool"', b"Content-Length: 3", body=b"no!")
    line.tool_sends(answer)
    await line.client_gets(answer)
    assert line.proxy.metric("connectors_proxy_refusals_total", reason="Forbidden") == 0


async def test_t05_bearer_challenge_of_the_tool_is_not_passed_on(talk: Talk) -> None:
    line = await talk()
    line.client_sends(get())
    await line.tool_accepts()
    await line.tool.read_head()
    bearer = b'WWW-Authenticate: Bearer realm="http://elsewhere.example/token",service="r", Basic realm="t"'
    line.tool_sends(message(b"HTTP/1.1 401 Unauthorized", bearer, b"Content-Length: 0"))
    basic = b'WWW-Authenticate: Basic realm="t"'
    await line.client_gets(message(b"HTTP/1.1 401 Unauthorized", basic, b"Content-Length: 0"))
