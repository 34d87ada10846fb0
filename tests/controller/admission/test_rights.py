"""Threat 7: the confused deputy."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.objects.secret import SecretKey
from connectors.objects.user import User
from controller.admission.review import ConnectorReview, decode_review
from controller.admission.rights import AccessAnswer, Question, denial_of, questions
from controller.admission.verdict import MAX_NAME
from tests.controller.admission.reviews import Json, body, connector

LOGIN = {"name": "basicAuth", "secretRef": {"name": "login"}}
FULL: dict[str, Any] = {
    "auth": LOGIN,
    "caCertSecretRef": {"name": "ca"},
    "addressExtensions": [{"name": "api", "value": "https://api.example"}],
    "params": [{"name": "a", "value": "b"}],
}
BOTH = (
    Question("spec.auth.secretRef.name", SecretKey("team", "login")),
    Question("spec.caCertSecretRef.name", SecretKey("team", "ca")),
)
LAB = {"annotations": {"connectors.cpaas.io/upstream-proxy": "lab"}}
NO_PROXY = {"annotations": {"connectors.cpaas.io/upstream-proxy": "none"}}
DELETED = {"deletionTimestamp": "2026-01-01T00:00:00Z"}
JANE = User("jane", "7", ("team",), {"authentication.kubernetes.io/credential-id": ("JTI=secret",)})


def asked(new: Json | None, old: Json | None = None) -> tuple[Question, ...]:
    review = decode_review(body(new, old))
    assert isinstance(review, ConnectorReview)
    return questions(review)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, ()),
        ({"auth": {"name": "basicAuth"}}, ()),
        ({"auth": LOGIN}, BOTH[:1]),
        ({"caCertSecretRef": {"name": "ca"}}, BOTH[1:]),
        (FULL, BOTH),
        ({"auth": {**LOGIN, "secretRef": {"name": "login", "namespace": "other"}}}, BOTH[:1]),
    ],
)
def test_t07_a_new_connector_asks_for_each_secret_it_names(spec: Json, expected: tuple[Question, ...]) -> None:
    assert asked(connector(**spec)) == expected


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"address": "https://evil.example"}, id="address"),
        pytest.param({"address": "https://tool.example/"}, id="address, be it by a slash"),
        pytest.param({"addressExtensions": [{"name": "api", "value": "https://evil.example"}]}, id="extension"),
        pytest.param({"addressExtensions": []}, id="extension left out"),
        pytest.param({"connectorClassName": "other"}, id="class"),
        pytest.param({"caCertSecretRef": {"name": "ca"}, "auth": {**LOGIN, "name": "other"}}, id="type"),
        pytest.param({"auth": {**LOGIN, "secretRef": {"name": "login", "namespace": "team"}}}, id="reference"),
    ],
)
def test_t07_a_change_of_where_a_secret_goes_asks_again(change: Json) -> None:
    assert asked(connector(**{**FULL, **change}), connector(**FULL)) == BOTH


@pytest.mark.parametrize(
    ("before", "now"), [({}, LAB), (LAB, {}), (LAB, NO_PROXY), ({}, NO_PROXY)], ids=["new", "gone", "none", "direct"]
)
def test_t07_a_change_of_the_way_there_asks_like_one_of_the_address(before: Json, now: Json) -> None:
    # An upstream proxy sees what goes to an http tool, the Secret in it.
    assert asked(connector(**FULL, metadata=now), connector(**FULL, metadata=before)) == BOTH
    assert asked(connector(**FULL, metadata=now), connector(**FULL, metadata=now)) == ()


def test_t07_another_secret_is_asked_for_by_its_name() -> None:
    other = {**FULL, "auth": {**LOGIN, "secretRef": {"name": "other"}}, "caCertSecretRef": {"name": "other-ca"}}
    found = asked(connector(**other), connector(**FULL))
    assert [item.secret.name for item in found] == ["other", "other-ca"]


@pytest.mark.parametrize(
    ("authority", "expected"),
    [
        pytest.param({"name": "other-ca"}, [SecretKey("team", "login"), SecretKey("team", "other-ca")], id="another"),
        pytest.param(None, [SecretKey("team", "login")], id="none any more"),
    ],
)
def test_t07_a_change_of_the_ca_alone_asks_again(authority: Json | None, expected: list[SecretKey]) -> None:
    """Who chooses whose certificates are believed chooses who gets the credential."""
    found = asked(connector(**{**FULL, "caCertSecretRef": authority}), connector(**FULL))
    assert [item.secret for item in found] == expected


def test_t07_a_ca_where_there_was_none_asks_again() -> None:
    before = {name: value for name, value in FULL.items() if name != "caCertSecretRef"}
    assert asked(connector(**FULL), connector(**before)) == BOTH


@pytest.mark.parametrize(
    ("new", "old"),
    [
        pytest.param(connector(**FULL, metadata={"labels": {"a": "b"}}), connector(**FULL), id="label"),
        pytest.param(connector(**{**FULL, "params": []}), connector(**FULL), id="parameters"),
        pytest.param(
            connector(**{**FULL, "auth": {**LOGIN, "params": [{"name": "a", "value": "b"}]}}), connector(**FULL),
            id="parameters of the check",
        ),
        pytest.param(None, connector(**FULL), id="deleted"),
        pytest.param(connector(address=1, auth=LOGIN), connector(), id="what cannot be read refers to nothing"),
    ],
)  # fmt: skip
def test_t07_what_leaves_secrets_where_they_go_asks_nothing(new: Json | None, old: Json) -> None:
    assert asked(new, old) == ()


def test_t07_what_is_being_deleted_is_asked_about_too() -> None:
    new = connector(**{**FULL, "address": "https://evil.example"}, metadata=DELETED)
    assert asked(new, connector(**FULL, metadata=DELETED)) == BOTH
    assert asked(connector(**FULL, metadata=DELETED), connector(**FULL, metadata=DELETED)) == ()


def test_t07_what_could_not_be_read_before_is_asked_about() -> None:
    assert asked(connector(**FULL), {**connector(), "spec": {"address": 1}}) == BOTH


def test_yes_to_everything() -> None:
    assert denial_of(JANE, [AccessAnswer(question, True) for question in BOTH]) is None
    assert denial_of(JANE, []) is None


def test_t07_a_no_names_field_user_secret_and_what_to_do() -> None:
    denial = denial_of(JANE, [AccessAnswer(BOTH[0], False), AccessAnswer(BOTH[1], True)])
    assert denial is not None
    assert (denial.code, denial.reason) == (403, "Forbidden")
    assert denial.message == (
        'spec.auth.secretRef.name: user "jane" may not get secrets "login" in namespace "team";'
        " whoever connects a Secret to an address must be allowed to read it"
    )


def test_t07_nobody_said_is_a_no() -> None:
    denial = denial_of(JANE, [AccessAnswer(BOTH[0], True), AccessAnswer(BOTH[1], None, "no route")])
    assert denial is not None
    assert (denial.code, denial.reason) == (503, "ServiceUnavailable")
    assert denial.message == (
        'spec.caCertSecretRef.name: nobody could say whether user "jane" may get secrets "ca" in namespace "team":'
        " no route; try again"
    )


def test_a_clear_no_counts_more_than_an_unclear_one() -> None:
    denial = denial_of(JANE, [AccessAnswer(BOTH[0], None, "no route"), AccessAnswer(BOTH[1], False)])
    assert denial is not None
    assert denial.code == 403


def test_t14_a_refusal_holds_nothing_of_the_user_but_the_name() -> None:
    for allowed in (None, False):
        denial = denial_of(JANE, [AccessAnswer(BOTH[0], allowed, "p")])
        assert denial is not None
        assert "JTI" not in repr(denial)


@pytest.mark.parametrize("allowed", [None, False])
def test_a_name_of_any_length_makes_no_message_of_that_length(allowed: bool | None) -> None:
    user, question = User("j" * 2_000_000), Question("spec.auth.secretRef.name", SecretKey("n" * 500, "s" * 500))
    denial = denial_of(user, [AccessAnswer(question, allowed, "p")])
    assert denial is not None
    assert len(denial.message) < 1_200
    for letter in "jns":
        assert f'"{letter * (MAX_NAME - 1)}…"' in denial.message
    denial = denial_of(User("j" * MAX_NAME), [AccessAnswer(question, allowed, "p")])
    assert denial is not None
    assert f'"{"j" * MAX_NAME}"' in denial.message
