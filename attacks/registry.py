"""All attacks, in the order of docs/security-tests.md."""

from __future__ import annotations

from attacks import heads, held, in_cluster, meanings, places, tenants, ways_back
from attacks.attack import Attack

ATTACKS: tuple[Attack, ...] = (
    *heads.ATTACKS,
    *held.ATTACKS,
    *places.ATTACKS,
    *tenants.ATTACKS,
    *in_cluster.ATTACKS,
    *ways_back.ATTACKS,
    *meanings.ATTACKS,
)
