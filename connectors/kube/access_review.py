"""May a user do something: SubjectAccessReview (authorization.k8s.io/v1), asked of the API server."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, TypeVar

import msgspec
from msgspec import Struct

from connectors.kube.errors import ConnectionLostError, UnreadableError
from connectors.kube.nesting import decode
from connectors.kube.resources import SUBJECT_ACCESS_REVIEWS, Resource
from connectors.objects.user import User

T = TypeVar("T")


class Api(Protocol):
    """The part of KubeClient that is needed."""

    async def create(self, resource: Resource, body: dict[str, Any], namespace: str = "") -> bytes:
        """POST; returns the answer's body."""


class ResourceAction(NamedTuple):
    """What somebody wants to do to one object, in RBAC's words."""

    verb: str
    resource: Resource
    namespace: str
    name: str
    subresource: str = ""


class _AccessReviewStatus(Struct, frozen=True):
    allowed: bool = False
    denied: bool = False


class _AccessReview(Struct, frozen=True):
    status: _AccessReviewStatus = _AccessReviewStatus()


_ACCESS_REVIEW = msgspec.json.Decoder(_AccessReview)


async def may(api: Api, user: User, action: ResourceAction) -> bool:
    """Whether `user` may do it. What the API server does not say clearly counts as no.

    Raises:
        KubeError: there is no answer: UnavailableError where one may come later, else this program may not ask.
    """
    status = (await ask(api, SUBJECT_ACCESS_REVIEWS, access_review(user, action), _ACCESS_REVIEW)).status
    return status.allowed and not status.denied


async def ask(api: Api, resource: Resource, body: dict[str, Any], answer: msgspec.json.Decoder[T]) -> T:
    """Ask a question, and once more if the connection was lost: a question changes nothing, and a kept one may end.

    Raises:
        KubeError: no answer came; UnreadableError if something else came, which is not quoted: it may repeat the
            question, and with it a token.
    """
    try:
        raw = await api.create(resource, body)
    except ConnectionLostError:
        raw = await api.create(resource, body)
    try:
        return decode(raw, answer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise UnreadableError("the API server's answer to a review is none") from None


def access_review(user: User, action: ResourceAction) -> dict[str, Any]:
    """The body of the question."""
    attributes = {
        "verb": action.verb,
        "group": action.resource.group,
        "version": action.resource.version,
        "resource": action.resource.plural,
        "subresource": action.subresource,
        "namespace": action.namespace,
        "name": action.name,
    }
    return {
        "apiVersion": SUBJECT_ACCESS_REVIEWS.api_version,
        "kind": SUBJECT_ACCESS_REVIEWS.kind,
        "spec": {
            "user": user.username,
            "uid": user.uid,
            "groups": list(user.groups or ()),
            "extra": {key: list(values or ()) for key, values in (user.extra or {}).items()},
            "resourceAttributes": {key: value for key, value in attributes.items() if value},
        },
    }
