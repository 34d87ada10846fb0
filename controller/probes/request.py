"""The requests of a probe, as values. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from connectors.model.addresses import Address
from connectors.model.secret_value import SecretValue


@dataclass(frozen=True, slots=True)
class ProbeHeader:
    """A field to send. `from_secret`: whether its value was made of the Secret (threat 25)."""

    name: str
    value: SecretValue
    from_secret: bool = False


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """One HTTP request. `address` says where it goes (its path is not used), `target` is path and query, in ASCII."""

    method: str
    address: Address
    target: SecretValue
    headers: tuple[ProbeHeader, ...] = ()
    target_from_secret: bool = False
