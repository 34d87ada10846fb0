from __future__ import annotations

import h11
import msgspec
import pytest

from connectors.objects.reasons import Reason, Refusal
from proxy.refusals import Answered, refusal_response
from tests.connectors.objects.test_reasons import BEYOND, CONTRACT


def parse(raw: bytes, method: str = "GET") -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    client.send(h11.EndOfMessage())
    client.receive_data(raw)
    response, body = client.next_event(), b""
    assert isinstance(response, h11.Response)
    while isinstance(event := client.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    return response.status_code, list(response.headers), body


@pytest.mark.parametrize("reason", Reason, ids=lambda reason: reason.value)
def test_each_reason_has_its_answer(reason: Reason) -> None:
    status, headers, body = parse(refusal_response(Refusal(reason, "a sentence with ü"), 0.0, Answered("id-1")))
    fields = dict(headers)
    assert status == (CONTRACT | BEYOND)[reason.value]
    assert fields[b"x-connectors-reason"] == reason.value.encode()
    assert fields[b"content-type"] == b"application/json"
    assert fields[b"cache-control"] == b"no-store"
    assert fields[b"date"] == b"Thu, 01 Jan 1970 00:00:00 GMT"
    assert fields[b"x-request-id"] == b"id-1"
    assert fields[b"connection"] == b"close"
    assert msgspec.json.decode(body) == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "a sentence with ü",
        "reason": reason.value,
        "code": status,
    }
    challenges = [value for name, value in headers if name == b"www-authenticate"]
    asked = [b'Basic realm="connectors"', b'Bearer realm="connectors"']
    assert challenges == (asked if reason is Reason.UNAUTHENTICATED else [])
    assert (b"retry-after" in fields) is (reason is Reason.TOO_MANY_REQUESTS)


def test_head_gets_the_length_without_the_body() -> None:
    refusal = Refusal(Reason.FORBIDDEN, "no")
    whole = refusal_response(refusal, 0.0, Answered("id"))
    head = refusal_response(refusal, 0.0, Answered("id", with_body=False))
    assert whole.startswith(head)
    assert parse(head, "HEAD")[2] == b""


def test_a_connection_may_stay() -> None:
    _, headers, _ = parse(refusal_response(Refusal(Reason.FORBIDDEN, "no"), 0.0, Answered("id", keep=True)))
    assert b"connection" not in dict(headers)


def test_a_refused_method_is_told_which_ones_are_taken() -> None:
    _, headers, _ = parse(refusal_response(Refusal(Reason.METHOD_NOT_ALLOWED, "no"), 0.0, Answered("id")))
    assert dict(headers)[b"allow"] == b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"


@pytest.mark.parametrize(
    ("target", "bearer"),
    [
        (b"/v2/", False),
        (b"/v2/library/x/manifests/1", False),
        (b"/v2/namespaces/a/connectors/b/x/manifests/1", False),
        (b"/v2", True),
        (b"/v20/", True),
        (b"/x/v2/", True),
        (b"", True),
    ],
)
def test_a_registrys_client_is_asked_for_basic_alone(target: bytes, bearer: bool) -> None:
    _, headers, _ = parse(refusal_response(Refusal(Reason.UNAUTHENTICATED, "no"), 0.0, Answered("id", target)))
    basic = [b'Basic realm="connectors"']
    challenges = [value for name, value in headers if name == b"www-authenticate"]
    assert challenges == ([*basic, b'Bearer realm="connectors"'] if bearer else basic)


def test_a_browser_gets_a_page() -> None:
    answer = refusal_response(Refusal(Reason.FORBIDDEN, "a <sentence> with ü"), 0.0, Answered("id", page=True))
    status, headers, body = parse(answer)
    assert (status, dict(headers)[b"content-type"]) == (403, b"text/html; charset=utf-8")
    assert dict(headers)[b"x-connectors-reason"] == b"Forbidden"
    assert "<h1>403 Forbidden</h1><p>a &lt;sentence&gt; with ü</p>" in body.decode()
