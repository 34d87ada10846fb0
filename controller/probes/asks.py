"""What is to be asked about one object: its class's probes, or what is to be said without asking. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from connectors.expressions.subject import Subject
from connectors.model.connector_class import Probe
from connectors.model.violation import errors
from connectors.snapshot import Binding
from controller.destination import Platform
from controller.probes.api_request import api_ask
from controller.probes.outcome import Outcome, Purpose
from controller.probes.request import Ask, http_ask


@dataclass(frozen=True, slots=True)
class Asks:
    """The probes of a Connector; None where its class has none, or where it cannot be probed as it is."""

    liveness: Ask | Outcome | None = None
    auth: Ask | Outcome | None = None

    def items(self) -> Iterator[tuple[Purpose, Ask | Outcome]]:
        """Each that there is, with what it is for."""
        found = ((Purpose.LIVENESS, self.liveness), (Purpose.AUTH, self.auth))
        return ((purpose, ask) for purpose, ask in found if ask is not None)


def asks_of(binding: Binding, platform: Platform | None) -> Asks:
    """The probes of a Connector. Of one that breaks a rule none; without its Secret none of its credential."""
    connector, connector_class = binding.connector, binding.connector_class
    if connector_class is None or errors(binding.violations):
        return Asks()
    # A Secret that cannot serve is none: a probe of the tool itself goes on without it, one of the credential does not.
    lost = binding.secret_problem is not None
    subject = Subject(connector, connector_class, None if lost else binding.secret)
    auth = connector.spec.auth
    declared = connector_class.auth_probe(auth.name) if auth and not lost else None
    return Asks(
        _ask(connector_class.spec.liveness_probe, Purpose.LIVENESS, subject, binding, platform),
        _ask(declared.probe if declared else None, Purpose.AUTH, subject, binding, platform),
    )


def _ask(
    probe: Probe | None, purpose: Purpose, subject: Subject, binding: Binding, platform: Platform | None
) -> Ask | Outcome | None:
    if probe is not None and probe.http is not None:
        return http_ask(probe.http, purpose, subject, binding.addresses)
    if probe is not None and probe.api is not None:
        return api_ask(probe.api, purpose, subject, platform)
    return None
