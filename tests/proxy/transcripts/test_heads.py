"""Heads on their way through: what is kept byte for byte, what never travels, and targets."""

from __future__ import annotations

import pytest

from tests.peers.dialogue import OK, get, message, seen
from tests.peers.manifests import connector, connector_class
from tests.proxy.transcripts.conftest import Talk

ODD_FIELDS = (
    b"x-lower: 1",
    b"X-UPPER: 2",
    b"X-MiXed: 3",
    b"x-lower: again",
    b"X-Raw: caf\xe9 \xff\x80",
    b"X-Empty:",
    b"X-Tab: a\tb",
    b"X-Inner:   spaces   inside  ",
    b"!#$%&'*+-.^_`|~: token",
    b"Accept: */*",
    b"accept: text/html",
    b"Cookie: a=b",
    b"Cookie: c=d",
)
ODD_FIELDS_OUT = tuple(
    b"X-Empty: " if field == b"X-Empty:" else b"X-Inner: spaces   inside" if b"Inner" in field else field
    for field in ODD_FIELDS
)


async def test_request_fields_keep_order_case_repetition_and_raw_bytes(talk: Talk) -> None:
    line = await talk()
    line.client_sends(message(b"GET / HTTP/1.1", *ODD_FIELDS[:4], b"hOsT: <proxy>", *ODD_FIELDS[4:]))
    await line.tool_sees(message(b"GET / HTTP/1.1", *ODD_FIELDS_OUT[:4], b"hOsT: <tool>", *ODD_FIELDS_OUT[4:]))
    line.tool_sends(OK)
    await line.client_gets(OK)


async def test_response_fields_keep_order_case_repetition_and_raw_bytes(talk: Talk) -> None:
    line = await talk()
    line.client_sends(get())
    await line.tool_sees(seen())
    line.tool_sends(message(b"HTTP/1.1 200 OK", *ODD_FIELDS, b"content-LENGTH: 0"))
    await line.client_gets(message(b"HTTP/1.1 200 OK", *ODD_FIELDS_OUT, b"content-LENGTH: 0"))


async def test_nothing_is_added_that_nobody_sent(talk: Talk) -> None:
    line = await talk()
    line.client_sends(message(b"POST / HTTP/1.1", b"Host: <proxy>", b"Content-Length: 0"))
    await line.tool_sees(message(b"POST / HTTP/1.1", b"Host: <tool>", b"Content-Length: 0"))
    line.tool_sends(message(b"HTTP/1.1 200 OK", b"Content-Length: 0"))
    await line.client_gets(message(b"HTTP/1.1 200 OK", b"Content-Length: 0"))
    await line.works()


HOP_BY_HOP = (
    b"Keep-Alive: timeout=5",
    b"Proxy-Connection: keep-alive",
    b"Proxy-Authenticate: Basic",
    b"Proxy-Authorization: Basic abc",
    b"TE: gzip",
    b"Upgrade: h2c",
    b"HTTP2-Settings: AAMAAABkAAQAAP__",
    b"Connection: X-Mine, close-not, keep-alive",
    b"X-Mine: 1",
    b"x-mine: 2",
)


async def test_hop_by_hop_and_nominated_fields_of_a_request_stay_behind(talk: Talk) -> None:
    line = await talk()
    line.client_sends(get(b"/", *HOP_BY_HOP, b"X-Yours: 3"))
    await line.tool_sees(seen(b"/", b"X-Yours: 3"))
    line.tool_sends(OK)
    await line.client_gets(OK)


async def test_hop_by_hop_and_nominated_fields_of_a_response_stay_behind(talk: Talk) -> None:
    line = await talk()
    line.client_sends(get())
    await line.tool_sees(seen())
    line.tool_sends(message(b"HTTP/1.1 200 OK", *HOP_BY_HOP, b"X-Yours: 3", b"Content-Length: 0"))
    await line.client_gets(message(b"HTTP/1.1 200 OK", b"X-Yours: 3", b"Content-Length: 0"))


async def test_t11_connection_cannot_take_the_framing_away(talk: Talk) -> None:
    line = await talk()
    nominated = b"Connection: Content-Length, Host, Transfer-Encoding"
    line.client_sends(message(b"POST / HTTP/1.1", b"Host: <proxy>", nominated, b"Content-Length: 2", body=b"ab"))
    await line.tool_sees(message(b"POST / HTTP/1.1", b"Host: <tool>", b"Content-Length: 2", body=b"ab"))
    line.tool_sends(message(b"HTTP/1.1 200 OK", nominated, b"Content-Length: 2", body=b"ok"))
    await line.client_gets(OK)
    await line.works()


async def test_a_tool_cannot_pass_its_answer_off_as_a_refusal(talk: Talk) -> None:
    line = await talk()
    line.client_sends(get())
    await line.tool_sees(seen())
    line.tool_sends(message(b"HTTP/1.1 403 Forbidden", b"X-Connectors-Reason: Forbidden", b"Content-Length: 0"))
    await line.client_gets(message(b"HTTP/1.1 403 Forbidden", b"Content-Length: 0"))


# -- targets

ODD_TARGETS = [
    b"/a%2Fb",
    b"/a%2fb",
    b"//a//b//",
    b"/;p=1;q/a;b",
    b"/a+b?c+d",
    b"/a?",
    b"/?a?b",
    b"/?",
    b"/%zz",
    b"/%",
    b"/%00",
    b"/a/./b",
    b"/...",
    b"/~!$&'()*,=:@",
    b'/"<>\\^`{|}',
    b"/?next=http://other/%2e%2e/../x",
    b"/caf%C3%A9",
    b"/namespaces",
    b"/namespaces/default/connectors",
    b"/v2/",
    b"/" + b"x" * 16_000,
]


@pytest.mark.parametrize("prefix", [b"", b"/pre%2Ffix"], ids=["root", "prefix"])
async def test_target_passes_byte_for_byte_in_host_form(talk: Talk, prefix: bytes) -> None:
    line = await talk(prefix=prefix.decode())
    for number, target in enumerate(ODD_TARGETS):
        own = b"X-Row: %d" % number  # so that no header block is a known one
        line.client_sends(get(target, own))
        await line.tool_sees(seen(prefix + target, own))
        line.tool_sends(OK)
        await line.client_gets(OK)


PLACES = [
    pytest.param(b"/namespaces/default/connectors/tool", (), b"/root", id="path form"),
    pytest.param(b"/namespaces/default/connectors/tool@api", (), b"/ext", id="path form with EXT"),
    pytest.param(b"/namespaces/default/connectors/tool", (b"X-Openapi-Address: api",), b"/ext", id="header by name"),
    pytest.param(
        b"/namespaces/default/connectors/tool", (b"x-openapi-address: http://<tool>/ext",), b"/ext", id="by URL"
    ),
    pytest.param(
        b"/namespaces/default/connectors/tool", (b"X-Openapi-Address: http://<tool>/root/",), b"/root", id="own"
    ),
]


async def with_extension(talk: Talk):  # type: ignore[no-untyped-def]
    line = await talk()
    kind = connector_class("two", [], addressExtensions=[{"name": "api", "type": "string"}])
    extensions = [{"name": "api", "value": line.upstream.address + "/ext"}]
    line.proxy.swap(connector("tool", line.upstream.address + "/root", "two", addressExtensions=extensions), kind)
    return line


@pytest.mark.parametrize(("place", "fields", "prefix"), PLACES)
async def test_target_passes_byte_for_byte_to_each_address(
    talk: Talk, place: bytes, fields: tuple[bytes, ...], prefix: bytes
) -> None:
    line = await with_extension(talk)
    for number, target in enumerate(target for target in ODD_TARGETS if len(target) < 100):
        own = b"X-Row: %d" % number
        line.client_sends(message(b"GET " + place + target + b" HTTP/1.1", b"Host: any.example:81", *fields, own))
        await line.tool_sees(seen(prefix + target, own))
        line.tool_sends(OK)
        await line.client_gets(OK)


@pytest.mark.parametrize("fields", [(b"X-Openapi-Address: api",), (b"X-Openapi-Address: http://<tool>/ext",)])
async def test_header_chooses_in_host_form_too(talk: Talk, fields: tuple[bytes, ...]) -> None:
    line = await with_extension(talk)
    line.client_sends(get(b"/x", *fields))
    await line.tool_sees(seen(b"/ext/x"))
    line.tool_sends(OK)
    await line.client_gets(OK)


@pytest.mark.parametrize(
    ("target", "fields"),
    [
        pytest.param(b"/namespaces/default/connectors/tool@other/x", (), id="EXT"),
        pytest.param(b"/namespaces/default/connectors/tool@API/x", (), id="EXT in another case"),
        pytest.param(b"/x", (b"X-Openapi-Address: other",), id="name"),
        pytest.param(b"/x", (b"X-Openapi-Address: http://<tool>/",), id="t29 URL above the prefix"),
        pytest.param(b"/x", (b"X-Openapi-Address: http://<tool>/rooted",), id="t29 URL beside the prefix"),
        pytest.param(b"/x", (b"X-Openapi-Address: http://<tool>/root/deeper",), id="URL below the prefix"),
        pytest.param(b"/x", (b"X-Openapi-Address: https://<tool>/root",), id="another scheme"),
        pytest.param(b"/x", (b"X-Openapi-Address: http://other.example/",), id="another host"),
        pytest.param(b"/x", (b"X-Openapi-Address: http://u:p@<tool>/root",), id="URL with userinfo"),
        pytest.param(
            b"/namespaces/default/connectors/tool@api/x", (b"X-Openapi-Address: http://<tool>/root",), id="two"
        ),
    ],
)
async def test_undeclared_addresses_are_refused(talk: Talk, target: bytes, fields: tuple[bytes, ...]) -> None:
    line = await with_extension(talk)
    line.client_sends(get(target, *fields))
    await line.client_is_refused(b"400", b"AddressNotDeclared")
    line.client_sends(get(b"/still"))
    await line.tool_sees(seen(b"/root/still"))


@pytest.mark.parametrize(
    ("host", "target", "path"),
    [
        pytest.param(b"c-tool.default", b"/x", b"/x", id="short host"),
        pytest.param(b"C-Tool.Default.SVC", b"/x", b"/x", id="any case"),
        pytest.param(b"c-tool.default.svc.cluster.local.:8080", b"/x", b"/x", id="domain, trailing dot and port"),
        pytest.param(b"<proxy>", b"http://<proxy>/x?y", b"/x?y", id="absolute-form"),
        pytest.param(b"<proxy>", b"http://<proxy>", b"/", id="absolute-form without a path"),
        pytest.param(b"<proxy>", b"/namespaces/default/connectors/tool/x", b"/x", id="host and path agree"),
        pytest.param(
            b"<proxy>",
            b"/namespaces/default/connectors/other/x",
            b"/namespaces/default/connectors/other/x",
            id="host wins",
        ),
        pytest.param(
            b"any", b"/v2/namespaces/default/connectors/tool/a/manifests/b", b"/v2/a/manifests/b", id="registry"
        ),
        pytest.param(b"any", b"/namespaces/default/connectors/tool", b"/", id="path form without a rest"),
        pytest.param(b"any", b"/%6eamespaces/default/connectors/t%6Fol/x", b"/x", id="encoded names"),
    ],
)
async def test_which_connector_is_meant(talk: Talk, host: bytes, target: bytes, path: bytes) -> None:
    line = await talk()
    line.client_sends(message(b"GET " + target + b" HTTP/1.1", b"Host: " + host))
    await line.tool_sees(seen(path))
    line.tool_sends(OK)
    await line.client_gets(OK)


async def test_class_with_path_resolver_lets_the_path_name_the_connector(talk: Talk) -> None:
    line = await talk()
    kind = connector_class("by-path", [])
    kind["metadata"]["annotations"] = {"connectors.cpaas.io/proxy-resolver": "path"}
    line.proxy.swap(
        connector("tool", line.upstream.address, "by-path"), connector("other", line.upstream.address + "/o"), kind
    )
    line.client_sends(get(b"/namespaces/default/connectors/other/x"))
    await line.tool_sees(seen(b"/o/x"))
    line.tool_sends(OK)
    await line.client_gets(OK)
