from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from msgspec import json

from connectors.kube.access import Access
from connectors.kube.client import KubeClient, Selector, WatchEvent
from connectors.kube.errors import (
    AlreadyExistsError,
    ApiStatusError,
    ConflictError,
    ConnectionLostError,
    ForbiddenError,
    GoneError,
    InvalidError,
    NotFoundError,
    SilentError,
    UnavailableError,
)
from connectors.kube.resources import CONNECTORS, SECRETS, TOKEN_REVIEWS, metadata_of
from tests.connectors.kube.weather import running
from tests.peers.fake_api_server import FakeApiServer
from tests.peers.manifests import connector, stored_secret


async def test_reads_and_writes(server: FakeApiServer, client: KubeClient) -> None:
    made = json.decode(await client.create(CONNECTORS, connector("a", "http://tool", namespace="team"), "team"))
    assert json.decode(await client.get(CONNECTORS, "a", "team")) == made
    written = json.decode(await client.replace(CONNECTORS, {**made, "status": {"seen": 1}}, "status"))
    assert written["status"] == {"seen": 1}
    with pytest.raises(ConflictError):
        await client.replace(CONNECTORS, made)
    merged = json.decode(await client.merge(CONNECTORS, "a", {"spec": {"address": "http://b"}}, "team"))
    assert merged["spec"] == {**made["spec"], "address": "http://b"}
    for precondition in ({"uid": "another"}, {"resourceVersion": "1"}):
        with pytest.raises(ConflictError):
            await client.merge(CONNECTORS, "a", {"metadata": precondition}, "team")
    with pytest.raises(ConflictError):
        await client.delete(CONNECTORS, "a", "team", uid="another")
    with pytest.raises(ConflictError):
        await client.delete(CONNECTORS, "a", "team", resource_version=made["metadata"]["resourceVersion"])
    await client.delete(CONNECTORS, "a", "team", uid=made["metadata"]["uid"])
    assert server.get(CONNECTORS, "a", "team") is None
    assert client.requests["update", "connectors", "409"] == 1
    assert client.requests["get", "connectors", "200"] == 1
    assert {asked.user_agent for asked in server.requests} == {"connectors"}


async def test_a_virtual_resource(server: FakeApiServer, client: KubeClient) -> None:
    server.virtual["tokenreviews"] = lambda body: {**body, "status": {"authenticated": True}}
    answer = json.decode(await client.create(TOKEN_REVIEWS, {"spec": {"token": "x"}}))
    assert answer["status"] == {"authenticated": True}
    assert server.writes() == []


async def test_refusals_have_their_own_errors(server: FakeApiServer, client: KubeClient) -> None:
    server.put(connector("a", "http://tool", namespace="team"))
    with pytest.raises(NotFoundError):
        await client.get(CONNECTORS, "b", "team")
    with pytest.raises(AlreadyExistsError):
        await client.create(CONNECTORS, connector("a", "http://tool", namespace="team"), "team")
    with pytest.raises(InvalidError):
        await client.replace(CONNECTORS, connector("a", "http://tool", namespace="team"))
    server.terminating.add("team")
    with pytest.raises(ForbiddenError, match="being terminated"):
        await client.create(CONNECTORS, connector("late", "http://tool", namespace="team"), "team")


async def test_without_a_name_nothing_is_asked(server: FakeApiServer, client: KubeClient) -> None:
    server.put(connector("a", "http://tool", namespace="team"))
    for asking in (
        client.get(CONNECTORS, "", "team"),
        client.merge(CONNECTORS, "", {}, "team"),
        client.replace(CONNECTORS, connector("", "http://tool", namespace="team")),
        client.delete(CONNECTORS, "", "team"),
        client.delete(CONNECTORS, "..", "team"),
    ):
        with pytest.raises(ValueError, match=r"without a name|or has"):
            await asking
    assert server.requests == [], "without a name it would be all of them"


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
async def test_no_answer_that_counts_is_unavailable(server: FakeApiServer, client: KubeClient, code: int) -> None:
    server.fail_next(1, code, retry_after="7")
    with pytest.raises(UnavailableError) as caught:
        await client.get(SECRETS, "a", "team")
    assert caught.value.retry_after == 7
    server.fail_next(1, code, text="<html>canary-secret</html>")
    with pytest.raises(UnavailableError, match=f"^HTTP {code} without a metav1.Status$"):
        await client.get(SECRETS, "a", "team")


async def test_a_write_whose_answer_is_lost_is_unavailable(server: FakeApiServer, client: KubeClient) -> None:
    server.lose_answers(1)
    with pytest.raises(ConnectionLostError):
        await client.create(CONNECTORS, connector("a", "http://tool", namespace="team"), "team")
    assert server.get(CONNECTORS, "a", "team") is not None
    assert len(server.writes()) == 1, "a write is never sent again by itself"
    assert client.requests["create", "connectors", "0"] == 1


async def test_a_redirect_is_not_followed(server: FakeApiServer, client: KubeClient) -> None:
    server.fail_next(1, 302, location="/api/v1/namespaces/team/secrets/b")
    with pytest.raises(ApiStatusError, match="made to fail"):
        await client.get(SECRETS, "a", "team")
    assert len(server.requests) == 1


async def test_a_client_that_is_not_open(server: FakeApiServer, tmp_path: Path) -> None:
    client = KubeClient(Access(server.kubeconfig(tmp_path)))
    with pytest.raises(UnavailableError, match="not open"):
        await client.get(SECRETS, "a", "team")


async def test_a_refused_connection(server: FakeApiServer, client: KubeClient) -> None:
    await server.stop()
    with pytest.raises(UnavailableError, match="no answer") as refused:
        await client.get(SECRETS, "a", "team")
    assert not isinstance(refused.value, ConnectionLostError), "nothing was sent"


async def test_a_server_that_says_nothing(server: FakeApiServer, tmp_path: Path) -> None:
    client = KubeClient(Access(server.kubeconfig(tmp_path)), request_timeout=0.1)
    await client.start()
    server.put(stored_secret("a"))
    server.hold_gets()
    with pytest.raises(UnavailableError):
        await client.get(SECRETS, "a", "team")
    await client.close()


async def test_close_ends_what_runs(server: FakeApiServer, client: KubeClient) -> None:
    server.hold_lists()
    task = asyncio.ensure_future(client.list_page(SECRETS, Selector(), limit=1))
    await server.asked(lambda asked: asked.path == "/api/v1/secrets")
    await client.close()
    with pytest.raises(UnavailableError):
        await task
    with pytest.raises(UnavailableError):
        await client.get(SECRETS, "a", "team")


async def test_pages(server: FakeApiServer, client: KubeClient) -> None:
    for index in range(3):
        server.put(stored_secret(f"s{index}", labels={"odd": str(index % 2)}))
    first = await client.list_page(SECRETS, Selector("team"), limit=2)
    assert [metadata_of(raw).name for raw in first.items] == ["s0", "s1"]
    second = await client.list_page(SECRETS, Selector("team"), limit=2, more=first.more)
    assert ([metadata_of(raw).name for raw in second.items], second.more) == (["s2"], "")
    assert second.resource_version == first.resource_version
    odd = await client.list_page(SECRETS, Selector(labels="odd=1"), limit=0)
    assert [metadata_of(raw).name for raw in odd.items] == ["s1"]
    named = await client.list_page(SECRETS, Selector("team", fields="metadata.name=s2"), limit=5, metadata_only=True)
    assert [sorted(json.decode(raw)) for raw in named.items] == [["apiVersion", "kind", "metadata"]]
    assert (await client.list_page(SECRETS, Selector("empty"), limit=5)).items == ()
    server.compact()
    with pytest.raises(GoneError):
        await client.list_page(SECRETS, Selector("team"), limit=2, more=first.more)


async def test_an_empty_list_may_be_null(server: FakeApiServer, client: KubeClient) -> None:
    server.fail_next(1, 200, text='{"metadata": {"resourceVersion": "7"}, "items": null}')
    page = await client.list_page(SECRETS, Selector(), limit=2)
    assert (page.items, page.resource_version, page.more) == ((), "7", "")


async def test_an_answer_that_is_no_list(server: FakeApiServer, client: KubeClient) -> None:
    server.fail_next(1, 200, text="<html>")
    with pytest.raises(UnavailableError, match="not a list"):
        await client.list_page(SECRETS, Selector(), limit=2)


async def watch(client: KubeClient, version: str, **options: Any) -> list[WatchEvent]:
    events = []
    async with aclosing(client.watch(SECRETS, Selector(), version, timeout=300, **options)) as stream:
        async for event in stream:
            events.append(event)
    return events


async def test_a_watch_gives_events_and_bookmarks_and_ends_in_order(server: FakeApiServer, client: KubeClient) -> None:
    opened: list[bool] = []
    version = str(server.objects.version)
    task = asyncio.ensure_future(watch(client, version, opened=lambda: opened.append(True), metadata_only=True))
    await server.watching()
    server.put(stored_secret("a", "x" * 3_000_000))
    server.put(stored_secret("a", "eQ==", annotations={"note": "x" * 3_000_000}))
    server.bookmark()
    server.cut_watches()
    events = await task
    assert [event.kind for event in events] == ["ADDED", "MODIFIED", "BOOKMARK"]
    assert metadata_of(events[2].raw).resource_version == str(server.objects.version)
    assert opened == [True]
    asked = server.requests[-1]
    assert asked.query == {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "resourceVersion": version,
        "timeoutSeconds": "300",
    }
    assert "PartialObjectMetadata;" in asked.accept


async def test_a_watch_that_is_too_old(server: FakeApiServer, client: KubeClient) -> None:
    version = str(server.objects.version)
    server.put(stored_secret("a"))
    server.compact()
    with pytest.raises(GoneError):
        await watch(client, version)
    task = asyncio.ensure_future(watch(client, str(server.objects.version)))
    await server.watching()
    server.gone_in_watch()
    with pytest.raises(GoneError):
        await task


@pytest.mark.parametrize("raw", [b'{"type": "ADDED", "obj', b"<html>\n", b'{"type": "ADDED"}\n', b"\xff\n"])
async def test_a_watch_that_is_garbled(server: FakeApiServer, client: KubeClient, raw: bytes) -> None:
    task = asyncio.ensure_future(watch(client, str(server.objects.version)))
    await server.watching()
    server.send_raw(raw)
    server.cut_watches()
    with pytest.raises(UnavailableError):
        await task


async def test_a_watch_whose_connection_breaks(server: FakeApiServer, client: KubeClient) -> None:
    task = asyncio.ensure_future(watch(client, str(server.objects.version)))
    await server.watching()
    server.break_watches()
    with pytest.raises(UnavailableError):
        await task


async def test_a_silent_watch_is_ended(server: FakeApiServer, tmp_path: Path) -> None:
    client = KubeClient(Access(server.kubeconfig(tmp_path)), watch_silence=0.1)
    await client.start()
    server.hang_watches()
    with pytest.raises(SilentError):
        await watch(client, str(server.objects.version))
    await client.close()


async def test_an_abandoned_watch_closes_its_connection(server: FakeApiServer, client: KubeClient) -> None:
    async def endless() -> None:
        await watch(client, str(server.objects.version))

    async with running(endless()):
        await server.watching()
    await server.until(lambda: not server.watches)
