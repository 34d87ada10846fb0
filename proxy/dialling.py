"""One new connection to a tool: its name -> addresses that were checked -> one of those, and TLS on it (threat 9)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, NamedTuple

from connectors.dial.dialer import Dialer, connected_socket
from connectors.dial.failure import LookupTimeoutError, dial_failure
from connectors.dial.kind import FailureKind
from connectors.dial.resolver import literal
from connectors.dial.tunnel import connected_through
from connectors.dial.upstream_proxy import UpstreamProxy
from connectors.objects.addresses import Address
from connectors.objects.reasons import Reason, Refusal, RefusedError
from connectors.tls.pool import ClientTls
from proxy.buffers import InPieces
from proxy.secured_tool import Key, SecuredTool, Sessions

# What a failed dial is refused with, by the kind that connectors/dial/failure.py gives it.
REASONS: Mapping[FailureKind, Reason] = {
    FailureKind.DNS: Reason.UPSTREAM_UNREACHABLE,
    FailureKind.REFUSED: Reason.UPSTREAM_UNREACHABLE,
    FailureKind.TIMEOUT: Reason.UPSTREAM_TIMEOUT,
    FailureKind.TLS: Reason.UPSTREAM_TLS,
    FailureKind.UNREACHABLE: Reason.UPSTREAM_UNREACHABLE,
    FailureKind.PROTOCOL: Reason.UPSTREAM_PROTOCOL,
    FailureKind.DENIED: Reason.TARGET_DENIED,
    FailureKind.BUSY: Reason.UPSTREAM_UNREACHABLE,
}


def dial_refusal(error: OSError | TimeoutError, address: Address, through: str = "") -> Refusal:
    """What to tell the caller. Names the declared host and port only: an address is not a secret, all else could be.

    `through`: the name of the upstream proxy on the way, empty if there is none.
    """
    failure = dial_failure(error, address, through)
    return Refusal(REASONS[failure.kind], failure.message)


class DialCall(NamedTuple, Generic[Key]):
    """One dial: its pool, its address, the IP addresses to try, the protocol to connect, and the proxy on the way."""

    pool: Key
    address: Address
    candidates: Sequence[str]
    protocol: InPieces
    proxy: UpstreamProxy | None


class Dialling(Generic[Key]):
    """Connects protocols to tools; keeps none of them."""

    def __init__(
        self, dialer: Dialer, seconds: float, is_own_address: Callable[[str, int, str], bool], sessions: Sessions[Key]
    ) -> None:
        """`seconds`: for all of one dial. `is_own_address(ip, port, local_ip)` knows this proxy."""
        self._dialer = dialer
        self._seconds = seconds
        self._is_own_address = is_own_address
        self._sessions = sessions

    async def connect(
        self,
        pool: Key,
        address: Address,
        tls: ClientTls,
        protocol: InPieces,
        namespace: str = "",
        proxy: UpstreamProxy | None = None,
    ) -> None:
        """Connect `protocol`: the name is resolved once, each address is checked, and exactly those are tried.

        `pool`: the connections that it may resume a TLS session of. `namespace`: of the Connector. `proxy`: the one on
        the way, whose addresses these are then; None if there is none.

        Raises:
            RefusedError: UpstreamUnreachable, UpstreamTLS, UpstreamTimeout, TargetDenied or LoopDetected.
        """
        candidates: list[str] = []
        dialled = proxy.address if proxy else address
        if proxy is not None and (ip := literal(address.host)):
            # Dialled from there it would lead back here all the same.
            self._refuse_own(ip, address.port, "")
        try:
            async with asyncio.timeout(self._seconds):
                candidates = await self._dialer.candidates(address, namespace, proxy)
                for candidate in candidates:
                    self._refuse_own(candidate, dialled.port, "")
                call = DialCall(pool, address, candidates, protocol, proxy)
                transport = await self._dialer.connected(address, tls, lambda context: self._opened(call, context))
            if transport.is_closing():
                # Lost before this task ran: the protocol was told already, and will not be told again.
                raise ConnectionResetError("the connection was closed at once")
        except OSError as error:  # TimeoutError is one
            self._dialer.failed(dialled)
            timeout = isinstance(error, TimeoutError) and not candidates
            through = proxy.name if proxy else ""
            raise RefusedError(dial_refusal(LookupTimeoutError() if timeout else error, address, through)) from None

    async def _opened(self, call: DialCall[Key], context: ssl.SSLContext | None) -> asyncio.Transport:
        """A connection; with `context`, to a tool that was verified under the address's name (SNI, certificate)."""
        if context is None:
            return await self._tcp(call, call.protocol)
        secured = SecuredTool(context, call.address.server_name, call.protocol, self._sessions, call.pool)
        await self._tcp(call, secured)
        await secured.open()
        return secured

    async def _tcp(self, call: DialCall[Key], protocol: asyncio.BaseProtocol) -> asyncio.Transport:
        transport = await _connection(call, protocol)
        try:
            peer = transport.get_extra_info("peername") or ("", 0)
            own = transport.get_extra_info("sockname") or ("", 0)
            self._refuse_own(str(peer[0]), int(peer[1]), str(own[0]))
        except RefusedError:
            transport.abort()
            raise
        return transport

    def _refuse_own(self, ip: str, port: int, local_ip: str) -> None:
        if self._is_own_address(ip, port, local_ip):
            message = "the Connector's address leads back to this proxy; point it at the tool itself"
            raise RefusedError(Refusal(Reason.LOOP_DETECTED, message))


async def _connection(call: DialCall[Key], protocol: asyncio.BaseProtocol) -> asyncio.Transport:
    """A connection to the one candidate, or to the first of several that answers; or through a proxy, to the tool.

    Raises:
        OSError: none of them answers, or the proxy lets nothing through.
    """
    loop = asyncio.get_running_loop()
    candidates, port = call.candidates, call.address.port
    if call.proxy is not None:
        dialled = await connected_through(candidates, call.proxy, call.address)
    elif len(candidates) == 1:
        return (await loop.create_connection(lambda: protocol, candidates[0], port))[0]
    else:
        dialled = await connected_socket(candidates, port)
    return (await loop.create_connection(lambda: protocol, sock=dialled))[0]
