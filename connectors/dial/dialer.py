"""What may be dialled and whom to believe there: one owner in a process, for traffic, probes and token exchange."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from connectors.dial.dial_settings import DialSettings
from connectors.dial.failure import DeniedError
from connectors.dial.guard import DialGuard
from connectors.dial.issuers import WrongIssuerError, is_wrong_issuer
from connectors.dial.resolver import Resolver
from connectors.objects.addresses import Address
from connectors.tls.contexts import Contexts
from connectors.tls.pool import ClientTls

# The addresses of a tool that may be dialled: the address that was checked is the address that is dialled.


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


T = TypeVar("T")


class Dialer:
    """Names -> addresses that may be dialled; trust -> contexts."""

    def __init__(self, settings: DialSettings, resolver: Resolver | None = None) -> None:
        self._guard = settings.guard
        self._resolver = resolver or Resolver(cache=settings.dns_cache)
        self.contexts = Contexts(settings.minimum)

    async def candidates(self, address: Address) -> list[str]:
        """See checked_addresses."""
        return await checked_addresses(self._resolver, self._guard, address)

    async def connected(
        self, address: Address, tls: ClientTls, connect: Callable[[ssl.SSLContext | None], Awaitable[T]]
    ) -> T:
        """Call `connect` with the context, None for http.

        Where a CA of another's name was taken for the issuer it is called again, with others of that name.

        Raises:
            KeyPairError: the certificate to show cannot be loaded.
            Exception: what `connect` raises, of the whole pool.
        """
        if address.scheme == "http":
            return await connect(None)
        try:
            return await connect(await self.contexts.context(tls))
        except (ssl.SSLCertVerificationError, WrongIssuerError) as error:
            if not is_wrong_issuer(error):
                raise
            first = error
        for choice in tls.choices:
            with suppress(ssl.SSLCertVerificationError, WrongIssuerError):
                return await connect(await self.contexts.context(choice))
        raise first

    def failed(self, address: Address) -> None:
        """None of its candidates took a connection: the next one who asks looks the name up again."""
        self._resolver.forget(address.host, address.port)
