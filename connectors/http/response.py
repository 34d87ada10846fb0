"""What a check sees of an answer: the value of CEL's variable `response`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP answer.

    `headers` are in the order in which they came, names as they were sent. `body` is what was read of it, with no
    content coding undone; `complete` is False if more came than is read.
    """

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    complete: bool = True

    def header(self, name: str) -> str:
        """The first field of that name (in lower case), empty if there is none."""
        return next((value for key, value in self.headers if key.lower() == name), "")
