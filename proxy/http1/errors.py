"""What can be wrong with a message, before anything is decided about it."""

from __future__ import annotations

from connectors.model.reasons import Reason


class MessageError(Exception):
    """A message that is not acceptable HTTP/1.1. `message` is for a person and never quotes the peer's bytes."""

    def __init__(self, message: str, reason: Reason = Reason.REQUEST_MALFORMED) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
