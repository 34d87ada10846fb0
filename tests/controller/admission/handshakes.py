"""Certificates of the webhook's own, of this moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from connectors.objects.secret import KeyPair
from controller.admission.certificates import Material, carried_out
from controller.admission.renewal import Action, Times

NAMES = ("localhost", "127.0.0.1")


def material(life: timedelta = timedelta(days=90)) -> Material:
    """An authority and a certificate of this moment, for 127.0.0.1."""
    return carried_out(Action.START_ANEW, Material(), NAMES, Times(leaf_life=life), datetime.now(UTC))


def pair(made: Material) -> KeyPair:
    assert made.serving is not None
    return made.serving
