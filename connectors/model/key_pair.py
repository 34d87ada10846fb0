"""A certificate chain with its private key."""

from __future__ import annotations

from dataclasses import dataclass, field

from connectors.model.secret_value import SecretValue


@dataclass(frozen=True, slots=True, eq=False)
class KeyPair:
    """Both in PEM, the leaf first. Two are never equal: what was authenticated with one is nothing to another."""

    chain: bytes = field(repr=False)
    key: SecretValue
