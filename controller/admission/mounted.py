"""A certificate that somebody else keeps current, cert-manager for one, mounted as files."""

from __future__ import annotations

import logging
from pathlib import Path

from connectors.model.secret_value import SecretValue
from connectors.process.clock import Clock
from controller.admission.certificates import CERTIFICATE, KEY, Pair
from controller.admission.serving import CertificateError, Serving

logger = logging.getLogger("connectors.admission")

POLL = 2.0
"""Seconds between two looks. Both files are a few kilobytes in memory; the kubelet changes them once in weeks, by
exchanging the link `..data`, of which reports of the file system tell only to who knows of it."""


class Mounted:
    """`run` it as long as the webhook serves."""

    def __init__(self, folder: Path, serving: Serving, clock: Clock) -> None:
        self._folder = folder
        self._serving = serving
        self._clock = clock
        self._problem = ""

    def missing(self) -> str | None:
        """Why there is no certificate to serve (a ReadyCheck)."""
        if self._serving.ready:
            return None
        return f"the webhook's certificate in {self._folder}" + (f": {self._problem}" if self._problem else "")

    async def run(self) -> None:
        """Serve what the files hold, until cancelled."""
        while True:
            self.look()
            await self._clock.sleep(POLL)

    def look(self) -> None:
        """Read both files. What cannot be served, as between two writes, leaves the certificate before in place."""
        try:
            certificate, key = ((self._folder / name).read_bytes() for name in (CERTIFICATE, KEY))
            if self._serving.serve(Pair(certificate, SecretValue(key))):
                logger.info("the webhook serves the certificate of %s", self._folder)
            self._problem = ""
        except (OSError, CertificateError) as error:
            self._failed(str(error))

    def _failed(self, problem: str) -> None:
        if problem != self._problem:
            logger.warning("the webhook's certificate in %s cannot be used, trying again: %s", self._folder, problem)
        self._problem = problem
