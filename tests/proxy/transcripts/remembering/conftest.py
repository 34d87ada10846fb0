"""Scenes of a tool, a proxy and a client."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from connectors.dialing.dialer import Dialer
from proxy.settings import ProxySettings
from proxy.wiring import Cluster
from tests.peers.answering_tool import AnsweringTool
from tests.peers.dialogue import OK
from tests.proxy.transcripts.conftest import Serve
from tests.proxy.transcripts.remembering.scene import Objects, Scene, Stage


@pytest.fixture
async def tool(exits: AsyncExitStack) -> AnsweringTool:
    """Answers with OK until a test says otherwise."""
    return await exits.enter_async_context(AnsweringTool(lambda _: OK))


@pytest.fixture
def stage(exits: AsyncExitStack, serve: Serve, tool: AnsweringTool, tmp_path: Path) -> Stage:
    """Start a scene; each has a proxy of its own, with an audit log."""
    numbers = count()

    async def start(
        objects: Objects,
        settings: ProxySettings | None = None,
        cluster: Cluster | None = None,
        *,
        dialer: Dialer | None = None,
        audit: bool = True,
    ) -> Scene:
        file = tmp_path / f"audit-{next(numbers)}.log"
        settings = replace(settings or ProxySettings(), audit_log=str(file) if audit else "")
        inner = await serve(*objects(tool.address), settings=settings, cluster=cluster, dialer=dialer)
        scene = Scene(inner, tool, file)
        exits.callback(scene.leave)
        return scene

    return start
