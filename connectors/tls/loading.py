"""A certificate with its private key -> an ssl.SSLContext that shows it, without a file that others could read."""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from connectors.objects.secret import KeyPair


class KeyPairError(OSError):
    """A chain and a key cannot be used in a handshake; the message holds nothing of either.

    An OSError, as ssl.SSLError is: for code that dials, it is one more reason for having no connection.
    """


def load_key_pair(context: ssl.SSLContext, pair: KeyPair) -> None:
    """Have `context` show this certificate. Blocks for a moment.

    Raises:
        KeyPairError: it cannot be read, or its key does not fit, or is encrypted.
    """
    with _file(pair) as path:
        try:
            context.load_cert_chain(path, password=_no_password)
        except ssl.SSLError as error:
            other = ": it is another certificate's" if error.reason == "KEY_VALUES_MISMATCH" else ""
            raise KeyPairError(f"the certificate cannot be read, or its key does not fit{other}") from None
        except OSError as error:
            raise KeyPairError(f"the certificate cannot be loaded: {error.strerror}") from None
        except ValueError:
            raise KeyPairError("the key is encrypted; give one without a passphrase") from None


def _no_password() -> str:
    """Refuse to give a passphrase: without this, OpenSSL asks for one on the terminal if a key is encrypted."""
    raise ValueError("the key is encrypted")


@contextmanager
def _file(pair: KeyPair) -> Iterator[str]:
    """Both in PEM as a file in memory: Python's ssl reads files alone, and the container's file system is read-only."""
    try:
        descriptor, path = _opened()
    except OSError as error:
        raise KeyPairError(f"the certificate cannot be loaded: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            file.write(pair.chain + b"\n" + pair.key.reveal())
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
