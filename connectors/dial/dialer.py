"""What may be dialled, and which CAs count there: one owner in a process, for traffic, probes and token exchange."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from typing import TypeVar

from aiohappyeyeballs import AddrInfoType, start_connection

from connectors.dial.dial_settings import DialSettings
from connectors.dial.failure import DeniedError, OwnAddressError, UpstreamProxyError, upstream_proxy_failure
from connectors.dial.guard import DialGuard, is_among
from connectors.dial.kind import DialFailure, FailureKind
from connectors.dial.resolver import NameResolver, literal
from connectors.dial.upstream_proxy import UpstreamProxy
from connectors.objects.addresses import Address, TransportAddress
from connectors.tls.contexts import Contexts
from connectors.tls.pool import ClientTls


async def allowed_addresses(
    resolver: NameResolver,
    guard: DialGuard,
    address: Address,
    namespace: str = "",
    own: Collection[TransportAddress] = (),
) -> list[str]:
    """Look the host up, once, and leave out what the guard denies; the order stays. An IP address is judged too.

    The caller must dial these and not look the name up again: a second answer may be another one (DNS rebinding).
    `own`: where this installation listens itself, which is left out too.

    Raises:
        OwnAddressError: there are some that the guard allows, and the installation listens at all of these.
        DeniedError: the guard denies all of them.
        OSError: the name does not resolve, or too many are being looked up.
    """
    found = await resolver.addresses(address.host, address.port, namespace)
    allowed = [ip for ip in dict.fromkeys(found) if guard.denied(ip) is None]
    if not allowed:
        # Sorted: name servers change the order from one answer to the next, and a message should not.
        ranges = {denied for ip in found if (denied := guard.denied(ip))}
        raise DeniedError(", ".join(sorted(ranges)) or "no address")
    others = [ip for ip in allowed if not is_among(ip, address.port, own)]
    if not others:
        raise OwnAddressError
    return others


# Seconds that a candidate has for itself before the next one is tried too (RFC 8305 section 8).
ATTEMPT_DELAY = 0.25


async def connected_socket(candidates: Sequence[str], port: int) -> socket.socket:
    """Connect over TCP to the first of the candidates that answers. They are addresses: no name is looked up here.

    The families take turns, and the next one is tried where one is silent for a moment (RFC 8305 section 5).

    Raises:
        OSError: none of them answers.
    """
    try:
        return await start_connection([_numeric(ip, port) for ip in candidates], happy_eyeballs_delay=ATTEMPT_DELAY)
    except RuntimeError as error:
        # What uvloop raises where asyncio raises an OSError.
        raise ConnectionError(str(error)) from None


def _numeric(ip: str, port: int) -> AddrInfoType:
    """What a name server would have said (getaddrinfo), of an address that is known already."""
    family = socket.AF_INET6 if ipaddress.ip_address(ip).version == 6 else socket.AF_INET
    return family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (ip, port)


# X509_V_ERR_CERT_SIGNATURE_FAILURE of OpenSSL: an issuer has that name, but another key signed the certificate.
_SIGNATURE = 7

T = TypeVar("T")


class Dialer:
    """Names -> addresses that may be dialled; trust -> contexts."""

    def __init__(
        self, settings: DialSettings, resolver: NameResolver | None = None, own_services: Collection[str] = ()
    ) -> None:
        """`own_services`: names of the installation's own Services, without a dot at their end."""
        self._guard = settings.guard
        self._own_services = frozenset(own_services)
        self._own_addresses: frozenset[TransportAddress] = frozenset()
        self._resolver = resolver or NameResolver(cache=settings.dns_cache, of_namespace=settings.lookups)
        self.contexts = Contexts(settings.minimum)

    async def candidates(self, address: Address, namespace: str = "", proxy: UpstreamProxy | None = None) -> list[str]:
        """See allowed_addresses. `namespace`: of the Connector whose address it is; lookups are shared out by it.

        With a `proxy` they are the proxy's, which resolves the tool's name. A tool's IP address is judged here all the
        same: what may not be dialled from here must not be dialled from there, either.

        Raises:
            UpstreamProxyError: the proxy may not be dialled, or cannot be used.
        """
        # By name, too: until its address is known, or where this program may not know it.
        if address.server_name in self._own_services:
            raise OwnAddressError
        allowed: list[str] = []
        if proxy is None or literal(address.host):
            allowed = await self._allowed(address, namespace)
        if proxy is None:
            return allowed
        if proxy.with_login and proxy.login is None:
            what = "cannot be used: the credentials that the operator gave for it cannot be read"
            raise UpstreamProxyError(DialFailure(FailureKind.UNREACHABLE, f"upstream proxy {proxy.name} {what}"))
        try:
            # Of no namespace: all Connectors wait for the one lookup of this name.
            return await self._allowed(proxy.address, "")
        except OSError as error:
            raise UpstreamProxyError(upstream_proxy_failure(error, proxy.name)) from None

    async def _allowed(self, address: Address, namespace: str) -> list[str]:
        return await allowed_addresses(self._resolver, self._guard, address, namespace, self._own_addresses)

    def keep_off(self, own_addresses: frozenset[TransportAddress]) -> bool:
        """Dial none of these from now on: the installation itself listens there. Whether they were others before."""
        changed, self._own_addresses = own_addresses != self._own_addresses, own_addresses
        return changed

    def is_own(self, ip: str, port: int) -> bool:
        """Whether the installation itself listens there, as far as it is known."""
        return is_among(ip, port, self._own_addresses)

    async def connected(
        self, address: Address, tls: ClientTls, connect: Callable[[ssl.SSLContext | None], Awaitable[T]]
    ) -> T:
        """Call `connect` with the context, None for http.

        If two CAs have the same name, OpenSSL tries one of them. If the signature shows that it was
        the wrong one, `connect` is called again, with others of that name; so it must send nothing before the handshake
        has succeeded.

        Raises:
            KeyPairError: the certificate to show cannot be loaded.
            Exception: what `connect` raises, of the whole pool.
        """
        if address.scheme == "http":
            return await connect(None)
        try:
            return await connect(await self.contexts.context(tls))
        except ssl.SSLCertVerificationError as error:
            if error.verify_code != _SIGNATURE:
                raise
            first = error
        for choice in tls.choices:
            with suppress(ssl.SSLCertVerificationError):
                return await connect(await self.contexts.context(choice))
        raise first

    def failed(self, address: Address) -> None:
        """No candidate accepted a connection: the next caller looks the name up again."""
        self._resolver.forget(address.host, address.port)
