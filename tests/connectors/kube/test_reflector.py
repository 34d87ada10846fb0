from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from connectors.kube.access import Access
from connectors.kube.client import KubeClient, Selector
from connectors.kube.errors import LONGEST_WAIT
from connectors.kube.reflector import LIVED, NAMED, PAGE, WATCH_SECONDS, Reflector, Watched
from connectors.kube.resources import SECRETS
from connectors.process.backoff import START
from tests.connectors.kube.weather import ALL_SECRETS, Follower, HurriedClock, WrittenDown, running
from tests.peers.api_requests import Asked
from tests.peers.fake_api_server import FakeApiServer
from tests.peers.manifests import stored_secret


@pytest.fixture
async def hasty(server: FakeApiServer, tmp_path: Path) -> AsyncIterator[Follower]:
    """A follower whose client takes a quarter of a second for silence; a busy machine answers sooner."""
    client = KubeClient(Access(server.kubeconfig(tmp_path)), watch_silence=0.25)
    await client.start()
    follower = Follower(server, client)
    async with running(follower.reflector.run()):
        await server.watching()
        yield follower
    await client.close()


@pytest.fixture
async def follower(server: FakeApiServer, client: KubeClient) -> AsyncIterator[Follower]:
    server.put(stored_secret("a"))
    follower = Follower(server, client)
    async with running(follower.reflector.run()):
        await server.watching()
        yield follower


def lists(server: FakeApiServer) -> list[Asked]:
    return [asked for asked in server.requests if not asked.watch]


def watches(server: FakeApiServer) -> list[Asked]:
    return [asked for asked in server.requests if asked.watch]


async def test_lists_once_and_watches_from_there(server: FakeApiServer, follower: Follower) -> None:
    await follower.holds("a")
    version = server.all(SECRETS)[0]["metadata"]["resourceVersion"]
    (watch,) = watches(server)
    assert watch.query["resourceVersion"] == version
    low, high = WATCH_SECONDS
    assert low <= int(watch.query["timeoutSeconds"]) <= high
    assert [asked.query for asked in lists(server)] == [{"limit": str(PAGE)}]
    server.put(stored_secret("b"))
    server.put(stored_secret("b", "Yg=="))
    server.remove(SECRETS, "a", "team")
    await follower.holds("b")
    assert follower.sink.calls[3:] == [("changed", "b"), ("changed", "b"), ("deleted", "a")]
    health = follower.reflector.health
    assert (health.synced, health.connected, health.problem) == (True, True, "")
    assert follower.reflector.disconnected_seconds == 0


async def test_pages_make_one_list(server: FakeApiServer, client: KubeClient) -> None:
    for index in range(PAGE + 1):
        server.put(stored_secret(f"s{index:04}"))
    follower = Follower(server, client)
    async with running(follower.reflector.run()):
        await follower.sink.until(lambda: follower.sink.count("end_list") == 1)
    assert follower.sink.count("listed") == PAGE + 1
    assert follower.sink.count("start_list") == 1


async def test_an_anchor_ships_nothing(server: FakeApiServer, client: KubeClient) -> None:
    for index in range(3):
        server.put(stored_secret(f"s{index}"))
    follower = Follower(server, client, Watched(SECRETS, Selector("team"), metadata_only=True, anchored=True))
    async with running(follower.reflector.run()):
        await server.watching()
        server.put(stored_secret("s1", "Yg=="))
        await follower.sink.until(lambda: follower.sink.count("changed") == 1)
    assert follower.sink.calls == [("start_list", ""), ("end_list", ""), ("changed", "s1")]
    assert [asked.query for asked in lists(server)] == [{"limit": "1"}]
    assert all("PartialObjectMetadata" in asked.accept for asked in server.requests)


@pytest.mark.parametrize("how", ["cut_watches", "break_watches", "drop_connections"])
async def test_a_watch_that_ends_resumes_from_the_last_version(
    server: FakeApiServer, follower: Follower, how: str
) -> None:
    server.put(stored_secret("b"))
    await follower.holds("a", "b")
    getattr(server, how)()
    server.put(stored_secret("c"))
    await follower.holds("a", "b", "c")
    assert len(lists(server)) == 1
    assert follower.sink.calls[-2:] == [("changed", "b"), ("changed", "c")], "nothing is told twice"
    assert follower.reflector.restarts == 1
    assert follower.reflector.health.connected


async def test_a_bookmark_moves_the_version_on(server: FakeApiServer, follower: Follower) -> None:
    server.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other", "namespace": "team"}})
    server.bookmark()
    server.cut_watches()
    await server.asked(lambda asked: asked.watch, 2)
    assert watches(server)[-1].query["resourceVersion"] == str(server.objects.version)


async def test_gone_in_mid_watch_lists_again(server: FakeApiServer, follower: Follower) -> None:
    server.hang_watches()
    server.remove(SECRETS, "a", "team")
    server.put(stored_secret("b"))
    server.put(stored_secret("a"))
    server.put(stored_secret("c"))
    server.remove(SECRETS, "c", "team")
    for watch in server.watches:
        while not watch.queue.empty():
            watch.queue.get_nowait()
    server.gone_in_watch()
    server.release_watches()
    await follower.sink.until(lambda: follower.sink.count("end_list") == 2)
    await follower.holds("a", "b")
    assert len(lists(server)) == 2


async def test_gone_at_the_start_of_a_watch_lists_again(server: FakeApiServer, follower: Follower) -> None:
    await server.stop()
    server.put(stored_secret("b"))
    server.compact()
    await server.start()
    await follower.holds("a", "b")
    await server.watching()
    server.put(stored_secret("c"))
    await follower.holds("a", "b", "c")
    assert len(lists(server)) == 2
    assert follower.reflector.health.connected


async def test_gone_between_pages_lists_all_anew(server: FakeApiServer, client: KubeClient) -> None:
    for index in range(PAGE + 1):
        server.put(stored_secret(f"s{index:04}"))
    follower = Follower(server, client)
    server.hold_lists()
    async with running(follower.reflector.run()):
        await server.asked(lambda asked: not asked.watch)
        server.pages_expire = 1
        server.release_lists()
        await follower.sink.until(lambda: follower.sink.count("end_list") == 1)
    assert follower.sink.count("start_list") == 2
    assert len(follower.sink.present) == PAGE + 1
    assert "limit" not in lists(server)[-1].query, "all in one answer, or slow pages would never end"


async def test_deleted_and_made_anew_under_the_same_name(server: FakeApiServer, follower: Follower) -> None:
    before = follower.sink.present["a"]
    server.remove(SECRETS, "a", "team")
    server.put(stored_secret("a"))
    await follower.holds("a")
    assert follower.sink.present["a"] != before


async def test_a_refused_connection_makes_no_storm(server: FakeApiServer, follower: Follower) -> None:
    await server.stop()
    client_requests = follower.reflector._client.requests
    clock = HurriedClock()
    await clock.sleep(60)
    refused = client_requests["watch", "secrets", "0"]
    assert 3 <= refused <= 40, "a minute without a server"
    health = follower.reflector.health
    assert (health.synced, health.connected) == (True, False)
    assert "no answer" in health.problem or "closed" in health.problem
    assert follower.reflector.disconnected_seconds > 30
    server.put(stored_secret("b"))
    await server.start()
    await follower.holds("a", "b")
    assert len(lists(server)) == 1, "nothing was missed, so nothing is listed again"


async def test_watches_cut_every_few_milliseconds_make_no_storm(server: FakeApiServer, client: KubeClient) -> None:
    server.cut_after = 0.0
    follower = Follower(server, client)
    async with running(follower.reflector.run()):
        await HurriedClock().sleep(60)
        assert len(watches(server)) <= 60
        server.cut_after = None
        server.put(stored_secret("a"))
        await follower.holds("a")


async def test_watches_cut_every_second_lose_nothing(server: FakeApiServer, client: KubeClient) -> None:
    server.cut_after = 0.02
    follower = Follower(server, client)
    names = [f"s{index}" for index in range(30)]
    async with running(follower.reflector.run()):
        await server.watching()
        for name in names:
            server.put(stored_secret(name))
            await asyncio.sleep(0.005)
        await follower.holds(*names)
    assert [name for what, name in follower.sink.calls if what == "changed"] == names
    assert len(watches(server)) > 3
    assert follower.reflector.health.problem == ""


async def test_a_watch_that_hangs_is_ended(server: FakeApiServer, hasty: Follower) -> None:
    server.hang_watches()
    server.put(stored_secret("a"))
    await server.asked(lambda asked: asked.watch, 2)
    server.release_watches()
    await hasty.holds("a")


async def test_a_quiet_resource_is_no_outage(
    server: FakeApiServer, hasty: Follower, caplog: pytest.LogCaptureFixture
) -> None:
    before = hasty.reflector.health
    with caplog.at_level(logging.INFO, "connectors.kube"):
        await server.asked(lambda asked: asked.watch, 3)
        server.put(stored_secret("a"))
        await hasty.holds("a")
    # `since` would be another, had it been disconnected meanwhile.
    assert hasty.reflector.health == before
    assert before.connected
    assert hasty.reflector.restarts >= 1
    assert len(lists(server)) == 1
    assert caplog.messages == []


async def test_a_watch_that_cannot_be_opened_after_a_silence_is_lost(
    server: FakeApiServer, hasty: Follower, caplog: pytest.LogCaptureFixture
) -> None:
    server.forbidden.add("/api/v1/secrets")
    await server.asked(lambda asked: asked.watch, 3)
    health = hasty.reflector.health
    assert not health.connected
    assert "is forbidden" in health.problem
    (told,) = caplog.messages
    assert told.startswith("no watch on secrets, trying again: ")


async def test_a_token_that_expires_is_no_outage(server: FakeApiServer, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("t1")
    server.token = "t1"
    client = KubeClient(Access(server.kubeconfig(tmp_path, token_file=token)))
    await client.start()
    follower = Follower(server, client)
    async with running(follower.reflector.run()):
        await server.watching()
        token.write_text("t2")
        server.token = "t2"
        server.cut_watches()
        server.put(stored_secret("a"))
        await follower.holds("a")
        assert follower.reflector.health.problem == ""
    await client.close()


@pytest.mark.parametrize("how", ["absent", "forbidden"])
async def test_a_resource_that_is_not_there_yet(server: FakeApiServer, client: KubeClient, how: str) -> None:
    if how == "absent":
        server.absent.add("secrets")
    else:
        server.forbidden.add("/api/v1/secrets")
    follower = Follower(server, client)
    async with running(follower.reflector.run()):
        await server.asked(lambda asked: True, 3)
        health = follower.reflector.health
        assert (health.synced, health.connected) == (False, False)
        assert ("no such resource" if how == "absent" else "is forbidden") in health.problem
        server.absent.clear()
        server.forbidden.clear()
        server.put(stored_secret("a"))
        await follower.holds("a")


async def test_retry_after_is_honoured(server: FakeApiServer, client: KubeClient) -> None:
    server.fail_next(1, 429, retry_after="30")
    follower = Follower(server, client)
    clock = HurriedClock()
    start = clock.monotonic()
    async with running(follower.reflector.run()):
        await server.watching()
    assert clock.monotonic() - start >= 30


async def test_a_retry_after_has_a_bound(server: FakeApiServer, client: KubeClient) -> None:
    server.fail_next(1, 429, retry_after="86400")
    clock = HurriedClock(pace=1000)
    async with running(Reflector(client, ALL_SECRETS, WrittenDown(), clock, lambda: 1.0).run()):
        await server.watching()
    assert clock.waits == [START + LONGEST_WAIT]


async def test_a_quiet_watch_that_lived_begins_the_waits_anew(server: FakeApiServer, client: KubeClient) -> None:
    server.fail_next(4, 503)
    clock = HurriedClock()
    async with running(Reflector(client, ALL_SECRETS, WrittenDown(), clock, lambda: 1.0).run()):
        await server.watching()
        await HurriedClock().sleep(LIVED * 2)
        server.break_watches()
        await server.asked(lambda asked: asked.watch, 2)
    assert clock.waits == [START, START * 2, START * 4, START * 8, START]


@pytest.mark.parametrize(("chance", "seconds"), [(0.0, 240), (0.5, 360), (1.0, 480)])
async def test_watches_do_not_all_end_at_once(
    server: FakeApiServer, client: KubeClient, chance: float, seconds: int
) -> None:
    async with running(Reflector(client, ALL_SECRETS, WrittenDown(), HurriedClock(), lambda: chance).run()):
        await server.watching()
    assert watches(server)[0].query["timeoutSeconds"] == str(seconds)


async def test_only_so_many_objects_that_raise_are_remembered(
    server: FakeApiServer, client: KubeClient, caplog: pytest.LogCaptureFixture
) -> None:
    follower = Follower(server, client)
    for index in range(NAMED + 5):
        server.put(stored_secret(f"s{index:04}"))
        follower.sink.raising.add(f"s{index:04}")
    async with running(follower.reflector.run()):
        await follower.sink.until(lambda: follower.sink.count("end_list") == 1)
    assert follower.sink.count("listed") == NAMED + 5
    assert len(caplog.messages) == NAMED


async def test_an_object_that_raises_is_named_once_and_harms_no_other(
    server: FakeApiServer, follower: Follower, caplog: pytest.LogCaptureFixture
) -> None:
    follower.sink.raising.add("bad")
    with caplog.at_level(logging.INFO):
        server.put(stored_secret("bad"))
        server.put(stored_secret("bad", "Yg=="))
        server.put(stored_secret("good"))
        await follower.holds("a", "bad", "good")
    assert [record.getMessage() for record in caplog.records] == [
        "Secret team/bad cannot be taken in and is left out: ValueError"
    ]
    assert "canary" not in caplog.text


async def test_the_log_tells_of_a_loss_and_of_its_end(
    server: FakeApiServer, follower: Follower, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "connectors.kube"):
        await server.stop()
        await HurriedClock().sleep(20)
        await server.start()
        await server.watching()
        server.put(stored_secret("b"))
        await follower.holds("a", "b")
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2
    assert told[0].startswith("no watch on secrets, trying again: ")
    assert told[1].startswith("watch on secrets is back after ")


async def test_a_server_that_expires_every_list_is_an_outage(server: FakeApiServer, client: KubeClient) -> None:
    server.fail_next(1000, 410)
    follower = Follower(server, client)
    async with running(follower.reflector.run()):
        await HurriedClock().sleep(30)
        assert len(server.requests) <= 30
        assert follower.reflector.health.problem


def test_a_watched_resource_is_all_of_it() -> None:
    expected: dict[str, Any] = {}
    assert ALL_SECRETS.selector.query == expected
