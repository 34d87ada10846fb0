"""The addresses of a tool that may be dialled: the address that was checked is the address that is dialled."""

from __future__ import annotations

from connectors.dialing.failure import DeniedError
from connectors.dialing.guard import DialGuard
from connectors.dialing.resolver import Resolver
from connectors.model.addresses import Address


async def checked_addresses(resolver: Resolver, guard: DialGuard, address: Address) -> list[str]:
    """Look the host up, once, and leave out what the guard denies; the order stays. An IP address is checked too.

    Whoever dials must dial these and not look the name up again: a second answer may be another one (DNS rebinding).

    Raises:
        DeniedError: the guard denies all of them.
        OSError: the name does not resolve, or too many are being looked up.
    """
    found = await resolver.addresses(address.host, address.port)
    allowed = [ip for ip in dict.fromkeys(found) if guard.denied(ip) is None]
    if not allowed:
        # Sorted: name servers change the order from one answer to the next, and a message should not.
        ranges = {denied for ip in found if (denied := guard.denied(ip))}
        raise DeniedError(", ".join(sorted(ranges)) or "no address")
    return allowed
