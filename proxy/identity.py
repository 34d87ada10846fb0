"""Who is calling: the token of a request, and whose it is. Modes: `none` asks nobody, `token` knows Secrets' tokens."""

from __future__ import annotations

import binascii
from base64 import b64decode

from connectors.model.message import RequestHead
from connectors.snapshot import Snapshot
from proxy.decision import Caller
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


class Identity:
    """Answers who is calling, as far as the mode knows."""

    def __init__(self, mode: ClientAuth) -> None:
        self.required = mode is not ClientAuth.NONE

    async def caller(self, head: RequestHead, snapshot: Snapshot) -> Caller | None:
        """The caller; None where nobody is asked, or nobody valid has answered."""
        token = presented_token(head) if self.required else None
        owner = snapshot.owner_of(token) if token else None
        return Caller(owner.namespace, owner.name) if owner else None


def _basic(encoded: bytes) -> bytes | None:
    try:
        username, colon, password = b64decode(encoded, validate=True).partition(b":")
    except binascii.Error:
        return None
    return (password or username or None) if colon else None
