"""Who may ask the webhook: clients with a certificate of the CAs in a file, which is followed."""

from __future__ import annotations

import logging
from pathlib import Path

from connectors.process.clock import Clock
from connectors.tls.certificates import as_pem, read_pem
from connectors.tls.loading import KeyPairError
from connectors.tls.serving import POLL, Serving, read_mounted

logger = logging.getLogger("connectors.admission")


class ClientAuthorities:
    """`run` it as long as there is a listener. Until the file has been read once, no client is let in."""

    def __init__(self, file: Path, serving: Serving, clock: Clock) -> None:
        self._file = file
        self._serving = serving
        self._clock = clock
        self._known = False
        self._problem = ""
        # No CA, so no client: unknown means deny.
        serving.only_for(b"")

    def missing(self) -> str | None:
        """Why no client can be let in yet (a Readiness)."""
        if self._known:
            return None
        return f"the CAs of --webhook-client-ca in {self._file}" + (f": {self._problem}" if self._problem else "")

    async def run(self) -> None:
        """Follow the file, until cancelled."""
        while True:
            self.look()
            await self._clock.sleep(POLL)

    def look(self) -> None:
        """Read the file. What holds no certificate, as between two writes, leaves the CAs before in place."""
        try:
            found = read_pem(read_mounted(self._file))
        except KeyPairError as error:
            self._failed(str(error))
            return
        if not found.certificates:
            self._failed(f"{self._file} holds no certificate in PEM that can be read")
            return
        # Certificates alone, whatever somebody put beside them (threat 24).
        changed = self._serving.only_for(b"".join(as_pem(item) for item in found.certificates))
        self._known, self._problem = True, ""
        if changed:
            logger.info("the webhook answers clients with a certificate of the CAs in %s", self._file)
            for problem in found.problems:
                logger.warning("%s: %s", self._file, problem)

    def _failed(self, problem: str) -> None:
        if problem != self._problem:
            kept = "keeping those before" if self._known else "no client is let in"
            logger.warning("CAs of the webhook's clients cannot be used, %s: %s", kept, problem)
        self._problem = problem
