"""Places in fields, and tokens in queries: what is known of a block says of them what a fresh decision does."""

from __future__ import annotations

from base64 import b64encode

import pytest

from tests.proxy.transcripts.remembering.requests import CALLERS, NO_HOST, TOKEN, asking, bearer, named, objects
from tests.proxy.transcripts.remembering.scene import ONE_LOOP, Same, Stage

FORM = b"/namespaces/default/connectors/"
PATHS = [
    b"/x",
    b"/x?y=z",
    FORM + b"other/x",
    FORM + b"extended@api/x",
    FORM + b"tool",
    b"/v2" + FORM + b"other/x",
    b"/",
]
FIELDS = [
    b"Destination: /y",
    b"Destination: " + FORM + b"other/y",
    b"Destination: http://<host>" + FORM + b"other/y",
    b"Destination: http://<host>/y",
    b"Destination: http://<tool>/pre/y",
    b"Destination: /../y",
    b"If: <" + FORM + b"extended@api/y> (<urn:x>)",
    b"Referer: http://<host>" + FORM + b"other/y",
    b"Origin: http://<host>",
    b"X-Amz-Copy-Source: pre/y",
    b"X-Original-URL: /y",
    b"X-HTTP-Method-Override: TRACE",
    b"X-HTTP-Method-Override: PATCH",
]


@ONE_LOOP
@pytest.mark.parametrize("host", [named(b"other"), named(b"tool"), NO_HOST])
@pytest.mark.parametrize("field", FIELDS)
async def test_r03_r14_t37_a_place_is_that_of_each_requests_own_prefix(stage: Stage, host: bytes, field: bytes) -> None:
    """Primed behind each path, and played behind each: only the prefix that named the Connector decides."""
    both = [asking(path, bearer(), field.replace(b"<host>", host), host=host) for path in PATHS]
    expected = await Same(both, both).check(stage, objects, CALLERS)
    for request in (request for seen_ in expected for request in seen_.tool):
        assert b"TRACE" not in request
        assert b"/../" not in request
        assert b"\r\nDestination: http://" + host not in request
        if b" /pre/" in request:
            assert b"X-Original-URL" not in request
            assert b"\r\nDestination: /y\r\n" not in request


QUERIES = [
    b"",
    b"?a=b",
    b"?access_token=" + TOKEN,
    b"?a&t=" + TOKEN + b"&b=c",
    b"?t=" + b64encode(b"any:" + TOKEN).rstrip(b"=") + b";u=v",
    b"?t=" + TOKEN[:-1] + b"%65",
    b"?t=" + TOKEN[:-1] + b"x",
    b"?" + b"long=" * 20,
]


@ONE_LOOP
@pytest.mark.parametrize("name", [b"tool", b"keyed"])
async def test_r10_r14_t39_a_callers_token_is_taken_out_of_each_query(stage: Stage, name: bytes) -> None:
    known = asking(b"/x?a", bearer(), host=named(name))
    probes = [asking(b"/x" + query, bearer(), host=named(name)) for query in QUERIES]
    expected = await Same([known], probes).check(stage, objects, CALLERS)
    for request in (request for seen_ in expected for request in seen_.tool):
        line = request.partition(b" HTTP/1.1")[0]
        assert TOKEN not in line
        assert b64encode(b"any:" + TOKEN)[6:-6] not in line
        assert b"%65" not in line
