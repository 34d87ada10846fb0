"""A certificate that somebody else keeps current, cert-manager for one, in two files, mounted or not."""

from __future__ import annotations

import logging
import os
import ssl
import stat
from dataclasses import dataclass
from pathlib import Path

from connectors.model.key_pair import KeyPair
from connectors.model.secret_value import SecretValue
from connectors.process.clock import Clock
from connectors.tls.certificates import read_pem
from connectors.tls.loading import KeyPairError
from connectors.tls.serving import Serving
from connectors.tls.signing_key import signing_key

logger = logging.getLogger("connectors.tls")

POLL = 2.0
"""Seconds between two looks. Both files are a few kilobytes in memory; the kubelet changes them once in weeks, by
exchanging the link `..data`, of which reports of the file system tell only to who knows of it."""
MAX_BYTES = 1 << 20
"""Of one file: a Secret holds no more, and a chain is a hundredth of it."""


@dataclass(frozen=True, slots=True)
class PairFiles:
    """Where a chain, its leaf first, and the leaf's private key are, both in PEM."""

    certificate: Path
    key: Path

    def __str__(self) -> str:
        return f"{self.certificate} and {self.key}"


class Mounted:
    """`run` it as long as there is a listener."""

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
        """Why there is no certificate to serve (a ReadyCheck)."""
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
        """The same, for whoever cannot begin without.

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
        # Of a pipe nobody knows when it ends, and everything waits.
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
