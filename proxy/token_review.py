"""Whose a token is, asked of the API server (TokenReview, authentication.k8s.io/v1)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec
from msgspec import Struct

from connectors.kube.access_review import Api, ask
from connectors.kube.resources import TOKEN_REVIEWS
from connectors.objects.user import User


class _Status(Struct, frozen=True):
    authenticated: bool = False
    user: User = User()
    audiences: tuple[str, ...] | None = ()


class _Review(Struct, frozen=True):
    status: _Status = _Status()


_REVIEW = msgspec.json.Decoder(_Review)


async def whose(api: Api, token: bytes, audiences: Collection[str]) -> User | None:
    """Whose token it is, None where the API server does not accept it. `token` is ASCII.

    `audiences`: of which it must have one; none means the API server's own, whatever that is called.

    Raises:
        KubeError: there is no answer: UnavailableError where one may come later, else this program may not ask.
    """
    status = (await ask(api, TOKEN_REVIEWS, token_review(token, audiences), _REVIEW)).status
    # An authenticator that knows no audiences leaves them out, and has then not looked at them (threat 8;
    # Kubernetes API reference, TokenReviewStatus.audiences).
    confirmed = not audiences or not set(audiences).isdisjoint(status.audiences or ())
    return status.user if status.authenticated and confirmed and status.user.username else None


def token_review(token: bytes, audiences: Collection[str]) -> dict[str, Any]:
    """The body of the question."""
    spec: dict[str, Any] = {"token": token.decode("ascii")}
    if audiences:
        spec["audiences"] = sorted(audiences)
    return {"apiVersion": TOKEN_REVIEWS.api_version, "kind": TOKEN_REVIEWS.kind, "spec": spec}
