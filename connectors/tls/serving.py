"""The certificate that a listener shows, exchanged while it listens: handshakes that begin later get the new one."""

from __future__ import annotations

import hashlib
import logging
import os
import ssl
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from connectors.objects.secret import KeyPair, SecretValue
from connectors.process.clock import Clock
from connectors.tls.certificates import read_pem, signing_key
from connectors.tls.contexts import VERSIONS
from connectors.tls.loading import KeyPairError, load_key_pair
from connectors.tls.pool import TlsVersion


class Serving:
    """`context` is for the listener, for as long as it listens. Without a certificate yet, every handshake fails."""

    def __init__(self, serves_until: Callable[[float], None], minimum: TlsVersion = TlsVersion.TLS_1_2) -> None:
        """`serves_until` hears when the certificate ends that is served from now on (Unix time).

        `minimum`: the lowest version of TLS that is spoken.
        """
        self._serves_until = serves_until
        self._minimum = minimum
        self._served = b""
        self._current: ssl.SSLContext | None = None
        self.context = _context(minimum)
        # Not another certificate for the live context: OpenSSL keeps one for each kind of key there, and would go on
        # showing an old RSA certificate beside a new one of ECDSA. It calls this for clients that name no host, too.
        self.context.sni_callback = self._choose

    @property
    def ready(self) -> bool:
        """Whether there is a certificate to serve."""
        return self._current is not None

    @property
    def now(self) -> ssl.SSLContext:
        """The context for one connection.

        No session can be resumed with it that began under another certificate; nor has it a callback, for which Python
        decodes the name that a client asks for, and prints a traceback if that is not ASCII.
        """
        return self._current or self.context

    def serve(self, pair: KeyPair) -> bool:
        """Serve this one from now on; False if it is served already. Open connections keep theirs.

        Raises:
            KeyPairError: it cannot be served; the one before stays.
        """
        # Both are compared: a wrong key beside the chain that is served would only show at the next start.
        served = hashlib.sha256(pair.chain + b"\0" + pair.key.reveal().strip()).digest()
        if served == self._served:
            return False
        fresh = _context(self._minimum)
        load_key_pair(fresh, pair)
        self._current, self._served = fresh, served
        if found := read_pem(pair.chain).certificates:
            self._serves_until(found[0].ends)
        return True

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> int | None:
        if self._current is None:
            return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR
        connection.context = self._current
        return None


def _context(minimum: TlsVersion) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = VERSIONS[minimum]
    context.set_alpn_protocols(["http/1.1"])
    # A session that is resumed shows no certificate, so a client would not see a new one. The first is for TLS 1.3, the
    # other for 1.2, where a client may still resume by session id: Go's, and so API servers, do not.
    context.num_tickets = 0
    # No finite-field groups in TLS 1.3 either: one of 8,192 bits stops everything for 0.1 s with each hello.
    context.set_ecdh_curve("prime256v1")
    # The third is what OpenSSL 3 does by itself: a client could have the same connection shaken again and again.
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    return context


logger = logging.getLogger("connectors.tls")

# Seconds between two looks. Both files are a few kilobytes in memory; the kubelet changes them once in weeks, by
# exchanging the link `..data`, of which the file system tells only programs that watch that link.
POLL = 2.0
# Of one file: a Secret holds no more, and a chain is a hundredth of it.
MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class PairFiles:
    """Where a chain, its leaf first, and the leaf's private key are, both in PEM."""

    certificate: Path
    key: Path

    def __str__(self) -> str:
        return f"{self.certificate} and {self.key}"


class Mounted:
    """A certificate that another program, cert-manager for example, keeps current in two files, mounted or not.

    `run` it as long as there is a listener.
    """

    def __init__(self, files: PairFiles, serving: Serving, clock: Clock) -> None:
        self._files = files
        self._serving = serving
        self._clock = clock
        self._problem = ""

    @property
    def context(self) -> ssl.SSLContext:
        """For a connection that begins now."""
        return self._serving.now

    def missing(self) -> str | None:
        """Why no certificate can be served yet (a Readiness)."""
        if self._serving.ready:
            return None
        return f"the certificate in {self._files}" + (f": {self._problem}" if self._problem else "")

    async def run(self) -> None:
        """Serve what the files hold, until cancelled."""
        while True:
            self.look()
            await self._clock.sleep(POLL)

    def look(self) -> None:
        """Read both files. What cannot be served, as between two writes, leaves the certificate before in place."""
        try:
            self.load()
            self._problem = ""
        except KeyPairError as error:
            self._failed(str(error))

    def load(self) -> None:
        """The same, for a caller that cannot begin without one.

        Raises:
            KeyPairError: it cannot be served; the message says which file is wrong, and quotes nothing of it.
        """
        chain, key = _read(self._files.certificate), _read(self._files.key)
        if not read_pem(chain).certificates:
            raise KeyPairError(f"{self._files.certificate} holds no certificate in PEM")
        if b"PRIVATE KEY-----" not in key:
            raise KeyPairError(f"{self._files.key} holds no private key in PEM")
        try:
            # One file may hold both: of the second the key alone, or the leaf would be shown twice.
            changed = self._serving.serve(KeyPair(chain, SecretValue(signing_key(key) or key)))
        except KeyPairError as error:
            raise KeyPairError(f"{self._files}: {error}") from None
        if changed:
            logger.info("serving the certificate in %s", self._files)

    def _failed(self, problem: str) -> None:
        if problem != self._problem:
            kept = "keeping the one before and " if self._serving.ready else ""
            logger.warning("a certificate to serve cannot be used, %strying again: %s", kept, problem)
        self._problem = problem


def _read(path: Path) -> bytes:
    try:
        # A pipe does not tell when it ends, and everything would wait.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:  # noqa: PTH123
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise KeyPairError(f"{path} is not a file")
            raw = file.read(MAX_BYTES + 1)
    except KeyPairError:
        raise
    except OSError as error:
        raise KeyPairError(f"{path}: {error.strerror}") from None
    if len(raw) > MAX_BYTES:
        raise KeyPairError(f"{path} is larger than {MAX_BYTES >> 20} MiB")
    return raw
