"""What was wrong with classes that were judged before, by their content. Pure.

What is wrong with a class is a function of its name, its resolver, its spec and the rules of this very program: nothing
of users, rights, Secrets, Connectors or time goes into it. Only that is remembered; an answer to a review never is.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict

import msgspec

from connectors.objects.connector_class import RESOLVER_ANNOTATION, ConnectorClass
from connectors.objects.violation import Violation

# Classes. An installation has some dozens.
MOST = 128
# Violations of one class, and characters of them together, that are worth their memory: 128 times 16 KiB at most.
MOST_VIOLATIONS = 100
MOST_TEXT = 16 * 1024


class ClassMemory:
    """At most MOST classes; that which was asked for longest ago goes first."""

    def __init__(self) -> None:
        self._found: OrderedDict[bytes, tuple[Violation, ...]] = OrderedDict()

    def __len__(self) -> int:
        """How many classes are remembered."""
        return len(self._found)

    def recall(self, key: bytes) -> tuple[Violation, ...] | None:
        """What was wrong with the class of that key; None if that is not remembered."""
        found = self._found.get(key)
        if found is not None:
            self._found.move_to_end(key)
        return found

    def keep(self, key: bytes, violations: tuple[Violation, ...]) -> None:
        """Remember it, unless it is long."""
        if len(violations) > MOST_VIOLATIONS:
            return
        if sum(len(item.path) + len(item.message) for item in violations) > MOST_TEXT:
            return
        self._found[key] = violations
        self._found.move_to_end(key)
        if len(self._found) > MOST:
            self._found.popitem(last=False)


def content_key(item: ConnectorClass) -> bytes:
    """Of all that the rules of a class read, and of nothing else: labels and versions change nothing.

    SHA-256, since an author who found two classes of one key could pass the one off as the other.
    """
    resolver = item.metadata.annotations.get(RESOLVER_ANNOTATION)
    return hashlib.sha256(msgspec.json.encode((item.metadata.name, resolver, item.spec))).digest()
