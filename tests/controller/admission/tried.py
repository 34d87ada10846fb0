"""A webhook over HTTP that a test asks, and its API server."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from prometheus_client import CollectorRegistry

from connectors.kube.access import Access
from connectors.kube.client import KubeClient
from connectors.sources.cluster import ClusterSource
from connectors.sources.store import SnapshotStore
from controller.admission.admission import MAX_BODY
from controller.admission.metrics import AdmissionMetrics
from controller.admission.webhook import ReviewSources, Webhook
from tests.controller.admission.own_judge import OwnJudge
from tests.controller.admission.reviews import Json, body
from tests.peers.clock import FakeClock
from tests.peers.fake_api_server import FakeApiServer

REVIEWS = "subjectaccessreviews"


class Tried:
    """A webhook that listens, its API server, and what it is made of."""

    def __init__(self, server: FakeApiServer, client: KubeClient) -> None:
        self.server = server
        self.clock = FakeClock()
        self.store = SnapshotStore()
        self.source = ClusterSource(client, "connectors-system", self.store, self.clock)
        self.registry = CollectorRegistry()
        self.judge = OwnJudge()
        around = ReviewSources(client, self.source, self.store, self.clock, self.judge)
        self.webhook = Webhook(around, AdmissionMetrics(self.registry))
        self.asked: list[Json] = []
        self.allowed: Callable[[Json], Any] = lambda _: True
        self.url = ""
        server.virtual[REVIEWS] = self._review

    def _review(self, sent: Json) -> Json:
        self.asked.append(sent["spec"])
        return {**sent, "status": {"allowed": self.allowed(sent["spec"])}}

    def know(self, manifest: Json) -> None:
        """The watch has told of this class."""
        self.source.wrote(manifest["metadata"]["name"], json.dumps(manifest).encode())

    async def post(self, raw: bytes) -> tuple[int, Json]:
        async with aiohttp.ClientSession() as session, session.post(self.url, data=io.BytesIO(raw)) as answer:
            text = await answer.text()
        return answer.status, json.loads(text)["response"] if answer.status == 200 else {}

    async def answer(self, new: Json | None, old: Json | None = None) -> Json:
        status, response = await self.post(body(new, old))
        assert status == 200
        assert response["uid"] == "u-1"
        return response

    def counted(self, kind: str, operation: str, result: str) -> float | None:
        labels = {"kind": kind, "operation": operation, "result": result}
        return self.registry.get_sample_value("connectors_controller_admission_requests_total", labels)


@asynccontextmanager
async def listening(tmp_path: Path) -> AsyncIterator[Tried]:
    async with FakeApiServer() as server:
        client = KubeClient(Access(server.kubeconfig(tmp_path)))
        await client.start()
        found = Tried(server, client)
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_post("/", found.webhook.answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        found.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        yield found
        await runner.cleanup()
        await client.close()
