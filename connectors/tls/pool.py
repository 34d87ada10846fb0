"""The layers of CAs that are trusted toward a tool, as values that can be compared. Pure."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum

from connectors.objects.addresses import Origin
from connectors.objects.secret import KeyPair
from connectors.tls.certificates import Bundle, Certificate


class TlsVersion(StrEnum):
    """Versions of TLS that a setting can name: those that are still spoken (RFC 8996 has ended those before)."""

    TLS_1_2 = "1.2"
    TLS_1_3 = "1.3"


@dataclass(frozen=True, slots=True)
class Pool:
    """Certificates that are trusted besides the system's store. Pools of the same certificates are equal.

    `digest` names the pool: what was connected under one is not used under another. `namesakes`: how many certificates
    share a subject, at most (see ClientTls.choice).
    """

    certificates: tuple[Certificate, ...] = field(default=(), compare=False, repr=False)
    digest: str = ""
    namesakes: int = field(default=1, compare=False)


# CAs of one name that are tried: a rotation has two, and each is a handshake.
MAX_NAMESAKES = 8
# The system's store and nothing else.
SYSTEM = Pool()


def pool_of(certificates: Iterable[Certificate]) -> Pool:
    """The pool of these certificates, whatever their order and number."""
    unique = {certificate.fingerprint: certificate for certificate in certificates}
    if not unique:
        return SYSTEM
    fingerprints = sorted(unique)
    digest = hashlib.sha256(b"".join(fingerprints)).hexdigest()
    namesakes = max(Counter(certificate.subject for certificate in unique.values()).values())
    return Pool(tuple(unique[fingerprint] for fingerprint in fingerprints), digest, min(namesakes, MAX_NAMESAKES))


@dataclass(frozen=True, slots=True)
class ApiServer:
    """The cluster's own API server: where it is, and who vouches for it (the ServiceAccount's ca.crt)."""

    origins: frozenset[Origin]
    bundle: Bundle


@dataclass(frozen=True, slots=True)
class Trust:
    """The CAs that one Connector trusts: `pool`, and `at_api_server` if its tool is the cluster's own API server."""

    pool: Pool = SYSTEM
    at_api_server: Pool = SYSTEM
    api_server: frozenset[Origin] = frozenset()

    def toward(self, origin: Origin) -> Pool:
        """The pool for connections to this origin: the one place that decides, for traffic and probes (threat 23)."""
        return self.at_api_server if origin in self.api_server else self.pool

    @property
    def digests(self) -> tuple[str, str]:
        """The new value, unless it equals the one before."""
        return self.pool.digest, self.at_api_server.digest


SYSTEM_TRUST = Trust()


def trust_of(certificates: Iterable[Certificate], api_server: ApiServer | None) -> Trust:
    """The system's store, these certificates, and toward the API server its own CA."""
    pool = pool_of(certificates)
    if api_server is None:
        return Trust(pool, pool)
    return Trust(pool, pool_of((*pool.certificates, *api_server.bundle.certificates)), api_server.origins)


@dataclass(frozen=True, slots=True)
class ClientTls:
    """What this end brings to a handshake with a tool: the CAs that it trusts, and the certificate it shows, if any.

    `choice`: 0 for the whole pool. OpenSSL looks for an issuer by its subject, and tries one of that name: a CA that
    was made again under its old name, as most are, hides the other. With N from 1 on the Nth of each name is loaded.
    """

    pool: Pool = SYSTEM
    certificate: KeyPair | None = None
    choice: int = 0

    @property
    def authorities(self) -> tuple[Certificate, ...]:
        """The certificates of the pool that are loaded."""
        if not self.choice:
            return self.pool.certificates
        named: dict[bytes, list[Certificate]] = {}
        for certificate in self.pool.certificates:
            named.setdefault(certificate.subject, []).append(certificate)
        return tuple(same[(self.choice - 1) % len(same)] for same in named.values())

    @property
    def choices(self) -> tuple[ClientTls, ...]:
        """What to try after the whole pool; nothing if no two certificates share a name."""
        if self.pool.namesakes == 1:
            return ()
        return tuple(replace(self, choice=number + 1) for number in range(self.pool.namesakes))


SYSTEM_TLS = ClientTls()
