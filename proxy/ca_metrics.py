"""When the CA certificates that the proxy trusts end: who renews them in time sees no outage."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from connectors.authorities import Authorities


class AuthorityMetrics(Collector):
    """One series for each Secret with certificates."""

    def __init__(self, registry: CollectorRegistry, current: Callable[[], Authorities]) -> None:
        """`current` is asked at each scrape, in another thread."""
        self._current = current
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """The one family; without a series while custom CAs are off."""
        family = GaugeMetricFamily(
            "connectors_proxy_ca_certificate_expiry_seconds",
            "When the first CA certificate of a Secret ends, as Unix time (global: trusted for all; connector: of "
            "spec.caCertSecretRef).",
            labels=("source", "namespace", "secret"),
        )
        for source, held in self._current().by_source.items():
            for authority in held:
                if (ends := authority.bundle.first_end) is not None:
                    family.add_metric((source, *authority.secret.key), ends)
        yield family
