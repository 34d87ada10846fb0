"""Location, Content-Location, Link and Set-Cookie: the tool's own origin becomes the address that the client used."""

from __future__ import annotations

import pytest

from tests.peers.dialogue import get, message, seen
from tests.peers.manifests import auth, connector_class, secret
from tests.proxy.transcripts.conftest import Talk

HOST_FORM = (b"<proxy>", b"")
PATH_FORM = (b"any.example:81", b"/namespaces/default/connectors/tool")
REGISTRY_FORM = (b"any.example", b"/v2/namespaces/default/connectors/tool")
Form = tuple[bytes, bytes, bytes, bytes]
FORMS = [
    pytest.param((*HOST_FORM, b"", b""), id="host form"),
    pytest.param((*HOST_FORM, b"/pre", b""), id="host form with a prefix"),
    pytest.param((*PATH_FORM, b"", b""), id="path form"),
    pytest.param((*PATH_FORM, b"/pre", b""), id="path form with a prefix"),
    pytest.param((*REGISTRY_FORM, b"", b"/v2"), id="registry form"),
    pytest.param((*REGISTRY_FORM, b"/pre", b"/v2"), id="registry form with a prefix"),
]
"""Host, the client's prefix, the address's prefix, and what of the client's prefix the tool sees."""


async def answered(talk: Talk, form: Form, field: bytes, expected: bytes) -> None:
    """One exchange with a redirect that carries `field`, and no second request to anybody."""
    host, client_prefix, prefix, tool_prefix = form
    line = await talk(prefix=prefix.decode())
    line.client_sends(message(b"GET " + client_prefix + b"/x HTTP/1.1", b"Host: " + host))
    await line.tool_sees(message(b"GET " + prefix + tool_prefix + b"/x HTTP/1.1", b"Host: <tool>"))
    line.tool_sends(message(b"HTTP/1.1 302 Found", field, b"Content-Length: 0"))
    await line.client_gets(message(b"HTTP/1.1 302 Found", expected, b"Content-Length: 0"))
    assert len(line.upstream.connections) == 1


@pytest.mark.parametrize(
    ("sent", "got"),
    [
        pytest.param(b"http://<tool>/a/?x=1&key=long-s3cret", b"http://<proxy>/a/?x=1", id="a slash is added"),
        pytest.param(b"https://<tool>/a?key=long-s3cret&x=1", b"https://<tool>/a?x=1", id="another origin"),
        pytest.param(b"/login?next=%2Fa%3Fkey%3Dlong-s3cret", None, id="inside of another parameter"),
    ],
)
async def test_t06_a_redirect_does_not_show_the_query_credential(talk: Talk, sent: bytes, got: bytes | None) -> None:
    generator = {"query": [{"name": "key", "value": "{{ .Secret.StringData.token }}"}]}
    kind = connector_class("keyed", [{"name": "key", "secretType": "Opaque", "generator": generator}])
    line = await talk(kind, secret("s", {"token": "long-s3cret"}), class_name="keyed", auth=auth("key", "s"))
    line.client_sends(get(b"/a?x=1"))
    await line.tool_sees(seen(b"/a?x=1&key=long-s3cret"))
    line.tool_sends(message(b"HTTP/1.1 301 Moved", b"Location: " + sent, b"Content-Length: 0"))
    kept = (b"Location: " + got,) if got is not None else ()
    await line.client_gets(message(b"HTTP/1.1 301 Moved", *kept, b"Content-Length: 0"))


@pytest.mark.parametrize("name", [b"Location", b"content-location"])
@pytest.mark.parametrize("rest", [b"/y?a=http://<tool>/&b#c", b"/", b""])
@pytest.mark.parametrize("form", FORMS)
async def test_t01_own_origin_is_rewritten(talk: Talk, name: bytes, rest: bytes, form: Form) -> None:
    host, client_prefix, prefix, tool_prefix = form
    sent = name + b": http://<tool>" + prefix + tool_prefix + rest
    # A URL without a path means `/`, which has to be said behind the client's prefix.
    path = rest or (b"" if prefix + tool_prefix else b"/")
    got = name + b": http://" + host + ((client_prefix + path) or b"/")
    await answered(talk, form, sent, got)


@pytest.mark.parametrize("form", FORMS)
async def test_a_path_alone_is_mapped(talk: Talk, form: Form) -> None:
    _, client_prefix, prefix, tool_prefix = form
    sent = b"Location: " + prefix + tool_prefix + b"/y"
    await answered(talk, form, sent, b"Location: " + client_prefix + b"/y")


@pytest.mark.parametrize(
    "field",
    [
        b"Location: https://elsewhere.example/x?token=1",
        b"Location: https://<tool>/x",
        b"Location: http://<tool>.evil.example/x",
        b"Location: http://user@<tool>/x",
        b"Location: http://127.0.0.1/x",
        b"Location: relative/x",
        b"Location: ?query",
        b"Location: mailto:a@b",
        b"Location: \xff\xfe",
        b"Link: <https://elsewhere.example/?page=2>; rel=next",
        b"Content-Location: x",
        b"X-Location: http://<tool>/x",
    ],
)
async def test_t01_foreign_origins_are_left_alone_and_never_followed(talk: Talk, field: bytes) -> None:
    await answered(talk, (*PATH_FORM, b"", b""), field, field)


async def test_t29_a_path_beside_the_prefix_is_not_the_connectors(talk: Talk) -> None:
    outside = b"Location: http://<tool>/prefix/x"
    await answered(talk, (*HOST_FORM, b"/pre", b""), outside, outside)


async def test_t29_a_bare_path_beside_the_prefix_becomes_the_tools_url(talk: Talk) -> None:
    await answered(talk, (*HOST_FORM, b"/pre", b""), b"Location: /prefix", b"Location: http://<tool>/prefix")


async def test_link_with_several_targets(talk: Talk) -> None:
    sent = b'Link: <http://<tool>/?page=2>; rel="next", <https://other.example/>; rel=x, </y>; rel=prev'
    base = b"http://any.example:81/namespaces/default/connectors/tool"
    path = b"/namespaces/default/connectors/tool"
    got = b"Link: <" + base + b'/?page=2>; rel="next", <https://other.example/>; rel=x, <' + path + b"/y>; rel=prev"
    await answered(talk, (*PATH_FORM, b"", b""), sent, got)


@pytest.mark.parametrize(
    ("form", "sent", "got"),
    [
        pytest.param((*HOST_FORM, b"", b""), b"s=1; Path=/; HttpOnly", b"s=1; Path=/; HttpOnly", id="host form"),
        pytest.param((*HOST_FORM, b"", b""), b"s=1; Domain=127.0.0.1; Path=/a", b"s=1; Path=/a", id="own domain"),
        pytest.param((*HOST_FORM, b"", b""), b"s=1; Domain=default.localhost", b"s=1", id="parent"),
        pytest.param((*HOST_FORM, b"/pre", b""), b"s=1; path=/pre/a", b"s=1; path=/a", id="prefix"),
        pytest.param(
            (*PATH_FORM, b"", b""), b"s=1;Path=/", b"s=1;Path=/namespaces/default/connectors/tool/", id="path"
        ),
        pytest.param(
            (*PATH_FORM, b"/pre", b""), b"s=1;Path=/", b"s=1;Path=/namespaces/default/connectors/tool", id="both"
        ),
        pytest.param((*PATH_FORM, b"", b""), b"s=\xff=;x; Max-Age=1", b"s=\xff=;x; Max-Age=1", id="raw bytes"),
    ],
)
async def test_set_cookie(talk: Talk, form: Form, sent: bytes, got: bytes) -> None:
    await answered(talk, form, b"Set-Cookie: " + sent, b"Set-Cookie: " + got)


async def test_registry_upload_location(talk: Talk) -> None:
    sent = b"Location: /v2/repo/blobs/uploads/1?_state=a%3D"
    got = b"Location: /v2/namespaces/default/connectors/tool/repo/blobs/uploads/1?_state=a%3D"
    await answered(talk, (*REGISTRY_FORM, b"", b"/v2"), sent, got)
