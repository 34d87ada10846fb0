"""What this end brings to handshakes with tools, counted while Connectors and CAs come and go. Pure."""

from __future__ import annotations

from connectors.examination import Examined
from connectors.model.connector import ConnectorKey
from connectors.model.key_pair import KeyPair
from connectors.model.secret import SecretKey
from connectors.tls.pool import ClientTls, Trust


class Handshakes:
    """Everything that may be brought to one, by what it is for."""

    def __init__(self) -> None:
        self._trusts: dict[SecretKey | None, tuple[ClientTls, ...]] = {}
        self._shown: dict[ConnectorKey, tuple[ClientTls, ...]] = {}
        self._counts: dict[ClientTls, int] = {}
        self._current: frozenset[ClientTls] | None = None

    def of_trust(self, key: SecretKey | None, trust: Trust | None) -> None:
        """Whom those trust that refer to this Secret with CAs, or to none; None: they are gone."""
        self._count(self._trusts.pop(key, ()), -1)
        if trust is not None:
            self._trusts[key] = both = _both(trust, None)
            self._count(both, 1)

    def of_connector(self, key: ConnectorKey, examined: Examined | None) -> None:
        """A Connector that may show a certificate; None: it is gone."""
        self._count(self._shown.pop(key, ()), -1)
        if examined is not None and examined.credential.certificate is not None:
            self._shown[key] = both = _both(examined.inputs.trust, examined.credential.certificate)
            self._count(both, 1)

    def current(self) -> frozenset[ClientTls]:
        """All of it as one value."""
        if self._current is None:
            self._current = frozenset(self._counts)
        return self._current

    def _count(self, used: tuple[ClientTls, ...], step: int) -> None:
        for tls in used:
            count = self._counts.get(tls, 0) + step
            if count:
                self._counts[tls] = count
            else:
                del self._counts[tls]
            if count == 0 or count == step:
                self._current = None


def _both(trust: Trust, certificate: KeyPair | None) -> tuple[ClientTls, ...]:
    return ClientTls(trust.pool, certificate), ClientTls(trust.at_api_server, certificate)
