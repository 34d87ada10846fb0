"""With which keys the API server signs ServiceAccounts' tokens, as it says itself; asked in the background."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Protocol

import msgspec
from msgspec import Struct

from connectors.json_depth import too_deep
from connectors.kube.errors import KubeError, UnavailableError
from connectors.process.clock import Clock
from proxy.callers.jwks import Key, KeySetError, keys_of

logger = logging.getLogger("connectors.identity")

# OpenID Connect Discovery 1.0 section 4; Kubernetes, "Service account issuer discovery". The keys are asked of the API
# server at its own path, never at the `jwks_uri` that the first document names: that may be anywhere.
CONFIGURATION = "/.well-known/openid-configuration"
KEYS = "/openid/v1/jwks"
# Bytes of each. A key has half a KiB.
MAX_DOCUMENT = 64 * 1024
# Seconds. Keys are exchanged a few times a year.
REFRESH = 300.0
# Seconds between two requests at least, whatever key a token names: anybody can write the name of a key.
SOONEST = 60.0


class Documents(Protocol):
    """The part of KubeClient that is needed."""

    async def document(self, path: str, most: int) -> bytes:
        """What is published at a path, of at most `most` bytes.

        Raises:
            KubeError: nothing, or nothing now.
        """


class _Configuration(Struct, frozen=True):
    issuer: str


class SigningKeys:
    """The issuer and its keys; none until they were read, and where the API server publishes none."""

    def __init__(self, documents: Documents, clock: Clock) -> None:
        self.issuer = ""
        self._keys: Mapping[str, Key] = {}
        self._documents = documents
        self._clock = clock
        self._missed = False

    def find(self, issuer: str, kid: str) -> Key | None:
        """The key of that id, if that is the issuer. One that is not known is looked for before long."""
        if not issuer or issuer != self.issuer:
            return None
        key = self._keys.get(kid)
        if key is None:
            self._missed = True
        return key

    async def run(self) -> None:
        """Read them, and again when they may have changed, until it is cancelled."""
        while True:
            await self.renew()
            await self._clock.sleep(SOONEST)
            waited = SOONEST
            while not self._missed and waited < REFRESH:
                await self._clock.sleep(SOONEST)
                waited += SOONEST

    async def renew(self) -> None:
        """Read them now. If the API server is away, those that were read last stay."""
        self._missed = False
        try:
            issuer = _issuer(await self._documents.document(CONFIGURATION, MAX_DOCUMENT))
            document = await self._documents.document(KEYS, MAX_DOCUMENT)
            keys = await asyncio.to_thread(keys_of, document)
        except UnavailableError:
            return
        except (KubeError, KeySetError) as error:
            self._take("", {}, f"the API server publishes no keys of ServiceAccounts' tokens that can be used: {error}")
        else:
            self._take(issuer, keys, f"new callers with tokens of {issuer} are asked about first: {len(keys)} keys")

    def _take(self, issuer: str, keys: Mapping[str, Key], news: str) -> None:
        if (issuer, keys.keys()) != (self.issuer, self._keys.keys()) or not issuer:
            logger.debug("%s", news)
        self.issuer, self._keys = issuer, keys


def _issuer(document: bytes) -> str:
    if too_deep(document):
        raise KeySetError("its configuration is nested too deeply")
    try:
        return msgspec.json.decode(document, type=_Configuration).issuer
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise KeySetError("its configuration names no issuer") from None
