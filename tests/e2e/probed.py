"""The probed conditions of Connectors, by real probes of real tools: of one run, or of a proxy that runs."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from connectors.inventory import build
from connectors.objects.conditions import ConditionType
from connectors.objects.connector import ConnectorKey
from connectors.process.clock import timestamp
from connectors.sources.directory import DirectorySource
from connectors.tls.pool import SYSTEM_TRUST, Trust
from controller.probes.client import ProbeClient
from standalone.objects import BASE
from standalone.probe import probe_connector, probed_status
from tests.peers.manifests import Manifest, write
from tests.peers.proxy_process import ProxyProcess
from tests.peers.trust import dialer

KEY = ConnectorKey("default", "tool")
NOW = "2026-11-25T12:00:00Z"
TOOL = f"{BASE}/namespaces/default/connectors/tool"


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
    judgement = replace(build(loaded.objects).judgements[KEY], trust=trust)
    sender = ProbeClient(dialer())
    try:
        reports = await probe_connector(sender, judgement, timeout)
    finally:
        sender.close()
    status = probed_status(judgement, reports, NOW)
    return {item.type.value: Said(item.status.value, item.reason, item.message) for item in status.conditions}


Conditions = Mapping[str, Mapping[str, Any]]
"""By type."""


async def conditions_once(proxy: ProxyProcess, path: str, true: Callable[[Conditions], bool]) -> Conditions:
    """What the admin port says of an object, once that is true; within 10 s."""
    end = time.monotonic() + 10
    async with aiohttp.ClientSession() as session:
        while True:
            async with session.get(proxy.admin + path) as answer:
                conditions = json.loads(await answer.text())["status"]["conditions"]
            found = {item["type"]: item for item in conditions}
            if true(found):
                return found
            assert time.monotonic() < end, conditions
            await asyncio.sleep(0.02)


LIVENESS, AUTH = ConditionType.LIVENESS_READY.value, ConditionType.AUTH_READY.value
