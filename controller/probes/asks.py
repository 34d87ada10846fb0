"""What is to be asked about one object: its class's probes, or what is to be said without asking. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from connectors.expressions.template import Subject
from connectors.judgement import Judgement
from connectors.objects.connector_class import Probe
from connectors.objects.reasons import ConditionReason
from connectors.objects.violation import errors
from controller.destination import Platform
from controller.probes.outcome import ProbeOutcome, Purpose, failed
from controller.probes.request import Ask, api_ask, http_ask, undeclared


@dataclass(frozen=True, slots=True)
class Asks:
    """The probes of a Connector; None if its class has none, or where it cannot be probed as it is."""

    liveness: Ask | ProbeOutcome | None = None
    auth: Ask | ProbeOutcome | None = None

    def items(self) -> Iterator[tuple[Purpose, Ask | ProbeOutcome]]:
        """Each that there is, with what it is for."""
        found = ((Purpose.LIVENESS, self.liveness), (Purpose.AUTH, self.auth))
        return ((purpose, ask) for purpose, ask in found if ask is not None)


def asks_of(judgement: Judgement, platform: Platform | None) -> Asks:
    """The probes of a Connector. Of one that breaks a rule none; without its Secret none of its credential."""
    connector, connector_class = judgement.connector, judgement.connector_class
    if connector_class is None or errors(judgement.violations):
        return Asks()
    # A Secret that cannot serve is none: a probe of the tool itself goes on without it, one of the credential does not.
    lost = judgement.secret_problem is not None
    subject = Subject(connector, connector_class, None if lost else judgement.secret)
    auth = connector.spec.auth
    declared = connector_class.auth_probe(auth.name) if auth and not lost else None
    return Asks(
        _ask(connector_class.spec.liveness_probe, Purpose.LIVENESS, subject, judgement, platform),
        _ask(declared.probe if declared else None, Purpose.AUTH, subject, judgement, platform),
    )


def _ask(
    probe: Probe | None, purpose: Purpose, subject: Subject, judgement: Judgement, platform: Platform | None
) -> Ask | ProbeOutcome | None:
    if probe is not None and probe.http is not None:
        return _with_tls(http_ask(probe.http, purpose, subject, judgement.addresses), judgement)
    if probe is not None and probe.api is not None:
        return _trusting(api_ask(probe.api, purpose, subject, platform), judgement)
    return None


def _with_tls(ask: Ask | ProbeOutcome, judgement: Judgement) -> Ask | ProbeOutcome:
    """The client certificate is shown to origins that the Connector declares, and to no other (threat 25)."""
    trusting, certificate = _trusting(ask, judgement), judgement.credential.certificate
    if isinstance(trusting, ProbeOutcome) or certificate is None:
        return trusting
    if trusting.request.address.origin in {address.origin for address in judgement.addresses.values()}:
        return replace(trusting, request=replace(trusting.request, certificate=certificate))
    if trusting.purpose is Purpose.AUTH:
        return failed(ConditionReason.ADDRESS_NOT_DECLARED, undeclared("the client certificate", trusting.request))
    return trusting


def _trusting(ask: Ask | ProbeOutcome, judgement: Judgement) -> Ask | ProbeOutcome:
    """Whom the Connector's traffic trusts, its probes do, and they go the same way (threat 23)."""
    if isinstance(ask, ProbeOutcome):
        return ask
    of = judgement.connector.key
    return replace(ask, request=replace(ask.request, trust=judgement.trust, connector=of, egress=judgement.egress))
