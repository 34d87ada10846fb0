"""Foreign exceptions of an HTTP exchange -> failures, in one table. None of their own words get through: aiohttp's hold
the URL and the header fields that were sent.
"""

from __future__ import annotations

import errno
import ssl

import aiohttp

from connectors.dial.failure import dial_failure, place, system_words, tls_failure
from connectors.dial.kind import Failure, FailureKind
from connectors.objects.addresses import Address

_CLOSED = frozenset({errno.ECONNABORTED, errno.ECONNRESET, errno.EPIPE})


class ExchangeFailedError(Exception):
    """There is no answer. `failure` says why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def exchange_failure(error: aiohttp.ClientError | OSError, address: Address) -> Failure:
    """What to tell of an exception from dialling to the body's last byte."""
    match error:
        case aiohttp.ClientConnectorCertificateError(certificate_error=OSError() as cause):
            return dial_failure(cause, address)
        case aiohttp.ClientConnectorError():
            return dial_failure(error.os_error, address)
        case aiohttp.ServerDisconnectedError():
            return _closed(address) if isinstance(error.message, str) else _not_http(address)
        case aiohttp.ServerFingerprintMismatch():
            return Failure(FailureKind.TLS, f"the certificate of {place(address)} is another one")
        case aiohttp.ClientError():
            return _exchange(error, address)
        case _:
            return dial_failure(error, address)


def timeout_failure(address: Address) -> Failure:
    """What to tell where the whole of it took too long: nobody knows how far it got."""
    message = f"no answer from {place(address)} in time; is the tool, or the name server for its name, slow or away?"
    return Failure(FailureKind.TIMEOUT, message)


def _exchange(error: aiohttp.ClientError, address: Address) -> Failure:
    match error:
        case TimeoutError():
            return timeout_failure(address)
        case OSError(__cause__=ssl.SSLError() as alert):
            # With TLS 1.3 a server's verdict on the client comes behind the handshake.
            return tls_failure(alert, address)
        case aiohttp.ClientOSError() if error.errno not in _CLOSED:
            where = place(address)
            return Failure(FailureKind.UNREACHABLE, f"the connection to {where} broke: {system_words(error)}")
        case aiohttp.ClientConnectionError():
            return _closed(address)
        case _:
            return _not_http(address)


def _closed(address: Address) -> Failure:
    # In order or with a reset: that depends on whether the request was there yet, which changes from try to try.
    return Failure(FailureKind.UNREACHABLE, f"{place(address)} closed the connection without an answer")


def _not_http(address: Address) -> Failure:
    # One sentence: how much of a wrong answer was taken depends on how the network cut it into pieces.
    what = "is not HTTP/1.1, has too large a head, or breaks off"
    return Failure(FailureKind.PROTOCOL, f"the answer of {place(address)} {what}; does an HTTP server listen there?")
