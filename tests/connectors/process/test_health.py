from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge

from connectors.process.health import AdminServer, Shown, health_routes
from connectors.process.parsers import HostPort


class Missing:
    """A readiness check that a test turns on and off."""

    def __init__(self) -> None:
        self.what: str | None = "the first snapshot"
        self.notes: list[str] = []

    def __call__(self) -> str | None:
        return self.what


@pytest.fixture
def missing() -> Missing:
    return Missing()


@pytest.fixture
def registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    Counter("seen", "Things seen.", registry=registry).inc(3)
    return registry


@pytest.fixture
async def admin(missing: Missing, registry: CollectorRegistry) -> AsyncIterator[str]:
    app = web.Application()
    app.add_routes(health_routes([missing, lambda: None], Shown(registry), lambda: missing.notes))
    server = AdminServer(app, HostPort("127.0.0.1", 0))
    await server.start()
    yield f"http://127.0.0.1:{server.port}"
    await server.stop()


async def test_readyz_notes_what_an_operator_should_know(admin: str, missing: Missing) -> None:
    missing.notes = ["no watch on secrets for 3 s"]
    assert (await get(admin + "/readyz"))[1].endswith(
        "missing: the first snapshot\nnote: no watch on secrets for 3 s\n"
    )
    missing.what = None
    assert (await get(admin + "/readyz"))[:2] == (200, "ok\nnote: no watch on secrets for 3 s\n")


async def get(url: str, method: str = "GET") -> tuple[int, str, str]:
    async with aiohttp.ClientSession() as session, session.request(method, url) as answer:
        return answer.status, await answer.text(), answer.headers["Content-Type"]


async def test_livez_does_not_wait_for_readiness(admin: str) -> None:
    assert (await get(admin + "/livez"))[:2] == (200, "ok\n")


async def test_readyz_names_what_is_missing(admin: str, missing: Missing) -> None:
    assert (await get(admin + "/readyz"))[:2] == (503, "not ready\nmissing: the first snapshot\n")
    missing.what = None
    assert (await get(admin + "/readyz"))[:2] == (200, "ok\n")


async def test_metrics(admin: str) -> None:
    status, body, content_type = await get(admin + "/metrics")
    assert status == 200
    assert "seen_total 3.0" in body
    assert content_type.startswith("text/plain; version=0.0.4")


async def test_when_a_counter_was_made_is_no_series(admin: str, registry: CollectorRegistry) -> None:
    Counter("own", "h", registry=registry).inc()
    _, body, _ = await get(admin + "/metrics")
    assert "own_total 1.0" in body
    assert "_created" not in body


async def test_metrics_are_rendered_off_the_loop(admin: str, registry: CollectorRegistry) -> None:
    loop = asyncio.get_running_loop()
    seen: list[bool] = []

    class Slow:
        def collect(self) -> list[object]:
            try:
                seen.append(asyncio.get_running_loop() is loop)
            except RuntimeError:
                seen.append(False)
            return []

    registry.register(Slow())  # type: ignore[arg-type]
    seen.clear()
    await get(admin + "/metrics")
    assert seen == [False]


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
async def test_only_reads(admin: str, path: str) -> None:
    assert (await get(admin + path, "POST"))[0] == 405
    assert (await get(admin + path, "HEAD"))[1] == ""


async def test_a_taken_port_raises_and_leaves_nothing_behind(admin: str) -> None:
    port = int(admin.rsplit(":", 1)[1])
    with pytest.raises(OSError, match="in use"):
        await AdminServer(web.Application(), HostPort("127.0.0.1", port)).start()


async def test_stop_closes_the_port() -> None:
    server = AdminServer(web.Application(), HostPort("127.0.0.1", 0))
    await server.start()
    port = server.port
    await server.stop()
    with pytest.raises(OSError, match=r"Connect|refused"):
        await asyncio.open_connection("127.0.0.1", port)


async def test_what_others_know_is_gathered_before_it_is_shown() -> None:
    registry = CollectorRegistry()
    gauge = Gauge("others", "Of others.", registry=registry)

    async def gather() -> None:
        gauge.inc()

    app = web.Application()
    app.add_routes(health_routes([], Shown(registry, gather)))
    server = AdminServer(app, HostPort("127.0.0.1", 0))
    await server.start()
    assert "others 1.0" in (await get(f"http://127.0.0.1:{server.port}/metrics"))[1]
    await server.stop()
