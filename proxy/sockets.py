"""What the kernel knows of a connection and asyncio does not tell."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Final

# Of linux/sock_diag.h, since Linux 4.12: numbers of 32 bits, and which of them are the size of the send buffer and
# what is queued in it.
_SO_MEMINFO: Final = 55
_MEMINFO: Final = struct.Struct("9I")
_SNDBUF, _QUEUED = 3, 5
# TCP_CLOSE and TCP_CLOSE_WAIT of the kernel's tcp_states.h: reset by the peer, and closed by it.
_PEER_HAS_LEFT: Final = (7, 8)
# struct linger of socket(7): on, for 0 seconds.
_LINGER_NOT: Final = struct.pack("ii", 1, 0)


def room_of(transport: asyncio.Transport | None) -> int:
    """How many bytes the kernel would take for this connection now; 0 where that cannot be known.

    Where memory for TCP is short, it takes back what it has offered (sk_stream_moderate_sndbuf).
    """
    connection = transport.get_extra_info("socket") if transport and not transport.is_closing() else None
    if connection is None:
        return 0
    try:
        told = connection.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
    except OSError:
        return 0
    if len(told) < _MEMINFO.size:
        return 0
    numbers = _MEMINFO.unpack(told)
    room = int(numbers[_SNDBUF]) - int(numbers[_QUEUED])
    # It counts its own upkeep too.
    return max(0, room - room // 8)


def peer_has_left(transport: asyncio.Transport) -> bool:
    """Whether it has closed or reset the connection: the kernel knows, but tells only who reads."""
    connection = transport.get_extra_info("socket")
    return bool(connection) and connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] in _PEER_HAS_LEFT


def reset_when_closed(transport: asyncio.Transport) -> None:
    """See to it that its end is a reset.

    A transport's own abort() sends FIN, which to a close-delimited body is its proper end; SO_LINGER 0 sends RST.
    """
    if connection := transport.get_extra_info("socket"):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
