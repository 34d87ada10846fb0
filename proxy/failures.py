"""Foreign exceptions of a dial -> refusals, in one table."""

from __future__ import annotations

import socket
import ssl

from connectors.model.addresses import Address
from connectors.model.reasons import Reason
from connectors.model.refusal import Refusal


class LookupTimeoutError(TimeoutError):
    """The name server took too long: nothing has been dialled yet."""


def dial_refusal(error: OSError | TimeoutError, address: Address) -> Refusal:
    """What to tell the caller. Names the declared host and port only: an address is not a secret, all else could be."""
    place = f"{address.host}:{address.port}"
    match error:
        case ssl.SSLCertVerificationError():
            hint = "add its CA to the trust store, or correct the address"
            return Refusal(
                Reason.UPSTREAM_TLS, f"the certificate of {place} is not trusted: {error.verify_message}; {hint}"
            )
        case ssl.SSLError():
            what = (getattr(error, "reason", None) or "handshake failed").lower().replace("_", " ")
            return Refusal(Reason.UPSTREAM_TLS, f"no TLS with {place}: {what}; does the tool speak https there?")
        case LookupTimeoutError():
            message = f"the name {address.host} was not resolved in time; is its name server reachable?"
            return Refusal(Reason.UPSTREAM_TIMEOUT, message)
        case TimeoutError():
            return Refusal(Reason.UPSTREAM_TIMEOUT, f"{place} did not accept a connection in time")
        case socket.gaierror():
            return Refusal(Reason.UPSTREAM_UNREACHABLE, f"the name {address.host} does not resolve; check spec.address")
        case ConnectionRefusedError():
            return Refusal(Reason.UPSTREAM_UNREACHABLE, f"{place} refuses connections; is the tool running?")
        case ConnectionAbortedError() if address.scheme == "https":
            return Refusal(Reason.UPSTREAM_TLS, f"{place} ended the TLS handshake")
        case _:
            what = error.strerror or "connection failed"
            return Refusal(Reason.UPSTREAM_UNREACHABLE, f"{place} cannot be reached: {what}")
