"""Probing outside of a cluster: what may be dialled there, and one Connector's probes run at once."""

from __future__ import annotations

from connectors.dialing.guard import DialGuard
from connectors.dialing.resolver import Resolver
from connectors.snapshot import Binding
from connectors.trust import system_trust
from controller.probes.asks import asks_of
from controller.probes.client import ProbeClient
from controller.probes.outcome import Outcome, Purpose
from controller.probes.probing import Sender, run_probe
from controller.probes.report import Report


def probe_client() -> ProbeClient:
    """A client for probes of this machine's own: tools on loopback are what a laptop has."""
    return ProbeClient(system_trust(), DialGuard(loopback=True), Resolver())


async def probe_binding(sender: Sender, binding: Binding, timeout: float) -> dict[Purpose, Report]:  # noqa: ASYNC109
    """Run both probes of a Connector, `timeout` seconds each at most; what its class does not probe is left out."""
    asks = asks_of(binding, None)
    reports = {}
    for purpose, ask in ((Purpose.LIVENESS, asks.liveness), (Purpose.AUTH, asks.auth)):
        if isinstance(ask, Outcome):
            reports[purpose] = Report(None, ask)
        elif ask is not None:
            reports[purpose] = await run_probe(sender, ask, timeout)
    return reports
