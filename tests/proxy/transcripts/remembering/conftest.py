"""Scenes of a tool, a proxy and a client."""

from __future__ import annotations

import ssl
from contextlib import AsyncExitStack
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import trustme

from connectors.dial.dialer import Dialer
from proxy.settings import AccessLogFormat, ListenerTls, ProxySettings
from proxy.wiring import Cluster
from tests.peers.answering_tool import AnsweringTool
from tests.peers.dialogue import OK, Dialogue
from tests.peers.handshakes import client_context
from tests.peers.trust import key_pair
from tests.peers.volume import Volume
from tests.proxy.transcripts.conftest import Serve, Talk
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
        scene = Scene(inner, tool, file, settings.access_log is not AccessLogFormat.OFF, audit)
        exits.callback(scene.leave)
        return scene

    return start


@pytest.fixture
def speak(talk: Talk, tmp_path: Path, localhost_certificate: trustme.LeafCert, authority: trustme.CA) -> Talk:
    """As `talk`, with `path`: over which of the connections is TLS spoken."""
    volume = Volume(tmp_path / "tls")
    volume.put(key_pair(localhost_certificate))
    files = ListenerTls(str(volume.certificate), str(volume.key))

    async def start(path: str = "plain", settings: ProxySettings | None = None, **rest: Any) -> Dialogue:
        if path == "TLS listener":
            secured = replace(settings or ProxySettings(), tls=files)
            return await talk(settings=secured, client_tls=client_context(authority.cert_pem.bytes()), **rest)
        tls = None
        if path == "TLS tool":
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            localhost_certificate.configure_cert(tls)
        return await talk(settings=settings, tls=tls, **rest)

    return start
