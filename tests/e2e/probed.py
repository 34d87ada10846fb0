"""The probed conditions of Connectors, by real probes of real tools."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from connectors.model.conditions import ConditionType
from connectors.model.connector import ConnectorKey
from connectors.process.clock import timestamp
from connectors.snapshot import build
from connectors.sources.directory import DirectorySource
from connectors.tls.pool import SYSTEM_TRUST, Trust
from controller.probes.client import ProbeClient
from standalone.probing import probe_binding, probed_status
from tests.peers.manifests import Manifest, write
from tests.peers.trust import dialer

KEY = ConnectorKey("default", "tool")
NOW = "2026-11-25T12:00:00Z"


class Said(NamedTuple):
    """What a condition says."""

    status: str
    reason: str
    message: str


async def probed_conditions(
    folder: Path,
    *manifests: Manifest,
    trust: Trust = SYSTEM_TRUST,
    timeout: float = 10.0,  # noqa: ASYNC109
) -> Mapping[str, Said]:
    """Every condition of the Connector default/tool, by its type; tools on loopback may be dialled."""
    loaded = DirectorySource((write(folder, *manifests),), timestamp).load()
    assert not loaded.problems, loaded.problems
    binding = replace(build(loaded.objects).bindings[KEY], trust=trust)
    sender = ProbeClient(dialer())
    try:
        reports = await probe_binding(sender, binding, timeout)
    finally:
        await sender.close()
    status = probed_status(binding, reports, NOW)
    return {item.type.value: Said(item.status.value, item.reason, item.message) for item in status.conditions}


LIVENESS, AUTH = ConditionType.LIVENESS_READY.value, ConditionType.AUTH_READY.value
