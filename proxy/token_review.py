"""Whose a ServiceAccount's token is, asked of the API server (TokenReview, authentication.k8s.io/v1) and remembered."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import OrderedDict
from typing import Any, NamedTuple, Protocol

import msgspec
from msgspec import Struct

from connectors.kube.errors import KubeError
from connectors.kube.resources import TOKEN_REVIEWS, Resource
from connectors.process.clock import Clock
from proxy.decision import Caller, UnreviewedError

logger = logging.getLogger("connectors.identity")

REMEMBERED = 10.0
"""Seconds that an answer counts. A token that is revoked works for that much longer."""
MAX_REMEMBERED = 10_000
"""Answers; the oldest go first. A flood of made-up tokens costs memory for these, about 3 MiB, and no more."""
MAX_TOKEN = 16 * 1024
"""Bytes. A token with many audiences has 2 KiB; a longer text is none, and no request is spent on it."""
_SERVICE_ACCOUNT = "system:serviceaccount:"


class Api(Protocol):
    """What of KubeClient is needed."""

    async def create(self, resource: Resource, body: dict[str, Any], namespace: str = "") -> bytes:
        """POST; returns the answer's body."""


class _User(Struct, frozen=True):
    username: str = ""


class _Status(Struct, frozen=True):
    authenticated: bool = False
    user: _User = _User()


class _Review(Struct, frozen=True):
    status: _Status = _Status()


class _Answer(NamedTuple):
    caller: Caller | None
    until: float


class TokenReviewer:
    """Asks once for many requests with one token; keeps digests, never tokens."""

    def __init__(self, api: Api, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._answers: OrderedDict[bytes, _Answer] = OrderedDict()
        self._running: dict[bytes, asyncio.Task[Caller | None]] = {}

    async def review(self, token: bytes) -> Caller | None:
        """Whose it is; None for a token that the API server does not accept.

        Raises:
            UnreviewedError: there is no answer to be had now.
        """
        if len(token) > MAX_TOKEN or not token.isascii():
            return None
        digest = hashlib.sha256(token).digest()
        answer = self._answers.get(digest)
        if answer is not None and self._clock.monotonic() < answer.until:
            return answer.caller
        running = self._running.get(digest)
        if running is None:
            running = self._running[digest] = asyncio.create_task(self._ask(digest, token))
            running.add_done_callback(lambda done: self._forget(digest, done))
        # Shielded: the caller that asked first may leave, and others wait for the same answer.
        return await asyncio.shield(running)

    def _forget(self, digest: bytes, done: asyncio.Task[Caller | None]) -> None:
        del self._running[digest]
        if not done.cancelled():
            done.exception()  # everybody who asked may have left: then nobody else looks at it

    async def _ask(self, digest: bytes, token: bytes) -> Caller | None:
        body = {
            "apiVersion": TOKEN_REVIEWS.api_version,
            "kind": TOKEN_REVIEWS.kind,
            "spec": {"token": token.decode("ascii")},
        }
        try:
            status = msgspec.json.decode(await self._api.create(TOKEN_REVIEWS, body), type=_Review).status
        except (KubeError, msgspec.DecodeError) as error:
            logger.warning("a caller's token could not be reviewed: %s", error)
            raise UnreviewedError from None
        caller = _caller(status.user.username) if status.authenticated else None
        self._answers[digest] = _Answer(caller, self._clock.monotonic() + REMEMBERED)
        self._answers.move_to_end(digest)
        while len(self._answers) > MAX_REMEMBERED:
            self._answers.popitem(last=False)
        return caller


def _caller(username: str) -> Caller:
    """`system:serviceaccount:NAMESPACE:NAME`; any other user is of no namespace."""
    namespace, _, name = username.removeprefix(_SERVICE_ACCOUNT).partition(":")
    return Caller(namespace, name) if username.startswith(_SERVICE_ACCOUNT) else Caller("", username)
