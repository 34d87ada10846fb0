"""Why a tool did not answer: the proxy's refusals and the conditions of probes use the same classification.

Messages are the same from one try to the next, since they go into a status: no address that a name server chose, no
port of this end, no duration, and no library's words about what was sent or received.
"""

from __future__ import annotations

import os
import socket
import ssl
from dataclasses import replace

from connectors.dial.kind import DialFailure, FailureKind
from connectors.dial.resolver import TooManyLookupsError
from connectors.http.message import MessageError
from connectors.objects.addresses import Address
from connectors.tls.loading import KeyPairError


class LookupTimeoutError(TimeoutError):
    """The name server took too long: nothing has been dialled yet."""


class DeniedError(OSError):
    """None of the addresses may be dialled. `ranges` says why, never which they were."""

    def __init__(self, ranges: str) -> None:
        super().__init__(ranges)
        self.ranges = ranges


class OwnAddressError(DeniedError):
    """What could be dialled is this installation itself."""

    def __init__(self) -> None:
        super().__init__("this installation's own")


class UpstreamProxyError(OSError):
    """The upstream proxy is not there, or lets nothing through. `failure` names it, and never where it is."""

    def __init__(self, failure: DialFailure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def place(address: Address) -> str:
    """The declared host and port. An address is not a secret; all else about a request could be."""
    return f"{address.host}:{address.port}"


def dial_failure(error: OSError | TimeoutError, address: Address, through: str = "") -> DialFailure:
    """What to tell of an exception of a lookup, a connection or a TLS handshake. Names the declared host and port.

    `through`: the name of the upstream proxy on the way, empty if there is none.
    """
    if isinstance(error, UpstreamProxyError):
        return error.failure
    if through and isinstance(error, TimeoutError):
        message = f"{place(address)} was not reached through upstream proxy {through} in time"
        return DialFailure(FailureKind.TIMEOUT, message)
    failure = _dial_failure(error, address)
    return replace(failure, message=f"{failure.message} (through upstream proxy {through})") if through else failure


def upstream_proxy_failure(error: OSError, name: str) -> DialFailure:
    """What to tell of an exception on the way to an upstream proxy. It is the operator's: its address is not told."""
    match error:
        case DeniedError():
            kind, what = (
                FailureKind.DENIED,
                f"may not be dialled ({error.ranges}); an operator allows it by --allow-upstream",
            )
        case TooManyLookupsError():
            kind, what = FailureKind.BUSY, "was not looked up, for too many names are"
        case socket.gaierror():
            kind, what = FailureKind.DNS, "has a name that does not resolve"
        case ConnectionRefusedError():
            kind, what = FailureKind.REFUSED, "refuses connections"
        case TimeoutError():
            kind, what = FailureKind.TIMEOUT, "did not accept a connection in time"
        case _:
            kind, what = FailureKind.UNREACHABLE, f"cannot be reached: {_system_words(error)}"
    return DialFailure(kind, f"upstream proxy {name} {what}")


def _dial_failure(error: OSError | TimeoutError, address: Address) -> DialFailure:
    where = place(address)
    match error:
        case DeniedError():
            return DialFailure(FailureKind.DENIED, _denied(error, address))
        case KeyPairError():
            return DialFailure(
                FailureKind.TLS, f"no TLS with {where}: {error}; correct the Secret with the client certificate"
            )
        case ssl.SSLError():
            return _tls_failure(error, address)
        case LookupTimeoutError():
            message = f"the name {address.host} was not resolved in time; is its name server reachable?"
            return DialFailure(FailureKind.TIMEOUT, message)
        case TimeoutError():
            return DialFailure(FailureKind.TIMEOUT, f"{where} did not accept a connection in time")
        case TooManyLookupsError():
            message = (
                f"the name {address.host} was not looked up, for too many others are; it is not the tool's fault: find "
                "the Connectors whose name servers do not answer"
            )
            return DialFailure(FailureKind.BUSY, message)
        case socket.gaierror():
            return DialFailure(FailureKind.DNS, f"the name {address.host} does not resolve; check spec.address")
        case ConnectionRefusedError():
            return DialFailure(FailureKind.REFUSED, f"{where} refuses connections; is the tool running?")
        case ConnectionAbortedError() if address.scheme == "https":
            return DialFailure(FailureKind.TLS, f"{where} ended the TLS handshake")
        case _:
            return DialFailure(FailureKind.UNREACHABLE, f"{where} cannot be reached: {_system_words(error)}")


def exchange_failure(error: MessageError | OSError, address: Address, *, begun: bool) -> DialFailure:
    """What to tell of an exception behind the handshake. `begun`: whether a part of the answer has come."""
    match error:
        case ssl.SSLError():
            # With TLS 1.3 a server's verdict on the client comes behind the handshake.
            return _tls_failure(error, address)
        case ConnectionError() if not begun:
            # In order or with a reset: whether the request was there yet decides that, and changes from try to try.
            message = f"{place(address)} closed the connection without an answer"
            return DialFailure(FailureKind.UNREACHABLE, message)
        case MessageError() | ConnectionError():
            # One sentence: how much of a wrong answer was taken depends on how the network cut it into pieces.
            what = "is not HTTP/1.1, has too large a head, or breaks off; does an HTTP server listen there?"
            return DialFailure(FailureKind.PROTOCOL, f"the answer of {place(address)} {what}")
        case _:
            message = f"the connection to {place(address)} broke: {_system_words(error)}"
            return DialFailure(FailureKind.UNREACHABLE, message)


def timeout_failure(address: Address) -> DialFailure:
    """What to tell if the whole of it took too long: how far it got is not known."""
    message = f"no answer from {place(address)} in time; is the tool, or the name server for its name, slow or away?"
    return DialFailure(FailureKind.TIMEOUT, message)


def _tls_failure(error: ssl.SSLError, address: Address) -> DialFailure:
    """What OpenSSL says of a certificate (expired, self-signed, another host name, no known issuer) or a handshake."""
    where = place(address)
    if isinstance(error, ssl.SSLCertVerificationError):
        hint = "name its CA in spec.caCertSecretRef or have it trusted for all (docs/trust.md), or correct the address"
        return DialFailure(
            FailureKind.TLS, f"the certificate of {where} is not trusted: {error.verify_message}; {hint}"
        )
    what = (getattr(error, "reason", None) or "handshake failed").lower().replace("_", " ")
    return DialFailure(FailureKind.TLS, f"no TLS with {where}: {what}; does the tool speak https there?")


def _system_words(error: OSError) -> str:
    """The system's words for an error number: what a library wrote in their place may name addresses and ports."""
    return os.strerror(error.errno) if error.errno else "connection failed"


def _denied(error: DeniedError, address: Address) -> str:
    if isinstance(error, OwnAddressError):
        # No setting allows it.
        return f"{place(address)} is a port of the Connectors installation itself; point the address at the tool"
    what = f"{address.host} may not be dialled ({error.ranges})"
    return f"{what}; correct the address, or ask an operator for --allow-upstream"
