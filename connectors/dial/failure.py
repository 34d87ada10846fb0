"""Why a tool could not be dialled: one classification, for the proxy's refusals and for the conditions of probes.

Messages are the same from one try to the next, since they go into a status: no address that a name server chose, no
port of this end, no duration.
"""

from __future__ import annotations

import os
import socket
import ssl

from connectors.dial.kind import Failure, FailureKind
from connectors.dial.resolver import TooManyLookupsError
from connectors.objects.addresses import Address
from connectors.tls.loading import KeyPairError


class LookupTimeoutError(TimeoutError):
    """The name server took too long: nothing has been dialled yet."""


class DeniedError(OSError):
    """None of the addresses may be dialled. `ranges` says why, never which they were."""

    def __init__(self, ranges: str) -> None:
        super().__init__(ranges)
        self.ranges = ranges


def place(address: Address) -> str:
    """The declared host and port. An address is not a secret; all else about a request could be."""
    return f"{address.host}:{address.port}"


def dial_failure(error: OSError | TimeoutError, address: Address) -> Failure:
    """What to tell of an exception of a lookup, a connection or a TLS handshake. Names the declared host and port."""
    where = place(address)
    match error:
        case DeniedError():
            return Failure(FailureKind.DENIED, _denied(error.ranges, address))
        case KeyPairError():
            return Failure(
                FailureKind.TLS, f"no TLS with {where}: {error}; correct the Secret with the client certificate"
            )
        case ssl.SSLError():
            return tls_failure(error, address)
        case LookupTimeoutError():
            message = f"the name {address.host} was not resolved in time; is its name server reachable?"
            return Failure(FailureKind.TIMEOUT, message)
        case TimeoutError():
            return Failure(FailureKind.TIMEOUT, f"{where} did not accept a connection in time")
        case TooManyLookupsError():
            message = (
                f"the name {address.host} was not looked up, for too many others are; it is not the tool's fault: find "
                "the Connectors whose name servers do not answer"
            )
            return Failure(FailureKind.BUSY, message)
        case socket.gaierror():
            return Failure(FailureKind.DNS, f"the name {address.host} does not resolve; check spec.address")
        case ConnectionRefusedError():
            return Failure(FailureKind.REFUSED, f"{where} refuses connections; is the tool running?")
        case ConnectionAbortedError() if address.scheme == "https":
            return Failure(FailureKind.TLS, f"{where} ended the TLS handshake")
        case _:
            return Failure(FailureKind.UNREACHABLE, f"{where} cannot be reached: {system_words(error)}")


def tls_failure(error: ssl.SSLError, address: Address) -> Failure:
    """What OpenSSL says of a certificate (expired, self-signed, another host name, no known issuer) or a handshake."""
    where = place(address)
    if isinstance(error, ssl.SSLCertVerificationError):
        hint = "name its CA in spec.caCertSecretRef or have it trusted for all (docs/trust.md), or correct the address"
        return Failure(FailureKind.TLS, f"the certificate of {where} is not trusted: {error.verify_message}; {hint}")
    what = (getattr(error, "reason", None) or "handshake failed").lower().replace("_", " ")
    return Failure(FailureKind.TLS, f"no TLS with {where}: {what}; does the tool speak https there?")


def system_words(error: OSError) -> str:
    """The system's words for an error number: what a library wrote in their place may name addresses and ports."""
    return os.strerror(error.errno) if error.errno else "connection failed"


def _denied(ranges: str, address: Address) -> str:
    return f"{address.host} may not be dialled ({ranges}); correct the address, or ask an operator for --allow-upstream"
