"""What bounds dialling, as a value. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from connectors.dial.guard import DialGuard
from connectors.tls.pool import TlsVersion

DNS_CACHE = 5.0
"""Seconds. As long as an answer counts, a tool that moves is looked for in the wrong place; a burst asks once."""


@dataclass(frozen=True, slots=True)
class DialSettings:
    """`guard`: which addresses may be dialled. `dns_cache`: seconds that a name server's answer counts, 0 for once.

    `minimum`: the lowest version of TLS toward tools.
    """

    guard: DialGuard = field(default_factory=DialGuard)
    dns_cache: float = DNS_CACHE
    minimum: TlsVersion = TlsVersion.TLS_1_2
