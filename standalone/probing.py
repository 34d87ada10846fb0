"""Probing outside of a cluster: one Connector's probes run at once."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.judgement import Judgement
from connectors.model.conditions import ConnectorStatus
from controller.kinds import connector
from controller.probes.asks import asks_of
from controller.probes.outcome import Outcome, Probed, Probes, Purpose
from controller.probes.probing import Sender, run_probe
from controller.probes.report import Report
from controller.proxy_address import LocalProxy


async def probe_connector(sender: Sender, judgement: Judgement, timeout: float) -> dict[Purpose, Report]:  # noqa: ASYNC109
    """Run both probes of a Connector, `timeout` seconds each at most; what its class does not probe is left out."""
    return {
        purpose: Report(None, ask) if isinstance(ask, Outcome) else await run_probe(sender, ask, timeout)
        for purpose, ask in asks_of(judgement, None).items()
    }


def probed_status(judgement: Judgement, reports: Mapping[Purpose, Report], now: str) -> ConnectorStatus:
    """The status of a Connector of which nothing is known but these. `now` is RFC 3339."""
    found = {purpose: Probed(report.outcome, now) for purpose, report in reports.items()}
    probes = Probes(found.get(Purpose.LIVENESS), found.get(Purpose.AUTH))
    return connector.plan(judgement, None, connector.Facts(LocalProxy(""), probes), now).status
