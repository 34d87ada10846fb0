"""A connection toward a tool through a proxy: for traffic and for probes the same one (threat 23)."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Sequence

from connectors.dial.dialer import connected_socket
from connectors.dial.failure import UpstreamProxyError, upstream_proxy_failure
from connectors.dial.kind import DialFailure, FailureKind
from connectors.dial.upstream_proxy import UpstreamProxy, connect_request, login_refused
from connectors.objects.addresses import Address

# Bytes of the proxy's answer to CONNECT: squid's error pages are behind the head, and are not read.
MAX_ANSWER = 16 * 1024
_READ = 4096
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: [^\r\n]*)?\r\n")
_END = b"\r\n\r\n"
_LOGIN_REQUIRED = 407


async def connected_through(candidates: Sequence[str], proxy: UpstreamProxy, address: Address) -> socket.socket:
    """Connect to the proxy at one of `candidates`; where the tool speaks https, through a tunnel to it.

    It has no timeout: the caller puts one around it. If it is cancelled, it drops the connection.

    Raises:
        UpstreamProxyError: the proxy does not answer, or lets nothing through.
    """
    try:
        dialled = await connected_socket(candidates, proxy.address.port)
    except OSError as error:
        raise UpstreamProxyError(upstream_proxy_failure(error, proxy.name)) from None
    try:
        if proxy.needs_tunnel(address):
            await _open(dialled, proxy, address)
    except OSError as error:
        dialled.close()
        if isinstance(error, UpstreamProxyError):
            raise
        raise UpstreamProxyError(upstream_proxy_failure(error, proxy.name)) from None
    except BaseException:
        dialled.close()
        raise
    return dialled


async def _open(dialled: socket.socket, proxy: UpstreamProxy, address: Address) -> None:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(dialled, connect_request(proxy, address))
    answer = b""
    while True:
        head, end, rest = answer.partition(_END)
        if not end:
            if len(answer) >= MAX_ANSWER or not (data := await loop.sock_recv(dialled, _READ)):
                raise _refused(proxy, "did not answer CONNECT with HTTP/1.1")
            answer += data
            continue
        status = _status(head, proxy)
        if status >= 200:
            break
        # An interim answer says nothing yet (RFC 9110 section 15.2).
        answer = rest
    if not 200 <= status < 300:
        raise UpstreamProxyError(login_failure(proxy) if status == _LOGIN_REQUIRED else _said(status, proxy))
    # The tool speaks second in TLS: what is here already is not the tool's.
    if rest:
        raise _refused(proxy, "sent something before the tunnel was used")


def _status(head: bytes, proxy: UpstreamProxy) -> int:
    found = _STATUS.match(head + b"\r\n")
    if found is None:
        raise _refused(proxy, "did not answer CONNECT with HTTP/1.1")
    return int(found[1])


def login_failure(proxy: UpstreamProxy) -> DialFailure:
    """What to tell where the proxy answers 407 (RFC 9110 section 15.5.8)."""
    return DialFailure(FailureKind.UNREACHABLE, login_refused(proxy))


def _said(status: int, proxy: UpstreamProxy) -> DialFailure:
    message = (
        f"upstream proxy {proxy.name} answered CONNECT with status {status}; does it let this program reach the tool?"
    )
    return DialFailure(FailureKind.UNREACHABLE, message)


def _refused(proxy: UpstreamProxy, what: str) -> UpstreamProxyError:
    return UpstreamProxyError(DialFailure(FailureKind.UNREACHABLE, f"upstream proxy {proxy.name} {what}"))
