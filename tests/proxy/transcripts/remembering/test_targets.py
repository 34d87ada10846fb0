"""Which Connector, which address and which path: of each request by itself, whatever block is known (invariant 14)."""

from __future__ import annotations

import re

import pytest

from tests.proxy.transcripts.remembering.requests import CALLERS, NO_HOST, asking, bearer, named, objects
from tests.proxy.transcripts.remembering.scene import ONE_LOOP, Same, Stage

TARGETS = [
    b"/",
    b"/a/b?c=d&e",
    b"/a/../b",
    b"/..",
    b"/a/..",
    b"/a/%2e%2e/b",
    b"/a/%2E./b",
    b"/a/.%2e",
    b"/a/%252e%252e/b",
    b"/a/%25252e%25252e/b",
    b"/a/..;x/b",
    b"/a/..%3bx/b",
    b"/a/..%2fb",
    b"/a/..%5cb",
    b"/a\\..\\b",
    b"/a/..%00/b",
    b"/a/..%3f/b",
    b"/a/..%23",
    b"/a/.. /b",
    b"/a/..%20/b",
    b"/a/%20../b",
    b"/a/..%09/b",
    b"/a/%c0%ae%c0%ae/b",
    b"/a/%ef%bc%8e%ef%bc%8e/b",
    b"/a..b/..c/d..",
    b"/a/./b/.",
    b"/a/...",
    b"/?x=../..",
    b"/?..",
    b"/a?/../b",
    b"/a%2fb",
    b"/a%2Fb%zz%",
    b"//a",
    b"/%2f/a",
    b"/v2",
    b"/v2/",
    b"/v2/_catalog?n=1",
    b"/namespaces",
    b"/namespaces/default/connectors/tool",
    b"/namespaces/default/connectors/tool/",
    b"/namespaces/default/connectors/tool/x?y",
    b"/namespaces/default/connectors/tool?y",
    b"/namespaces/default/connectors/tool/../other/x",
    b"/namespaces/default/connectors/other/x",
    b"/namespaces/default/connectors/other",
    b"/namespaces/default/connectors/none/x",
    b"/namespaces/none/connectors/tool/x",
    b"/namespaces//connectors/tool/x",
    b"/namespaces/default/connectors//x",
    b"/namespaces/default/connector/other/x",
    b"/Namespaces/default/connectors/other/x",
    b"//namespaces/default/connectors/other/x",
    b"/%6eamespaces/default/connectors/other/x",
    b"/namespaces/default/%63onnectors/other/x",
    b"/namespaces/default/connectors/%6fther/x",
    b"/namespaces/default/connectors%2fother/x",
    b"/v2/namespaces/default/connectors/tool/x",
    b"/v2/namespaces/default/connectors/other/x",
    b"/v2/namespaces/default/connectors/other",
    b"/v2/%6eamespaces/default/connectors/other/x",
    b"/v2//namespaces/default/connectors/other/x",
    b"/namespaces/default/connectors/extended/x",
    b"/namespaces/default/connectors/extended@api/x",
    b"/namespaces/default/connectors/extended@api",
    b"/namespaces/default/connectors/extended%40api/x",
    b"/namespaces/default/connectors/extended@none/x",
    b"/namespaces/default/connectors/extended@/x",
    b"/namespaces/default/connectors/extended@api@api/x",
    b"/namespaces/default/connectors/tool@api/x",
    b"/v2/namespaces/default/connectors/extended@api/x",
    b"/namespaces/default/connectors/keyed/x?API_KEY=1",
    b"/?API_KEY=1;api%5Fkey=2",
    b"/?a&api_key&b",
    b"/?%41PI_KEY=1&&API+KEY=2",
]
HOSTS = [named(b"tool"), named(b"front"), named(b"keyed"), named(b"extended"), NO_HOST]


@ONE_LOOP
@pytest.mark.parametrize("host", HOSTS)
async def test_r14_targets_behind_a_known_block(stage: Stage, host: bytes) -> None:
    """Primed with a target of each form, and each of the others played behind it."""
    primes = [
        asking(target, bearer(), host=host)
        for target in (b"/x", b"/namespaces/default/connectors/tool/x", b"/v2/namespaces/default/connectors/tool/x")
    ]
    probes = [asking(target, bearer(), host=host) for target in TARGETS]
    await Same(primes, probes).check(stage, objects, CALLERS)


CHOICES = [
    b"api",
    b"none",
    b"",
    b"<tool>/api",
    b"http://<tool>/api",
    b"http://<tool>/root",
    b"http://elsewhere/",
    b"API",
]


@ONE_LOOP
@pytest.mark.parametrize("host", [named(b"extended"), NO_HOST])
async def test_r14_an_extension_is_chosen_by_each_request(stage: Stage, host: bytes) -> None:
    paths = [b"/namespaces/default/connectors/extended/x", b"/namespaces/default/connectors/extended@api/x"]
    plain = [asking(path, bearer(), host=host) for path in paths]
    choosing = [
        asking(path, bearer(), b"X-Openapi-Address: " + choice, host=host) for path in paths for choice in CHOICES
    ]
    twice = [asking(path, bearer(), b"X-Openapi-Address: api", b"X-OpenAPI-Address: api", host=host) for path in paths]
    await Same(plain, [*choosing, *plain, *twice]).check(stage, objects, CALLERS)


QUERIES = [
    b"?API_KEY=1",
    b"?API_KEY=1;api%5Fkey=2",
    b"?a=b&API_KEY=1&c",
    b"?a=b;api_key=1;c&d",
    b"?api%5fkey",
    b"?%61pi_key=1",
    b"?API_KEY",
    b"?API KEY=1",
    b"?API+KEY=1",
    b"?XAPI_KEY=1",
    b"?",
    b"??",
    b"?&&",
    b"",
]


async def test_r10_r14_owned_query_names_are_taken_out_of_each_request(stage: Stage) -> None:
    known_block = asking(b"/x", bearer(), host=named(b"keyed"))
    probes = [asking(b"/x" + query, bearer(), host=named(b"keyed")) for query in QUERIES]
    expected = await Same([known_block], probes).check(stage, objects, CALLERS)
    for request in (request for seen_ in expected for request in seen_.tool):
        names = re.split(rb"[?&;]", request.partition(b" HTTP/1.1")[0].lower())[1:]
        assert [name for name in names if name.startswith(b"api_key")] == [b"api_key=injected-key"]
