from __future__ import annotations

import json
from typing import Any

import pytest

from connectors.kube.errors import UnreadableError
from connectors.kube.resources import TOKEN_REVIEWS, Resource
from connectors.objects.user import User
from proxy.callers.kubernetes import review_token

USER = {"username": "system:serviceaccount:team:builder", "uid": "1", "groups": ["a"], "extra": {"k": ["v"]}}
BUILDER = User("system:serviceaccount:team:builder", "1", ("a",), {"k": ("v",)})


class Api:
    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.specs: list[dict[str, Any]] = []

    async def create(self, resource: Resource, body: dict[str, Any], namespace: str = "") -> bytes:
        assert (resource, namespace) == (TOKEN_REVIEWS, "")
        assert (body["apiVersion"], body["kind"]) == ("authentication.k8s.io/v1", "TokenReview")
        assert body["spec"]["token"] == "abc"
        self.specs.append(body["spec"])
        return self.answer


def status(**fields: Any) -> bytes:
    return json.dumps({"kind": "TokenReview", "status": fields}).encode()


@pytest.mark.parametrize(
    ("answer", "audiences", "user"),
    [
        pytest.param(status(authenticated=True, user=USER), (), BUILDER, id="of the API server's own audience"),
        pytest.param(status(authenticated=True, user=USER, audiences=["x"]), (), BUILDER, id="whatever that is"),
        pytest.param(status(authenticated=True, user=USER, audiences=["url"]), ("url", "b"), BUILDER, id="one of ours"),
        pytest.param(status(authenticated=True, user=USER, audiences=["x"]), ("url",), None, id="t08 another one"),
        pytest.param(
            status(authenticated=True, user=USER), ("url",), None, id="t08 an authenticator without audiences"
        ),
        pytest.param(status(authenticated=True, user=USER, audiences=None), ("url",), None, id="t08 null"),
        pytest.param(status(authenticated=False, user=USER), (), None, id="not valid"),
        pytest.param(status(error="expired", user={}), (), None, id="an error"),
        pytest.param(status(authenticated=True, user={}), (), None, id="of nobody"),
        pytest.param(b"{}", (), None, id="empty"),
    ],
)
async def test_whose_a_token_is(answer: bytes, audiences: tuple[str, ...], user: User | None) -> None:
    assert await review_token(Api(answer), b"abc", audiences) == user


@pytest.mark.parametrize("answer", [b"", b"[]", b'{"status": {"authenticated": "yes"}}', b"\xff"])
async def test_what_is_no_answer_is_none(answer: bytes) -> None:
    with pytest.raises(UnreadableError):
        await review_token(Api(answer), b"abc", ())


async def test_t08_the_question_names_the_audiences() -> None:
    api = Api(b"{}")
    for audiences in (("b", "a"), ()):
        await review_token(api, b"abc", audiences)
    assert api.specs == [{"token": "abc", "audiences": ["a", "b"]}, {"token": "abc"}]
