"""Who is calling: the token of a request, and whose it is.

Modes: `none` asks nobody, `token` knows the tokens of Secrets, `kubernetes` asks the API server.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import Protocol

from connectors.model.message import RequestHead
from connectors.model.reasons import Reason
from connectors.model.refusal import Refusal, RefusedError
from connectors.snapshot import Snapshot
from proxy.decision import Caller, UnreviewedError
from proxy.settings import ClientAuth


def presented_token(head: RequestHead) -> bytes | None:
    """The token in Authorization: Bearer, or Basic with the token as password, or as user name without a password.

    None where there is none, more than one Authorization field, or one that cannot be read: unknown means deny.
    """
    fields = head.values(b"authorization")
    if len(fields) != 1:
        return None
    scheme, _, rest = fields[0].partition(b" ")
    match scheme.lower():
        case b"bearer":
            return rest.strip() or None
        case b"basic":
            return _basic(rest.strip())
        case _:
            return None


class Reviewer(Protocol):
    """Who can tell whose a token is, beyond the snapshot."""

    async def review(self, token: bytes) -> Caller | None:
        """Whose it is, None where it is not valid.

        Raises:
            UnreviewedError: nobody can tell now.
        """


class Identity:
    """Answers who is calling, as far as the mode knows."""

    def __init__(self, mode: ClientAuth, reviewer: Reviewer | None = None) -> None:
        """`reviewer` is for the mode `kubernetes`; without one that mode knows nobody."""
        self.required = mode is not ClientAuth.NONE
        self._mode = mode
        self._reviewer = reviewer

    async def caller(self, head: RequestHead, snapshot: Snapshot) -> Caller | None:
        """The caller; None where nobody is asked, or nobody valid has answered.

        Raises:
            RefusedError: AuthenticationUnavailable, since nobody can tell now whose the token is. No 401: clients drop
                their stored login at one.
        """
        token = presented_token(head) if self.required else None
        if token is None:
            return None
        if self._mode is ClientAuth.KUBERNETES:
            return await self._reviewed(token)
        owner = snapshot.owner_of(token)
        return Caller(owner.namespace, owner.name) if owner else None

    async def _reviewed(self, token: bytes) -> Caller | None:
        if self._reviewer is None:
            return None
        try:
            return await self._reviewer.review(token)
        except UnreviewedError:
            raise RefusedError(_UNREVIEWED) from None


_UNREVIEWED = Refusal(
    Reason.AUTHENTICATION_UNAVAILABLE,
    "the API server cannot be asked now whose this token is; send the request again later",
)


def _basic(encoded: bytes) -> bytes | None:
    try:
        username, colon, password = b64decode(encoded, validate=True).partition(b":")
    except binascii.Error:
        return None
    return (password or username or None) if colon else None
