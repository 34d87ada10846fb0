"""What was decided under one snapshot, kept for requests that send the same header block again.

docs/decisions/remembering.md has the reasoning. A caller's token stands in the block: what is kept of it is a
digest, keyed with a secret of this process, so that memory tells no one which token it was.
"""

from __future__ import annotations

import secrets
from hashlib import sha256

from connectors.http.plain import Plain
from connectors.objects.connector import ConnectorKey
from connectors.snapshot import Snapshot
from proxy.request import Passage
from proxy.response import KnownLines

# Bytes of all passages together: in a pod of 384 MiB as much as two hundred uploads in progress hold.
MAX_BYTES = 16 * 1024 * 1024
# Bytes of one Connector's: a hundred callers with tokens of a kilobyte, three blocks each.
MAX_SHARE = 512 * 1024
# Bytes of the known response lines of all Connectors together.
MAX_LINE_BYTES = 8 * 1024 * 1024
MAX_LINE_SHARE = 32 * 1024
# Bytes that a passage costs beside the bytes it sends: by sys.getsizeof its object, its parts and its places.
COST = 1120
# Bytes that evidence costs on top, and a caller's own place in a share (measured: 720 with one answer, 910 with four).
EVIDENCE_COST = 1024
# Bytes of a share for each block that is remembered as seen; its digest costs an eighth of that.
_SEEN_COST = 1024


class _Share:
    """One Connector's passages, by caller in the order in which they came."""

    __slots__ = ("_callers", "_costs", "_sizes", "seen", "size")

    def __init__(self) -> None:
        self._callers: dict[str, dict[bytes, None]] = {}
        self._sizes: dict[str, int] = {}
        self._costs: dict[bytes, tuple[str, int]] = {}
        self.seen: dict[bytes, None] = {}
        self.size = 0

    def add(self, caller: str, key: bytes, cost: int) -> None:
        """Count a passage."""
        self._callers.setdefault(caller, {})[key] = None
        self._sizes[caller] = self._sizes.get(caller, 0) + cost
        self._costs[key] = caller, cost
        self.size += cost

    def drop(self, key: bytes) -> None:
        """Stop counting a passage, if it is counted."""
        if key not in self._costs:
            return
        caller, cost = self._costs.pop(key)
        self.size -= cost
        self._sizes[caller] -= cost
        del self._callers[caller][key]
        if not self._callers[caller]:
            del self._callers[caller], self._sizes[caller]

    def oldest(self) -> bytes:
        """The oldest passage of the caller who has the most: so shares are equal, for any number of callers."""
        return next(iter(self._callers[max(self._sizes, key=self._sizes.__getitem__)]))

    def sees_again(self, key: bytes, most: int) -> bool:
        """Whether this block was seen before; `most` are remembered as seen."""
        if key in self.seen:
            return True
        if len(self.seen) >= most:
            del self.seen[next(iter(self.seen))]
        self.seen[key] = None
        return False


class Memory:
    """The passages and known lines of one snapshot. They are forgotten with it, all in the turn of the swap."""

    def __init__(self, snapshot: Snapshot | None, dropped: frozenset[bytes] = frozenset()) -> None:
        """`snapshot` None: nothing serves yet. `dropped`: fields of answers that no client gets (see ClientSide)."""
        self._dropped = dropped
        self.snapshot = snapshot
        number = max(len(snapshot.plans), 1) if snapshot else 1
        self._share = min(MAX_BYTES // number, MAX_SHARE)
        self._line_share = min(MAX_LINE_BYTES // number, MAX_LINE_SHARE)
        self._keyed = sha256(secrets.token_bytes(64))
        self._passages: dict[bytes, Passage] = {}
        self._shares: dict[ConnectorKey, _Share] = {}
        self._lines: dict[ConnectorKey, KnownLines] = {}

    def lines_of(self, key: ConnectorKey) -> KnownLines:
        """The known response lines of this Connector's tools."""
        found = self._lines.get(key)
        if found is None:
            found = self._lines[key] = KnownLines(self._line_share, self._dropped)
        return found

    def find(self, plain: Plain) -> Passage | None:
        """The passage of this block under this prefix, if one is kept and still holds."""
        key = self._key(plain)
        found = self._passages.get(key)
        if found is None or found.evidence is None or found.evidence.holds():
            return found
        self._forget(key, self._shares[_owner(found)])
        return None

    def learn(self, plain: Plain, passage: Passage) -> None:
        """Keep a decision when its block comes a second time: most blocks that are seen once are never seen again."""
        key, cost = self._key(plain), _cost(plain, passage)
        share = self._shares.get(_owner(passage))
        if share is None:
            share = self._shares[_owner(passage)] = _Share()
        if cost > self._share or not share.sees_again(key, self._share // _SEEN_COST):
            return
        self._forget(key, share)
        while share.size + cost > self._share:
            self._forget(share.oldest(), share)
        self._passages[key] = passage
        share.add(passage.caller.username if passage.caller else "", key, cost)

    def _forget(self, key: bytes, share: _Share) -> None:
        self._passages.pop(key, None)
        share.drop(key)

    def _key(self, plain: Plain) -> bytes:
        digest = self._keyed.copy()
        digest.update(plain.block)
        return digest.digest() + plain.prefix


def _cost(plain: Plain, passage: Passage) -> int:
    return COST + (EVIDENCE_COST if passage.evidence else 0) + len(plain.prefix) + len(passage.tail)


def _owner(passage: Passage) -> ConnectorKey:
    return passage.forward.plan.key
