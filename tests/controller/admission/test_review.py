from __future__ import annotations

import json
import time
from http import HTTPStatus
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.objects.user import User
from connectors.objects.violation import Violation
from connectors.sources.api_objects import MAX_SPEC
from controller.admission.review import (
    LONGEST_CUT,
    ClassReview,
    ConnectorReview,
    Operation,
    ReviewError,
    decode_review,
    encode_answer,
)
from controller.admission.verdict import Denial, ReviewVerdict
from tests.controller.admission.reviews import body, connector, connector_class, review


def test_a_connector() -> None:
    found = decode_review(body(connector(), connector(address="https://other.example")))
    assert isinstance(found, ConnectorReview)
    assert (found.head.uid, found.head.operation) == ("u-1", Operation.UPDATE)
    assert found.head.user == User("jane", "7", ("team", "system:authenticated"), {"key": ("a",)})
    assert found.new is not None
    assert found.old is not None
    assert found.new.item.spec.address == "https://tool.example"
    assert found.old.item.spec.address == "https://other.example"
    assert not found.same_spec


def test_a_class() -> None:
    found = decode_review(body(None, connector_class()))
    assert isinstance(found, ClassReview)
    assert (found.head.operation, found.new) == (Operation.DELETE, None)
    assert found.old is not None
    assert found.old.item.metadata.name == "git"


def test_t07_the_namespace_is_that_of_the_request() -> None:
    found = decode_review(body(connector(metadata={"namespace": "other"})))
    assert isinstance(found, ConnectorReview)
    assert found.new is not None
    assert found.new.item.metadata.namespace == "team"


@pytest.mark.parametrize(
    ("new", "old", "same"),
    [
        pytest.param(connector(), connector(metadata={"labels": {"a": "b"}}), True, id="a label"),
        pytest.param(connector(auth=None), connector(), True, id="null is nothing"),
        pytest.param(connector(), connector(address="https://b"), False, id="the address"),
        pytest.param(connector(address=1), connector(address=1), True, id="the same that cannot be read"),
        pytest.param(connector(address=1), connector(address=2), False, id="another that cannot be read"),
        pytest.param(connector(address=1), {**connector(), "spec": {}}, False, id="what cannot be read is not empty"),
        pytest.param({**connector(), "spec": {}}, connector(address=1), False, id="nor is what could not be read"),
        pytest.param(
            connector(address="a" * MAX_SPEC), connector(address="b" * MAX_SPEC), False, id="too large to be looked at"
        ),
        pytest.param(connector(), None, False, id="created"),
        pytest.param(None, connector(), False, id="deleted"),
        pytest.param(
            connector_class(), connector_class(metadata={"annotations": {"a": "b"}}), True, id="an annotation"
        ),
        pytest.param(
            connector_class(),
            connector_class(metadata={"annotations": {"connectors.cpaas.io/proxy-resolver": "path"}}),
            False,
            id="the resolver",
        ),
        pytest.param(connector(), connector(metadata={"annotations": {"a": "b"}}), True, id="a Connector's annotation"),
        pytest.param(
            connector(),
            connector(metadata={"annotations": {"connectors.cpaas.io/max-requests": "5"}}),
            False,
            id="a Connector's limit",
        ),
        pytest.param(connector_class(), connector_class(proxy={}), False, id="the class's spec"),
    ],
)
def test_whether_the_spec_is_the_same(new: Any, old: Any, same: bool) -> None:
    assert decode_review(body(new, old)).same_spec is same


def test_what_is_let_through() -> None:
    deleting = connector(metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})
    assert decode_review(body(deleting, connector(address="https://b"))).let_through
    assert decode_review(body(connector(), connector())).let_through
    assert not decode_review(body(connector(), connector(address="https://b"))).let_through
    assert not decode_review(body(None, connector())).let_through


def without(name: str) -> Any:
    found = review(connector())
    del found["request"][name]
    return found


MALFORMED: list[Any] = [
    b"",
    b"null",
    b"[]",
    b"{}",
    b"\xff",
    b'{"kind": "\xff"}',
    body(connector()).replace(b"https://tool.example", b"https://\xff"),
    body(connector()).replace(b'"tool"', b'"\xff"'),
    b'{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}',
    {**review(connector()), "apiVersion": "admission.k8s.io/v1beta1"},
    {**review(connector()), "kind": "Review"},
    {**review(connector()), "request": None},
    review(connector(), uid=""),
    review(connector(), operation="CONNECT"),
    review(connector(), operation="UPDATE"),
    review(connector(), operation="DELETE"),
    review(connector(), connector(), operation="CREATE"),
    review(connector(), resource={"group": "other.example", "resource": "connectors"}),
    review(connector(), resource={"group": "connectors.alauda.io", "resource": "others"}),
    review(connector(), subResource="status"),
    review(connector(), userInfo="jane"),
    review(connector(), userInfo={"username": 1}),
    {**review(connector()), "request": {**review(connector())["request"], "object": "text"}},
    {**review(connector()), "request": {**review(connector())["request"], "object": {"metadata": []}}},
    without("uid"),
    review(connector(), uid="u" * 257),
    without("object"),
]


@pytest.mark.parametrize("sent", MALFORMED)
def test_what_is_no_question(sent: Any) -> None:
    raw = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
    with pytest.raises(ReviewError) as caught:
        decode_review(raw)
    assert "jane" not in str(caught.value)


@pytest.mark.parametrize("depth", [100, 10_000, LONGEST_CUT // 2 - 1_000])
def test_any_depth_is_taken(depth: int) -> None:
    deep = "[" * depth + "]" * depth
    raw = json.dumps(review(connector(params="DEEP"))).replace('"DEEP"', deep).encode()
    found = decode_review(raw)
    assert isinstance(found, ConnectorReview)
    assert found.new is not None


def test_what_is_both_long_and_deep_is_not_even_cut() -> None:
    deep = "[" * 4_000_000 + "]" * 4_000_000
    raw = json.dumps(review(connector(params="DEEP"))).replace('"DEEP"', deep).encode()
    begun = time.thread_time()
    with pytest.raises(ReviewError, match="nested too deeply"):
        decode_review(raw)
    assert time.thread_time() - begun < 0.05, "CPU seconds, which nobody else on the machine can take"
    with pytest.raises(ReviewError):
        decode_review(b'{"x":' + b"[" * 8_000_000)


@pytest.mark.parametrize("depth", [100, 10_000, 200_000])
@pytest.mark.parametrize("place", ["uid", "userInfo", "object", "oldObject", "options"])
def test_any_depth_in_any_place_is_a_question_or_none(place: str, depth: int) -> None:
    for deep in ("[" * depth + "]" * depth, '{"metadata":' * depth + "1" + "}" * depth):
        sent = review(connector())
        sent["request"][place] = "DEEP"
        outcome(json.dumps(sent).replace('"DEEP"', deep).encode())


def outcome(raw: bytes) -> None:
    """A question or a ReviewError, and an answer to whatever is a question."""
    try:
        found = decode_review(raw)
    except ReviewError:
        return
    json.loads(encode_answer(found, ReviewVerdict()))


@given(st.binary())
def test_any_bytes(raw: bytes) -> None:
    outcome(raw)


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
PLACES = [
    ("request",),
    ("request", "object"),
    ("request", "oldObject"),
    ("request", "userInfo"),
    ("request", "object", "metadata"),
    ("request", "object", "metadata", "annotations"),
    ("request", "object", "spec"),
    ("request", "object", "spec", "auth"),
    ("request", "object", "spec", "params"),
    ("request", "object", "status"),
]


@given(st.sampled_from(PLACES), JSONS, st.sampled_from([connector(), connector_class()]))
def test_any_json_in_any_place(place: tuple[str, ...], value: Any, shown: Any) -> None:
    found = json.loads(body(shown))
    inner = found
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    outcome(json.dumps(found).encode())


def test_a_yes() -> None:
    answer = json.loads(encode_answer(decode_review(body(connector())), ReviewVerdict(warnings=("mind this",))))
    assert answer == {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {"uid": "u-1", "allowed": True, "warnings": ["mind this"]},
    }


def test_a_no_is_a_status_with_its_causes() -> None:
    cause = Violation("spec.address", "is missing")
    denial = Denial(HTTPStatus.UNPROCESSABLE_ENTITY, "Invalid", "spec.address: is missing", (cause,))
    response = json.loads(encode_answer(decode_review(body(connector())), ReviewVerdict(denial)))["response"]
    assert response["allowed"] is False
    assert "warnings" not in response
    status = response["status"]
    assert (status["status"], status["code"], status["reason"]) == ("Failure", 422, "Invalid")
    assert status["message"] == "spec.address: is missing"
    assert status["details"] == {
        "name": "tool",
        "group": "connectors.alauda.io",
        "kind": "Connector",
        "causes": [{"reason": "FieldValueInvalid", "field": "spec.address", "message": "is missing"}],
    }


def test_a_no_about_a_class_names_it() -> None:
    denial = Denial(HTTPStatus.UNPROCESSABLE_ENTITY, "Invalid", "m")
    answer = json.loads(encode_answer(decode_review(body(connector_class())), ReviewVerdict(denial)))
    assert answer["response"]["status"]["details"]["kind"] == "ConnectorClass"
    assert answer["response"]["status"]["details"]["name"] == "git"
