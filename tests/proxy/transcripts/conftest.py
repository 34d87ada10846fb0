"""Transcripts run on uvloop, as production does, and on asyncio's own loop, which the proxy falls back to."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from typing import Any

import pytest
import trustme
import uvloop

from connectors.dial.dialer import Dialer
from proxy.settings import ProxySettings
from proxy.wiring import Cluster
from tests.peers.dialogue import Dialogue
from tests.peers.inner_proxy import InnerProxy, start_inner_proxy
from tests.peers.manifests import Manifest, connector
from tests.peers.raw_client import connect
from tests.peers.raw_upstream import RawUpstream
from tests.peers.trust import system_store_of

Serve = Callable[..., Awaitable[InnerProxy]]
"""(*manifests, settings=None, cluster=None, dialer=None) -> InnerProxy"""
Talk = Callable[..., Awaitable[Dialogue]]
"""(*manifests, prefix="", class_name="generic", settings=None, cluster=None, tls=None, client_tls=None, **spec)
-> Dialogue.

Its Connector is called `tool`. `tls` is the tool's; `client_tls` is the client's, toward a proxy whose settings say so.
"""


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Each test runs once on each."""
    return {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}


@pytest.fixture(scope="package", autouse=True)
def _system_store(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with system_store_of(authority, tmp_path_factory.mktemp("store")):
        yield


@pytest.fixture
def serve(exits: AsyncExitStack) -> Serve:
    """Start a proxy in this process."""

    async def start(
        *manifests: Manifest,
        settings: ProxySettings | None = None,
        cluster: Cluster | None = None,
        dialer: Dialer | None = None,
    ) -> InnerProxy:
        inner = await start_inner_proxy(*manifests, settings=settings, cluster=cluster, dialer=dialer)
        exits.push_async_callback(inner.proxy.drain)
        return inner

    return start


@pytest.fixture
def talk(exits: AsyncExitStack, serve: Serve) -> Talk:
    """Start a tool, a proxy with Connector default/tool for it, and a client."""

    async def start(
        *manifests: Manifest,
        prefix: str = "",
        class_name: str = "generic",
        settings: ProxySettings | None = None,
        cluster: Cluster | None = None,
        tls: ssl.SSLContext | None = None,
        client_tls: ssl.SSLContext | None = None,
        **spec: Any,
    ) -> Dialogue:
        upstream = await exits.enter_async_context(RawUpstream(tls=tls))
        tool = connector("tool", upstream.address + prefix, class_name, **spec)
        proxy = await serve(tool, *manifests, settings=settings, cluster=cluster)
        dialogue = Dialogue(proxy, upstream, await connect(proxy.port, tls=client_tls), client_tls=client_tls)
        exits.push_async_callback(dialogue.end)
        return dialogue

    return start
