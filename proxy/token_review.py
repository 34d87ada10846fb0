"""Whose a ServiceAccount's token is, asked of the API server (TokenReview, authentication.k8s.io/v1) and remembered."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from base64 import urlsafe_b64decode
from collections import OrderedDict
from typing import Any, NamedTuple, Protocol

import msgspec
from msgspec import Struct

from connectors.kube.errors import KubeError, UnavailableError
from connectors.kube.resources import TOKEN_REVIEWS, Resource
from connectors.process.clock import Clock
from proxy.decision import Caller, UnreviewedError

logger = logging.getLogger("connectors.identity")

REMEMBERED = 10.0
"""Seconds that an answer counts. A token that is revoked works for that much longer."""
MAX_REMEMBERED = 10_000
"""Answers; the oldest go first. A flood of made-up tokens costs memory for these, about 3 MiB, and no more."""
STALE = 300.0
"""Seconds that a caller who was let in is let in without an answer, while the API server is away: longer than it takes
to restart one, and a token that was revoked meanwhile works no longer than that."""
PAUSE = 1.0
"""Seconds without a question after one that was not answered, so that an outage is no flood, nor a wait each time."""
AT_ONCE = 16
"""Questions at once: callers with made-up tokens must not use up what the API server grants this program."""
MAX_WAITING = 512
"""Questions that wait; more are not let in."""
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


class _Claims(Struct, frozen=True):
    exp: float | None = None


class _Answer(NamedTuple):
    """What was answered at a monotonic time, about a token that ends at a time of the wall clock (None: not told)."""

    caller: Caller | None
    at: float
    ends: float | None


class TokenReviewer:
    """Asks once for many requests with one token; keeps digests, never tokens."""

    def __init__(self, api: Api, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._answers: OrderedDict[bytes, _Answer] = OrderedDict()
        self._running: dict[bytes, asyncio.Task[Caller | None]] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._away_until: float | None = None
        self._unreachable = False

    async def review(self, token: bytes) -> Caller | None:
        """Whose it is; None for a token that the API server does not accept.

        While the API server is away, whoever was let in before is let in for STALE seconds more.

        Raises:
            UnreviewedError: there is no answer to be had now.
        """
        if len(token) > MAX_TOKEN or not token.isascii():
            return None
        digest = hashlib.sha256(token).digest()
        if (answer := self._remembered(digest, REMEMBERED)) is not None:
            return answer.caller
        if self._away_until is not None and self._clock.monotonic() < self._away_until:
            return self._before(digest)
        running = self._running.get(digest)
        if running is None:
            if len(self._running) >= MAX_WAITING:
                raise UnreviewedError
            running = self._running[digest] = asyncio.create_task(self._ask(digest, token))
            running.add_done_callback(lambda done: self._forget(digest, done))
        # Shielded: the caller that asked first may leave, and others wait for the same answer.
        return await asyncio.shield(running)

    def _remembered(self, digest: bytes, seconds: float) -> _Answer | None:
        """The answer, if it is not older than that, and the token has not ended since."""
        answer = self._answers.get(digest)
        if answer is None or self._clock.monotonic() - answer.at >= seconds:
            return None
        ended = answer.caller is not None and answer.ends is not None and self._clock.now().timestamp() >= answer.ends
        return None if ended else answer

    def _before(self, digest: bytes) -> Caller:
        """Who was let in before, where the API server is away; not where it answers that it will not tell."""
        answer = self._remembered(digest, STALE) if self._unreachable else None
        if answer is None or answer.caller is None:
            raise UnreviewedError
        return answer.caller

    def _forget(self, digest: bytes, done: asyncio.Task[Caller | None]) -> None:
        del self._running[digest]
        if not done.cancelled():
            done.exception()  # everybody who asked may have left: then nobody else looks at it

    async def _ask(self, digest: bytes, token: bytes) -> Caller | None:
        try:
            async with self._slots:
                reviewed = await self._api.create(TOKEN_REVIEWS, _body(token))
            status = msgspec.json.decode(reviewed, type=_Review).status
        except (KubeError, msgspec.DecodeError) as error:
            # Anything but UnavailableError is an answer, though not about the token: a role is missing, for example.
            self._unanswered(error, unreachable=isinstance(error, UnavailableError))
            return self._before(digest)
        if self._away_until is not None:
            self._away_until = None
            logger.info("callers' tokens are reviewed again")
        caller = _caller(status.user.username) if status.authenticated else None
        self._answers[digest] = _Answer(caller, self._clock.monotonic(), _end_of(token))
        self._answers.move_to_end(digest)
        while len(self._answers) > MAX_REMEMBERED:
            self._answers.popitem(last=False)
        return caller

    def _unanswered(self, error: Exception, *, unreachable: bool) -> None:
        self._unreachable = unreachable
        if self._away_until is None:
            logger.warning("callers' tokens cannot be reviewed, trying again: %s", error)
        self._away_until = self._clock.monotonic() + PAUSE


def _body(token: bytes) -> dict[str, Any]:
    return {
        "apiVersion": TOKEN_REVIEWS.api_version,
        "kind": TOKEN_REVIEWS.kind,
        "spec": {"token": token.decode("ascii")},
    }


def _end_of(token: bytes) -> float | None:
    """`exp` of a JSON Web Token (RFC 7519 section 4.1.4), seconds since the epoch; its signature is not looked at."""
    parts = token.split(b".")
    if len(parts) != 3:
        return None
    try:
        return msgspec.json.decode(urlsafe_b64decode(parts[1] + b"=" * (-len(parts[1]) % 4)), type=_Claims).exp
    except (ValueError, msgspec.DecodeError):
        return None


def _caller(username: str) -> Caller:
    """`system:serviceaccount:NAMESPACE:NAME`; any other user is of no namespace."""
    namespace, _, name = username.removeprefix(_SERVICE_ACCOUNT).partition(":")
    return Caller(namespace, name) if username.startswith(_SERVICE_ACCOUNT) else Caller("", username)
