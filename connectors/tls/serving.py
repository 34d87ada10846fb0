"""The certificate that a listener shows, exchanged while it listens: handshakes that begin later get the new one."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Callable

from connectors.model.key_pair import KeyPair
from connectors.tls.certificates import read_pem
from connectors.tls.contexts import VERSIONS
from connectors.tls.loading import load_key_pair
from connectors.tls.version import TlsVersion


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
        """For one connection, where the listener can choose.

        No session can be resumed with it that began under another certificate; nor has it a callback, for which Python
        decodes the name that a client asks for, and prints a traceback where that is no ASCII.
        """
        return self._current or self.context

    def serve(self, pair: KeyPair) -> bool:
        """From now on this one; False where it is served already. Connections that there are keep theirs.

        Raises:
            KeyPairError: it cannot be; the one before stays.
        """
        # Of both: a wrong key beside the chain that is served would be found out at the next start only.
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
    # A session that is resumed shows no certificate, so nobody would see a new one. The first is for TLS 1.3, the other
    # for 1.2, where a client may still resume by session id: Go's, and so API servers, do not.
    context.num_tickets = 0
    # No finite-field groups in TLS 1.3 either: one of 8,192 bits stops everything for 0.1 s with each hello.
    context.set_ecdh_curve("prime256v1")
    # The third is what OpenSSL 3 does by itself: a client could have the same connection shaken again and again.
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    return context
