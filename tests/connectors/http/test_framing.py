from __future__ import annotations

import pytest

from connectors.http.framing import CHUNKED, NO_BODY, UNTIL_CLOSE, BodyKind, Framing, request_framing, response_framing
from connectors.http.message import Headers, MessageError, RequestHead, ResponseHead, Version
from connectors.objects.reasons import Reason

LENGTH = (b"Content-Length", b"5")
CODING = (b"Transfer-Encoding", b"chunked")
FIVE = Framing(BodyKind.LENGTH, 5)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param((), NO_BODY, id="nothing declared"),
        pytest.param((LENGTH,), FIVE, id="length"),
        pytest.param((CODING,), CHUNKED, id="chunked"),
        pytest.param(((b"transfer-ENCODING", b"CHUNKED"),), CHUNKED, id="any case"),
        pytest.param(((b"Content-Length", b"9" * 18),), Framing(BodyKind.LENGTH, 10**18 - 1), id="largest"),
    ],
)
def test_request(headers: Headers, expected: Framing) -> None:
    assert request_framing(RequestHead(b"POST", b"/", headers)) == expected


AMBIGUOUS = {
    "both": (LENGTH, CODING),
    "two lengths": (LENGTH, LENGTH),
    "list": ((b"Content-Length", b"5,5"),),
    "sign": ((b"Content-Length", b"+5"),),
    "a zero before": ((b"Content-Length", b"010"),),
    "two zeros": ((b"Content-Length", b"00"),),
    "empty": ((b"Content-Length", b""),),
    "not ASCII digits": ((b"Content-Length", "٥".encode()),),
    "superscript": ((b"Content-Length", b"\xb2"),),
    "19 digits": ((b"Content-Length", b"0" * 19),),
    "two codings": (CODING, CODING),
    "another coding": ((b"Transfer-Encoding", b"gzip, chunked"),),
    "identity": ((b"Transfer-Encoding", b"identity"),),
    "empty coding": ((b"Transfer-Encoding", b""),),
}


@pytest.mark.parametrize("headers", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_t11_what_servers_read_differently_is_refused(headers: Headers) -> None:
    with pytest.raises(MessageError) as request:
        request_framing(RequestHead(b"POST", b"/", headers))
    assert request.value.refusal.reason is Reason.REQUEST_MALFORMED
    with pytest.raises(MessageError) as response:
        response_framing(ResponseHead(200, b"", headers), b"GET")
    assert response.value.refusal.reason is Reason.UPSTREAM_PROTOCOL


def test_t11_http_1_0_has_no_codings() -> None:
    with pytest.raises(MessageError):
        request_framing(RequestHead(b"POST", b"/", (CODING,), Version.HTTP_1_0))


@pytest.mark.parametrize(
    ("status", "method", "headers", "expected"),
    [
        pytest.param(200, b"GET", (LENGTH,), FIVE, id="length"),
        pytest.param(200, b"GET", (CODING,), CHUNKED, id="chunked"),
        pytest.param(200, b"GET", (), UNTIL_CLOSE, id="until close"),
        pytest.param(200, b"HEAD", (LENGTH,), NO_BODY, id="HEAD"),
        pytest.param(200, b"HEAD", (CODING,), NO_BODY, id="HEAD chunked"),
        pytest.param(204, b"GET", (), NO_BODY, id="204"),
        pytest.param(304, b"GET", (LENGTH,), NO_BODY, id="304"),
        pytest.param(103, b"GET", (), NO_BODY, id="1xx"),
        pytest.param(205, b"POST", (), UNTIL_CLOSE, id="205"),
    ],
)
def test_response(status: int, method: bytes, headers: Headers, expected: Framing) -> None:
    assert response_framing(ResponseHead(status, b"", headers), method) == expected
