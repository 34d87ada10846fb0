"""Certificates of the webhook's own, of this moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from connectors.objects.secret import KeyPair
from controller.admission.certificates import Material, make

NAMES = ("localhost", "127.0.0.1")


def material(life: timedelta = timedelta(days=90)) -> Material:
    """A certificate of this moment, for 127.0.0.1."""
    return make(NAMES, (), life, datetime.now(UTC))


def pair(made: Material) -> KeyPair:
    assert made.leaf_key is not None
    return KeyPair(made.leaf, made.leaf_key)
