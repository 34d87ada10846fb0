"""Pools of CAs -> ssl.SSLContext, the one way there is: for traffic, probes and token exchange (threats 22 and 23)."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import OrderedDict
from collections.abc import Callable, Container, Mapping
from dataclasses import replace
from pathlib import Path

import certifi

from connectors.process.settings import foreign_variable
from connectors.tls.loading import KeyPairError, load_key_pair
from connectors.tls.pool import SYSTEM_TLS, ClientTls, TlsVersion

logger = logging.getLogger("connectors.tls")

# Contexts kept. With the system's 140 certificates one takes 0.9 MB, and 20 ms of a thread to build; equal pools share
# one, so that a cluster with one CA of its own has two.
MAX_CONTEXTS = 128

STORE_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
# Python's own for TLS 1.2, without DHE, which no tool needs any more and Go has never spoken: with a group of 8,192
# bits a tool could stop everything for 0.4 s with each handshake. (TLS 1.3 has suites of its own.)
CIPHERS = "@SECLEVEL=2:ECDH+AESGCM:ECDH+CHACHA20:ECDH+AES:!aNULL:!eNULL:!aDSS:!SHA1:!AESCCM"
VERSIONS: Mapping[TlsVersion, ssl.TLSVersion] = {
    TlsVersion.TLS_1_2: ssl.TLSVersion.TLSv1_2,
    TlsVersion.TLS_1_3: ssl.TLSVersion.TLSv1_3,
}


class Contexts:
    """Keeps a context for each ClientTls that is in use. Every one verifies; there is no switch for less."""

    def __init__(
        self,
        minimum: TlsVersion = TlsVersion.TLS_1_2,
        build: Callable[[ClientTls, TlsVersion], ssl.SSLContext] | None = None,
    ) -> None:
        """`minimum`: the lowest version of TLS that is spoken. `build` blocks, and is called in a thread."""
        self._minimum = minimum
        self._build = build or build_context
        self._kept: OrderedDict[ClientTls, asyncio.Future[ssl.SSLContext]] = OrderedDict()

    async def context(self, tls: ClientTls) -> ssl.SSLContext:
        """The context; if there is none yet it is built beside the event loop, once for all who ask.

        Raises:
            KeyPairError: the certificate to show cannot be loaded.
        """
        found = self._kept.get(tls)
        if found is None or _may_pass(found):
            found = self._kept[tls] = asyncio.ensure_future(asyncio.to_thread(self._build, tls, self._minimum))
            found.add_done_callback(_seen)
            while len(self._kept) > MAX_CONTEXTS:
                self._kept.popitem(last=False)
        self._kept.move_to_end(tls)
        # Shielded: a caller that is cancelled does not take it from the others. A finished one costs nothing.
        return found.result() if found.done() else await asyncio.shield(found)

    def keep_only(self, used: Container[ClientTls]) -> None:
        """Let go of the others: their CAs, and private keys, are no longer in use. The system's own stays."""
        for tls in [tls for tls in self._kept if replace(tls, choice=0) not in used and tls != SYSTEM_TLS]:
            del self._kept[tls]


def build_context(tls: ClientTls, minimum: TlsVersion = TlsVersion.TLS_1_2) -> ssl.SSLContext:
    """A context that verifies chain and host name. Reads the system's store, for some 20 ms.

    A certificate of the pool is trusted as it is, be it a root, an intermediate one or the tool's own: as curl and Go
    do (X509_V_FLAG_PARTIAL_CHAIN). Python 3.13's stricter reading of RFC 5280 is left out, for the same reason.

    Raises:
        KeyPairError: the certificate to show cannot be loaded.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = VERSIONS[minimum]
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~ssl.VerifyFlags.VERIFY_X509_STRICT
    context.set_alpn_protocols(["http/1.1"])
    context.set_ciphers(CIPHERS)
    _load_system_store(context)
    for certificate in tls.authorities:
        _load(context, certificate.der)
    if tls.certificate is not None:
        load_key_pair(context, tls.certificate)
    return context


def _load(context: ssl.SSLContext, der: bytes) -> None:
    try:
        context.load_verify_locations(cadata=der)
    except ssl.SSLError as error:
        # One that connectors/tls/certificates.py could read, and OpenSSL cannot: the others still count.
        logger.error("OpenSSL does not take a CA certificate, it is left out: %s", error.reason)


def _load_system_store(context: ssl.SSLContext) -> None:
    """The operating system's store (OpenSSL honours SSL_CERT_FILE and SSL_CERT_DIR), certifi if there is none."""
    context.load_default_certs()
    if _has_system_store():
        return
    if any(foreign_variable(name) for name in STORE_VARIABLES):
        # The user has said whom to trust. A missing store is not a reason to trust half of the world instead.
        logger.error("%s name no store of CA certificates: no public CA is trusted", " and ".join(STORE_VARIABLES))
    else:
        logger.warning("this machine has no store of CA certificates where OpenSSL looks: using those of certifi")
        context.load_verify_locations(cafile=certifi.where())


def _has_system_store() -> bool:
    paths = ssl.get_default_verify_paths()
    file_found = paths.cafile is not None and Path(paths.cafile).is_file()
    folder_found = paths.capath is not None and any(Path(paths.capath).iterdir())
    return file_found or folder_found


def _may_pass(future: asyncio.Future[ssl.SSLContext]) -> bool:
    """Whether it failed, and not for good: the system's store may be out of reach; a key that does not fit stays so."""
    if not future.done():
        return False
    return future.cancelled() or (future.exception() is not None and not isinstance(future.exception(), KeyPairError))


def _seen(future: asyncio.Future[ssl.SSLContext]) -> None:
    """The caller may be gone; asyncio need not report that the result was not looked at."""
    if not future.cancelled():
        future.exception()
