"""What may be dialled and whom to believe there: one owner in a process, for traffic, probes and token exchange."""

from __future__ import annotations

import ssl

from connectors.dialing.checked import checked_addresses
from connectors.dialing.dial_settings import DialSettings
from connectors.dialing.resolver import Resolver
from connectors.model.addresses import Address
from connectors.tls.contexts import Contexts
from connectors.tls.pool import ClientTls


class Dialer:
    """Names -> addresses that may be dialled; trust -> contexts."""

    def __init__(self, settings: DialSettings, resolver: Resolver | None = None) -> None:
        self._guard = settings.guard
        self._resolver = resolver or Resolver(cache=settings.dns_cache)
        self.contexts = Contexts(settings.minimum)

    async def candidates(self, address: Address) -> list[str]:
        """See checked_addresses."""
        return await checked_addresses(self._resolver, self._guard, address)

    async def context(self, tls: ClientTls) -> ssl.SSLContext:
        """See Contexts.context."""
        return await self.contexts.context(tls)

    def failed(self, address: Address) -> None:
        """None of its candidates took a connection: the next one who asks looks the name up again."""
        self._resolver.forget(address.host, address.port)
