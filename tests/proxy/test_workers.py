from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from connectors.process.logs import Logging
from connectors.snapshot import Objects
from connectors.sources.store import SnapshotStore
from proxy.audit.audit_log import AuditLogError
from proxy.settings import ProxySettings, Timeouts
from proxy.workers import ProxyWorkers, WorkerGroupSettings, WorkerMetrics
from tests.builders import connector, connector_class
from tests.peers.raw_client import connected

pytestmark = [pytest.mark.slow]

REQUEST = b"GET /x HTTP/1.1\r\nHost: c-nosuch.default.localhost\r\n\r\n"
SECONDS = 20.0


def settings(**changed: object) -> WorkerGroupSettings:
    proxy = {"port": 0, "workers": 2, "timeouts": Timeouts(drain=2.0), **changed}
    return WorkerGroupSettings(ProxySettings(**proxy), Logging())  # type: ignore[arg-type]


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[ProxyWorkers, SnapshotStore]]:
    store = SnapshotStore()
    workers = ProxyWorkers(settings(), store, CollectorRegistry())
    await store.follow(Objects((connector(),), (connector_class(),)))
    await workers.start()
    try:
        await asyncio.wait_for(workers.serving(), SECONDS)
        yield workers, store
        await workers.drain()
    finally:
        await workers.stop()


def number(workers: ProxyWorkers, name: str, **labels: str) -> float:
    found = workers.registry.get_sample_value(name, labels)
    assert found is not None, generate_latest(workers.registry)
    return found


async def test_they_serve_and_are_one_to_their_surroundings() -> None:
    async with serving() as (workers, _):
        assert workers.missing() is None
        for _ in range(4):
            async with connected(workers.port) as client:
                client.send(REQUEST)
                assert b" 404 Not Found\r\n" in await client.read_head()
        await workers.gather()
        assert number(workers, "connectors_proxy_refusals_total", reason="ConnectorNotFound") == 4
        assert number(workers, "connectors_proxy_workers") == 2
        assert number(workers, "connectors_proxy_snapshot_generation") == 1
        workers.reopen_audit_log()
    assert number(workers, "connectors_proxy_refusals_total", reason="ConnectorNotFound") == 4


async def test_the_generation_is_that_of_the_slowest() -> None:
    async with serving() as (workers, store):
        slow = workers._talks[0]._link.pid
        os.kill(slow, signal.SIGSTOP)
        await store.follow(Objects((), (connector_class(),)))
        await asyncio.sleep(0.5)
        assert number(workers, "connectors_proxy_snapshot_generation") == 1
        os.kill(slow, signal.SIGCONT)
        async with asyncio.timeout(SECONDS):
            while number(workers, "connectors_proxy_snapshot_generation") != 2:  # noqa: ASYNC110 - of others
                await asyncio.sleep(0.02)


async def test_one_that_does_not_answer_costs_a_scrape_its_deadline_and_no_numbers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("proxy.workers.COUNT_DEADLINE", 0.5)
    async with serving() as (workers, _):
        await workers.gather()
        slow = workers._talks[0]._link.pid
        os.kill(slow, signal.SIGSTOP)
        await asyncio.wait_for(workers.gather(), SECONDS)
        assert number(workers, "connectors_proxy_workers") == 2
        os.kill(slow, signal.SIGCONT)


async def test_before_all_serve_it_says_what_is_missing() -> None:
    workers = ProxyWorkers(settings(), SnapshotStore(), CollectorRegistry())
    assert workers.missing() == "workers that serve: 0 of 2 do"
    await workers.start()
    assert workers.missing() == "workers that serve: 0 of 2 do"
    await workers.drain()
    await workers.stop()


async def test_a_port_that_is_taken() -> None:
    async with serving() as (workers, _):
        other = ProxyWorkers(settings(port=workers.port), SnapshotStore(), CollectorRegistry())
        with pytest.raises(OSError, match="Address already in use"):
            await other.start()
        await other.drain()
        await other.stop()


def test_an_audit_log_that_cannot_be_opened() -> None:
    with pytest.raises(AuditLogError, match=r"/nosuch/audit\.log"):
        ProxyWorkers(settings(audit_log="/nosuch/audit.log"), SnapshotStore(), CollectorRegistry())


def test_the_age_is_that_of_the_generation() -> None:
    registry = CollectorRegistry()
    metrics = WorkerMetrics(registry)
    metrics.all_serve(3)
    metrics.all_serve(3)
    assert registry.get_sample_value("connectors_proxy_snapshot_generation") == 3
    age = registry.get_sample_value("connectors_proxy_snapshot_age_seconds")
    assert age is not None
    assert 0 <= age < 60
