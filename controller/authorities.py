"""The Secrets whose CAs are trusted for all: what is wrong with one is told in an Event about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from connectors.kube.resources import SECRETS
from connectors.objects.secret import SecretKey
from connectors.trust import Authorities, Authority
from controller.conditions import CA_INVALID, EventType, Happening, bounded, invalid_message, left_out
from controller.events import Regarding


class AuthorityReporter:
    """Level-triggered: `follow` gets the current Secrets, and records each new problem once."""

    def __init__(self, record: Callable[[Regarding, Happening], None]) -> None:
        self._record = record
        self._told: dict[SecretKey, tuple[str, str]] = {}

    def follow(self, authorities: Authorities) -> None:
        """Record new problems. A problem that is over is forgotten, so that it can be recorded again."""
        found = {}
        for authority in authorities.for_all:
            if message := problem_of(authority):
                key, metadata = authority.secret.key, authority.secret.metadata
                found[key] = (metadata.uid, message)
                if self._told.get(key) != found[key]:
                    self._record(Regarding.of(SECRETS, metadata), Happening(EventType.WARNING, CA_INVALID, message))
        self._told = found

    def clear(self) -> None:
        """Forget everything: another replica records now."""
        self._told = {}


def problem_of(authority: Authority) -> str:
    """What is wrong with such a Secret; empty if nothing is."""
    bundle, name = authority.bundle, authority.secret.metadata.name
    if not bundle.certificates:
        return bounded(invalid_message(name, bundle.problems))
    return (
        bounded(f'Secret "{name}" holds more than CA certificates, {left_out(bundle.problems)}')
        if bundle.problems
        else ""
    )


class AuthorityMetrics(Collector):
    """How many CA certificates there are, by the layer that they are of."""

    def __init__(
        self, registry: CollectorRegistry, current: Callable[[], Authorities], now: Callable[[], datetime]
    ) -> None:
        """`current` is asked at each scrape, in another thread; `now` is the wall clock."""
        self._current = current
        self._now = now
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """The one family; without a series while custom CAs are off."""
        family = GaugeMetricFamily(
            "connectors_controller_ca_certificates",
            "CA certificates in Secrets (global: trusted for all; connector: of spec.caCertSecretRef), by what they "
            "are worth; invalid: what could not be read.",
            labels=("source", "state"),
        )
        authorities = self._current()
        if authorities.enabled:
            for source, held in authorities.by_source.items():
                for state, count in self._counts(held).items():
                    family.add_metric((source, state), count)
        yield family

    def _counts(self, held: tuple[Authority, ...]) -> dict[str, int]:
        now = self._now().timestamp()
        ends = [certificate.ends for authority in held for certificate in authority.bundle.certificates]
        expired = sum(end <= now for end in ends)
        invalid = sum(authority.bundle.invalid for authority in held)
        return {"valid": len(ends) - expired, "expired": expired, "invalid": invalid}
