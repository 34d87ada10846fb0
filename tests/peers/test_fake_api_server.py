"""The fake API server itself: one that is kinder than a real one would let other tests pass for nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from connectors.kube.resources import CONNECTORS, SECRETS
from connectors.objects.metadata import API_VERSION
from tests.peers.fake_api_server import FakeApiServer
from tests.peers.manifests import connector, stored_secret

PARTIAL_LIST = {"Accept": "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"}
SECRET_PATH = "/api/v1/namespaces/team/secrets"
CONNECTOR_PATH = f"/apis/{API_VERSION}/namespaces/team/connectors"


@pytest.fixture
async def server() -> AsyncIterator[FakeApiServer]:
    async with FakeApiServer() as server:
        yield server


@pytest.fixture
async def http(server: FakeApiServer) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(server.url) as session:
        yield session


async def test_lists_come_in_pages(server: FakeApiServer, http: aiohttp.ClientSession) -> None:
    for index in range(5):
        server.put(stored_secret(f"s{index}"))
    names, more = [], ""
    while True:
        query = {"limit": "2", **({"continue": more} if more else {})}
        async with http.get("/api/v1/secrets", params=query) as answer:
            page = await answer.json()
        names += [item["metadata"]["name"] for item in page["items"]]
        more = page["metadata"].get("continue", "")
        if not more:
            break
    assert names == [f"s{index}" for index in range(5)]
    assert "kind" not in page["items"][0]


async def test_filters(server: FakeApiServer, http: aiohttp.ClientSession) -> None:
    server.put(stored_secret("a", labels={"ca": "true"}))
    server.put(stored_secret("b", labels={"ca": "false"}))
    for query in ({"labelSelector": "ca=true"}, {"fieldSelector": "metadata.name=a"}):
        async with http.get(SECRET_PATH, params=query) as answer:
            assert [item["metadata"]["name"] for item in (await answer.json())["items"]] == ["a"]


async def test_metadata_only_ships_no_data(server: FakeApiServer, http: aiohttp.ClientSession) -> None:
    server.put(stored_secret("a"))
    async with http.get(SECRET_PATH, headers=PARTIAL_LIST) as answer:
        page = await answer.json()
    assert page["kind"] == "PartialObjectMetadataList"
    assert "data" not in page["items"][0]
    async with http.get(SECRET_PATH, params={"watch": "true"}, headers=PARTIAL_LIST) as answer:
        assert answer.status == 406


async def test_writes_have_preconditions(server: FakeApiServer, http: aiohttp.ClientSession) -> None:
    made = server.put(connector("a", "http://a", namespace="team"))
    assert made["metadata"]["generation"] == 1
    async with http.post(CONNECTOR_PATH, json=connector("a", "http://a", namespace="team")) as answer:
        assert (answer.status, (await answer.json())["reason"]) == (409, "AlreadyExists")
    async with http.put(f"{CONNECTOR_PATH}/a", json=connector("a", "http://b", namespace="team")) as answer:
        assert answer.status == 422
    body = connector("a", "http://b", namespace="team")
    body["metadata"]["resourceVersion"] = made["metadata"]["resourceVersion"]
    async with http.put(f"{CONNECTOR_PATH}/a", json=body) as answer:
        changed = await answer.json()
    assert changed["metadata"]["generation"] == 2
    async with http.put(f"{CONNECTOR_PATH}/a", json=body) as answer:
        assert (answer.status, (await answer.json())["reason"]) == (409, "Conflict")
    options = {"preconditions": {"uid": "another"}}
    async with http.delete(f"{CONNECTOR_PATH}/a", json=options) as answer:
        assert answer.status == 409
    async with http.delete(f"{CONNECTOR_PATH}/a") as answer:
        assert answer.status == 200
    assert server.get(CONNECTORS, "a", "team") is None
    assert [asked.method for asked in server.writes()] == ["POST", "PUT", "PUT", "PUT", "DELETE", "DELETE"]


async def test_status_is_written_by_its_subresource_alone(server: FakeApiServer, http: aiohttp.ClientSession) -> None:
    made = server.put(connector("a", "http://a", namespace="team"))
    patch = {"spec": {"address": "http://b"}, "status": {"seen": 1}}
    media_type = {"Content-Type": "application/merge-patch+json"}
    async with http.patch(f"{CONNECTOR_PATH}/a/status", data=json.dumps(patch), headers=media_type) as answer:
        written = await answer.json()
    assert written["spec"] == made["spec"]
    assert written["status"] == {"seen": 1}
    assert written["metadata"]["generation"] == 1
    async with http.patch(f"{CONNECTOR_PATH}/a", data=json.dumps(patch), headers=media_type) as answer:
        assert (await answer.json())["metadata"]["generation"] == 2
    before = server.objects.version
    async with http.patch(f"{CONNECTOR_PATH}/a", data=json.dumps(patch), headers=media_type) as answer:
        assert answer.status == 200
    assert server.objects.version == before, "a write that changes nothing makes no version"


async def test_a_finalizer_postpones_the_end(server: FakeApiServer, http: aiohttp.ClientSession) -> None:
    server.put(stored_secret("a", finalizers=["hold"]))
    async with http.delete(f"{SECRET_PATH}/a"):
        found = server.get(SECRETS, "a", "team")
    assert found is not None
    assert found["metadata"]["deletionTimestamp"]
    patch = json.dumps({"metadata": {"finalizers": None}})
    async with http.patch(f"{SECRET_PATH}/a", data=patch, headers={"Content-Type": "application/merge-patch+json"}):
        assert server.get(SECRETS, "a", "team") is None


async def test_a_watch_tells_what_happened_since(server: FakeApiServer, http: aiohttp.ClientSession) -> None:
    start = str(server.objects.version)
    server.put(stored_secret("a"))
    query = {"watch": "true", "resourceVersion": start, "allowWatchBookmarks": "true"}
    async with http.get("/api/v1/secrets", params=query) as answer:
        server.put({**stored_secret("a"), "data": {"a": "Yg=="}})
        await server.watching()
        server.remove(SECRETS, "a", "team")
        server.bookmark()
        server.gone_in_watch()
        lines = [json.loads(line) async for line in answer.content]
    assert [line["type"] for line in lines] == ["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]
    assert lines[-1]["object"]["code"] == 410
    async with http.get("/api/v1/secrets", params=query) as answer:
        assert answer.status == 410


async def test_an_object_that_leaves_the_filter_is_told_as_deleted(
    server: FakeApiServer, http: aiohttp.ClientSession
) -> None:
    start = str(server.objects.version)
    server.put(stored_secret("a", labels={"ca": "true"}))
    server.put(stored_secret("a"))
    query = {"watch": "true", "resourceVersion": start, "labelSelector": "ca=true", "timeoutSeconds": "1"}
    server.cut_after_events = 2
    async with http.get("/api/v1/secrets", params=query) as answer:
        lines = [json.loads(line) async for line in answer.content]
    assert [line["type"] for line in lines] == ["ADDED", "DELETED"]


async def test_the_weather(server: FakeApiServer, http: aiohttp.ClientSession) -> None:
    server.put(stored_secret("a"))
    server.fail_next(1, 429, retry_after="3")
    async with http.get(f"{SECRET_PATH}/a") as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (429, "3")
    server.conflict_next(2)
    for expected in (409, 409, 200):
        async with http.put(f"{SECRET_PATH}/a", json=stored_secret("a")) as answer:
            assert answer.status == expected
    server.token = "right"
    async with http.get(f"{SECRET_PATH}/a") as answer:
        assert answer.status == 401
    async with http.get(f"{SECRET_PATH}/a", headers={"Authorization": "Bearer right"}) as answer:
        assert answer.status == 200
    server.token = None
    server.lose_answers(1)
    with pytest.raises(aiohttp.ClientError):
        await http.post(SECRET_PATH, json=stored_secret("lost"))
    assert server.get(SECRETS, "lost", "team") is not None
    server.terminating.add("team")
    async with http.post(SECRET_PATH, json=stored_secret("late")) as answer:
        assert answer.status == 403
    port = server.port
    await server.stop()
    with pytest.raises(aiohttp.ClientError):
        await http.get(f"{SECRET_PATH}/a")
    await server.start()
    assert server.port == port
