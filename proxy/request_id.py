"""Ids of requests: what a user quotes and an operator finds in the access log and the audit log."""

from __future__ import annotations

import secrets
from itertools import count


class RequestIds:
    """`PREFIX-NUMBER` in hexadecimal.

    The prefix is chosen by chance once per process: 64 bits, so that neither a restart nor another replica repeats an
    id. Within the process the number does. A chance for each request would ask the kernel for each.
    """

    def __init__(self) -> None:
        self._prefix = secrets.token_hex(8)
        self.take = count(1).__next__
        """Gives a number that no other request of this process has."""

    def text(self, number: int) -> str:
        """The id of the request that took this number."""
        return f"{self._prefix}-{number:x}"
