"""A refusal: what the proxy answers itself, and why."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from connectors.model.reasons import HTTP_STATUS, Reason


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reason of the vocabulary and one sentence for a person; the sentence never quotes what the caller sent."""

    reason: Reason
    message: str

    @property
    def status(self) -> HTTPStatus:
        """The HTTP status of the answer."""
        return HTTP_STATUS[self.reason]


class RefusedError(Exception):
    """Carries a Refusal out of an I/O step to proxy/exchange.py, which alone catches it."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason.value)
        self.refusal = refusal
