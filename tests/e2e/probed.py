"""The probed conditions of Connectors, by real probes of real tools."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from connectors.dialing.guard import DialGuard
from connectors.dialing.resolver import Resolver
from connectors.model.conditions import ConditionType
from connectors.model.connector import ConnectorKey
from connectors.process.clock import timestamp
from connectors.snapshot import build
from connectors.sources.directory import DirectorySource
from connectors.trust import Trust, system_trust
from controller.probes.client import ProbeClient
from standalone.probing import probe_binding, probed_status
from tests.peers.manifests import Manifest, write

KEY = ConnectorKey("default", "tool")
NOW = "2026-11-25T12:00:00Z"


class Said(NamedTuple):
    """What a condition says."""

    status: str
    reason: str
    message: str


def trusting(context: ssl.SSLContext) -> Trust:
    return Trust(1, context)


async def probed_conditions(
    folder: Path,
    *manifests: Manifest,
    trust: Trust | None = None,
    timeout: float = 10.0,  # noqa: ASYNC109
) -> Mapping[str, Said]:
    """Every condition of the Connector default/tool, by its type; tools on loopback may be dialled."""
    loaded = DirectorySource((write(folder, *manifests),), timestamp).load()
    assert not loaded.problems, loaded.problems
    binding = build(loaded.objects).bindings[KEY]
    sender = ProbeClient(trust or system_trust(), DialGuard(loopback=True), Resolver())
    try:
        reports = await probe_binding(sender, binding, timeout)
    finally:
        await sender.close()
    status = probed_status(binding, reports, NOW)
    return {item.type.value: Said(item.status.value, item.reason, item.message) for item in status.conditions}


LIVENESS, AUTH = ConditionType.LIVENESS_READY.value, ConditionType.AUTH_READY.value
