"""The certificate that is served, exchanged on the live TLS context: handshakes that begin later get the new one."""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from controller.admission.certificates import Pair, expiry
from controller.admission.metrics import AdmissionMetrics


class CertificateError(Exception):
    """A certificate and its key that cannot serve; the message holds nothing of either."""


class Serving:
    """`context` is for the listener. Without a certificate yet, every handshake fails."""

    def __init__(self, metrics: AdmissionMetrics) -> None:
        self.context = _context()
        self._metrics = metrics
        self._chain = b""

    @property
    def ready(self) -> bool:
        """Whether there is a certificate to serve."""
        return bool(self._chain)

    def serve(self, pair: Pair) -> bool:
        """From now on this one; False where it is served already.

        Raises:
            CertificateError: it cannot be; the one before stays.
        """
        if pair.certificate == self._chain:
            return False
        # First into a context that nobody uses: a certificate whose key does not fit would stay in the live one.
        _load(_context(), pair)
        _load(self.context, pair)
        self._chain = pair.certificate
        if ends := expiry(pair.certificate):
            self._metrics.serves_until(ends.timestamp())
        return True


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    # A session that is resumed shows no certificate, so nobody would see a new one. The first is for TLS 1.3, the other
    # for 1.2, where a client may still resume by session id: Go's, and so API servers, do not.
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET
    return context


def _load(context: ssl.SSLContext, pair: Pair) -> None:
    with _file(pair) as path:
        try:
            context.load_cert_chain(path, password=_no_password)
        except (ssl.SSLError, ValueError):
            raise CertificateError("the certificate cannot be read, or its key does not fit") from None


def _no_password() -> str:
    """Without it OpenSSL would ask for one on the terminal, of a key that is encrypted."""
    raise ValueError("the key is encrypted")


@contextmanager
def _file(pair: Pair) -> Iterator[str]:
    """Both in PEM as a file in memory: Python's ssl reads files alone, and the container's file system is read-only."""
    descriptor, path = _opened()
    try:
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            file.write(pair.certificate + b"\n" + pair.key.reveal())
        yield path
    finally:
        os.close(descriptor)
        if not path.startswith("/proc/"):
            Path(path).unlink()


def _opened() -> tuple[int, str]:
    if hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir():
        descriptor = os.memfd_create("certificate", os.MFD_CLOEXEC)
        return descriptor, f"/proc/self/fd/{descriptor}"
    return tempfile.mkstemp(prefix="certificate-")  # of mode 0600, and gone as soon as it was read
