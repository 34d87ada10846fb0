from __future__ import annotations

from typing import Any

import pytest

from connectors.kube.access_review import ResourceAction, access_review, may
from connectors.kube.errors import ConnectionLostError, UnreadableError
from connectors.kube.resources import CONNECTORS, SECRETS, SUBJECT_ACCESS_REVIEWS, Resource
from connectors.objects.user import User

JANE = User("jane", "1", ("dev", "ops"), {"k": ("a", "b")})


class Api:
    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.asked: list[dict[str, Any]] = []

    async def create(self, resource: Resource, body: dict[str, Any], namespace: str = "") -> bytes:
        assert (resource, namespace) == (SUBJECT_ACCESS_REVIEWS, "")
        self.asked.append(body)
        return self.answer


def test_the_question_names_all_of_the_user_and_of_the_action() -> None:
    body = access_review(JANE, ResourceAction("*", CONNECTORS, "team", "git", "proxy"))
    assert body == {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": "jane",
            "uid": "1",
            "groups": ["dev", "ops"],
            "extra": {"k": ["a", "b"]},
            "resourceAttributes": {
                "verb": "*",
                "group": "connectors.alauda.io",
                "version": "v1alpha1",
                "resource": "connectors",
                "subresource": "proxy",
                "namespace": "team",
                "name": "git",
            },
        },
    }


def test_the_core_group_and_no_subresource_are_left_out() -> None:
    attributes = access_review(User("a"), ResourceAction("get", SECRETS, "team", "login"))["spec"]["resourceAttributes"]
    assert attributes == {"verb": "get", "version": "v1", "resource": "secrets", "namespace": "team", "name": "login"}


@pytest.mark.parametrize(
    ("answer", "allowed"),
    [
        (b'{"status": {"allowed": true}}', True),
        (b'{"status": {"allowed": true, "evaluationError": "one of two roles is missing"}}', True),
        (b'{"status": {"allowed": true, "denied": true}}', False),
        (b'{"status": {"allowed": false}}', False),
        (b'{"status": {}}', False),
        (b"{}", False),
    ],
)
async def test_unclear_means_no(answer: bytes, allowed: bool) -> None:
    assert await may(Api(answer), JANE, ResourceAction("get", SECRETS, "team", "login")) is allowed


@pytest.mark.parametrize("answer", [b"", b"[]", b'{"status": {"allowed": "yes"}}', b"\xff"])
async def test_what_is_no_answer_is_none(answer: bytes) -> None:
    with pytest.raises(UnreadableError):
        await may(Api(answer), JANE, ResourceAction("get", SECRETS, "team", "login"))


DEEP = b'{"status": {"allowed": true, "x": ' + b"[" * 5000 + b"]" * 5000 + b"}}"


async def test_an_answer_of_any_depth_is_taken() -> None:
    assert await may(Api(DEEP), JANE, ResourceAction("get", SECRETS, "team", "login"))


class Flaky:
    """Loses the connection `times` times."""

    def __init__(self, times: int) -> None:
        self.times = times

    async def create(self, resource: Resource, body: dict[str, Any], namespace: str = "") -> bytes:
        self.times -= 1
        if self.times >= 0:
            raise ConnectionLostError("gone")
        return b'{"status": {"allowed": true}}'


async def test_a_question_is_repeated_once_where_the_connection_was_lost() -> None:
    assert await may(Flaky(1), JANE, ResourceAction("get", SECRETS, "team", "login"))
    with pytest.raises(ConnectionLostError):
        await may(Flaky(2), JANE, ResourceAction("get", SECRETS, "team", "login"))
