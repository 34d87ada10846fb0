"""An API server that only answers reviews: whose a token is, and what its owner may use."""

from __future__ import annotations

import json
from typing import Any

from connectors.kube.resources import TOKEN_REVIEWS, Resource

NAMESPACE = "default"


class Reviewer:
    """Stands where a KubeClient would. All of it may be changed at any time.

    `users`: token -> ServiceAccount of namespace `default`. `denied`: (ServiceAccount, Connector) that may not be used;
    every other may. `failure` is raised instead of an answer. `questions` are those asked: "token" or "access", and
    the token or the Connector.
    """

    def __init__(self, **users: str) -> None:
        """`users`: ServiceAccount -> token."""
        self.users = {token: name for name, token in users.items()}
        self.denied: set[tuple[str, str]] = set()
        self.failure: Exception | None = None
        self.questions: list[tuple[str, str]] = []

    async def create(self, resource: Resource, body: dict[str, Any], namespace: str = "") -> bytes:
        """See connectors/kube/access_review.py."""
        return json.dumps(self.answer(body)).encode()

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        """The review with its status."""
        spec = body["spec"]
        if body["kind"] == TOKEN_REVIEWS.kind:
            return {**body, "status": self._whose(spec["token"], spec.get("audiences", []))}
        return {**body, "status": self._may(spec["user"], spec["resourceAttributes"]["name"])}

    def _whose(self, token: str, audiences: list[str]) -> dict[str, Any]:
        self._asked("token", token)
        name = self.users.get(token)
        if name is None:
            return {"authenticated": False}
        user = {"username": f"system:serviceaccount:{NAMESPACE}:{name}", "uid": f"uid-of-{name}"}
        return {"authenticated": True, "user": user, "audiences": audiences}

    def _may(self, username: str, connector: str) -> dict[str, Any]:
        self._asked("access", connector)
        return {"allowed": (username.rpartition(":")[2], connector) not in self.denied}

    def _asked(self, kind: str, about: str) -> None:
        self.questions.append((kind, about))
        if self.failure is not None:
            raise self.failure
