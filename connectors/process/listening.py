"""What to say when a port cannot be listened on."""

from __future__ import annotations

import os
import socket

from connectors.process.parsers import HostPort


def cannot_listen(where: HostPort, flag: str, error: OSError) -> str:
    """One sentence with the cause, and the flag that chooses another address."""
    return f"cannot listen on {where}: {_cause(error)}; choose another address with {flag}"


def _cause(error: OSError) -> str:
    # asyncio puts the address into the text a second time; a name that does not resolve has numbers of its own.
    if error.errno and not isinstance(error, socket.gaierror):
        return os.strerror(error.errno)
    return error.strerror or str(error)
