from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw, json

from connectors.kube.access import Access
from connectors.kube.client import KubeClient
from connectors.kube.resources import SECRETS
from connectors.kube.selection import FETCHES, ObjectKey, Selection
from tests.connectors.kube.chosen import A, B, Chosen, value_of
from tests.connectors.kube.weather import HurriedClock, News, running
from tests.peers.fake_api_server import FakeApiServer
from tests.peers.manifests import stored_secret


async def test_only_what_is_wanted_is_fetched(server: FakeApiServer, chosen: Chosen) -> None:
    for name in ("a", "b", "c"):
        server.put(stored_secret(name, name))
    chosen.selection.want([A, ObjectKey("team", "none")])
    await chosen.has(a="a", none=None)
    server.put(stored_secret("b", "b2"))
    server.put(stored_secret("a", "a2"))
    await chosen.has(a="a2")
    assert dict(chosen.selection.items) == {A: "a2"}
    assert {asked.path for asked in server.requests} == {
        "/api/v1/secrets",
        "/api/v1/namespaces/team/secrets/a",
        "/api/v1/namespaces/team/secrets/none",
    }


async def test_synced_means_every_answer_is_known(server: FakeApiServer, client: KubeClient) -> None:
    chosen = Chosen(server, client)
    assert not chosen.selection.synced, "before the first anchor nothing is known"
    server.put(stored_secret("a", "a"))
    chosen.selection.want([A, B])
    assert not chosen.selection.synced
    assert not chosen.selection.fetched(A)
    async with running(chosen.selection.run()), running(chosen.reflector.run()):
        await chosen.until(lambda: chosen.selection.synced)
    assert sorted(chosen.told) == [A, B]
    assert len(chosen.gets("a")) == 1


async def test_what_is_not_wanted_any_more_is_dropped(server: FakeApiServer, chosen: Chosen) -> None:
    server.put(stored_secret("a", "a"))
    server.put(stored_secret("b", "b"))
    chosen.selection.want([A, B])
    await chosen.has(a="a", b="b")
    chosen.selection.want([B])
    assert dict(chosen.selection.items) == {B: "b"}
    assert not chosen.selection.fetched(A)
    chosen.selection.want([A, B])
    assert not chosen.selection.synced
    await chosen.has(a="a", b="b")
    assert len(chosen.gets("b")) == 1


async def test_deleted_and_made_anew(server: FakeApiServer, chosen: Chosen) -> None:
    server.put(stored_secret("a", "a"))
    chosen.selection.want([A])
    await chosen.has(a="a")
    server.remove(SECRETS, "a", "team")
    await chosen.has(a=None)
    assert chosen.selection.fetched(A)
    server.put(stored_secret("a", "new"))
    await chosen.has(a="new")
    assert chosen.told == [A, A, A]


async def test_the_end_of_a_predecessor_does_not_take_its_successor(server: FakeApiServer, chosen: Chosen) -> None:
    server.put(stored_secret("a", "a"))
    chosen.selection.want([A])
    await chosen.has(a="a")
    server.hang_watches()
    server.remove(SECRETS, "a", "team")
    server.put(stored_secret("a", "new"))
    chosen.selection.end_list()
    await chosen.has(a="new")
    server.release_watches()
    server.put(stored_secret("a", "newer"))
    await chosen.has(a="newer")
    assert chosen.told == [A, A, A], "never seen as missing"


async def test_an_event_during_a_fetch_makes_another(server: FakeApiServer, chosen: Chosen) -> None:
    server.put(stored_secret("a", "a"))
    server.hold_gets()
    chosen.selection.want([A])
    await server.asked(lambda asked: asked.path.endswith("/a"))
    # The answer was made before this change and is sent after it.
    await chosen.heard(server.put(stored_secret("a", "a2")))
    server.release_gets()
    await chosen.has(a="a2")
    assert len(chosen.gets("a")) == 2


async def test_an_end_during_a_fetch_makes_another(server: FakeApiServer, chosen: Chosen) -> None:
    server.put(stored_secret("a", "a"))
    server.hold_gets()
    chosen.selection.want([A])
    await server.asked(lambda asked: asked.path.endswith("/a"))
    # The answer was made before the end and is sent after it.
    server.remove(SECRETS, "a", "team")
    await chosen.until(lambda: str(server.objects.version) in chosen.selection.heard)
    server.release_gets()
    await chosen.has(a=None)
    assert len(chosen.gets("a")) == 2


async def test_a_new_anchor_fetches_everything(server: FakeApiServer, chosen: Chosen) -> None:
    server.put(stored_secret("a", "a"))
    server.put(stored_secret("b", "b"))
    chosen.selection.want([A, B])
    await chosen.has(a="a", b="b")
    told = len(chosen.told)
    await server.stop()
    server.put(stored_secret("a", "a2"))
    server.remove(SECRETS, "b", "team")
    server.compact()
    await server.start()
    assert chosen.selection.get(A) == "a", "what is held serves on"
    await chosen.has(a="a2", b=None)
    assert len(chosen.told) == told + 2


async def test_what_is_unchanged_is_not_told_again(server: FakeApiServer, chosen: Chosen) -> None:
    server.put(stored_secret("a", "a"))
    chosen.selection.want([A])
    await chosen.has(a="a")
    chosen.selection.end_list()
    chosen.selection.want([A, B])
    await chosen.has(b=None)
    await server.asked(lambda asked: asked.path.endswith("/a"), 2)
    server.put(stored_secret("b", "b"))
    await chosen.has(b="b")
    assert chosen.told.count(A) == 1


async def test_many_are_fetched_a_few_at_a_time(server: FakeApiServer, chosen: Chosen) -> None:
    keys = [ObjectKey("team", f"s{index}") for index in range(3 * FETCHES)]
    for key in keys:
        server.put(stored_secret(key.name, key.name))
    server.hold_gets()
    chosen.selection.want(keys)
    await server.asked(lambda asked: "/team/secrets/" in asked.path, FETCHES)
    assert sum("/team/secrets/" in asked.path for asked in server.requests) == FETCHES
    server.release_gets()
    await chosen.until(lambda: chosen.selection.synced)
    assert len(chosen.selection.items) == len(keys)


async def test_an_outage_makes_no_storm_and_loses_nothing(
    server: FakeApiServer, chosen: Chosen, caplog: pytest.LogCaptureFixture
) -> None:
    keys = [ObjectKey("team", f"s{index}") for index in range(100)]
    await server.stop()
    with caplog.at_level(logging.INFO, "connectors.kube"):
        chosen.selection.want(keys)
        await HurriedClock().sleep(60)
        asked = sum(count for (verb, _, _), count in chosen.selection._client.requests.items() if verb == "get")
        assert FETCHES <= asked <= 20 * FETCHES, "a minute without a server"
        for key in keys:
            server.put(stored_secret(key.name, key.name))
        await server.start()
        await chosen.until(lambda: chosen.selection.synced and len(chosen.selection.items) == len(keys))
    told = [record.getMessage() for record in caplog.records if record.getMessage().startswith("secrets ")]
    assert len(told) == 2
    assert told[1] == "secrets can be read again"


async def test_one_that_may_not_be_read_holds_up_no_other(
    server: FakeApiServer, chosen: Chosen, caplog: pytest.LogCaptureFixture
) -> None:
    server.put(stored_secret("a", "a"))
    server.put(stored_secret("b", "b"))
    server.forbidden.add("/api/v1/namespaces/team/secrets/a")
    chosen.selection.want([A, B])
    await chosen.has(a=None, b="b")
    assert chosen.selection.synced
    await server.asked(lambda asked: asked.path.endswith("/a"), 3)
    (told,) = caplog.messages
    assert told.startswith("Secret team/a cannot be read, trying again: ")
    server.forbidden.clear()
    await chosen.has(a="a")


@pytest.mark.parametrize("code", [400, 403])
async def test_what_is_held_serves_on_when_it_may_not_be_read(server: FakeApiServer, chosen: Chosen, code: int) -> None:
    server.put(stored_secret("a", "a"))
    chosen.selection.want([A])
    await chosen.has(a="a")
    server.fail_next(3, code, methods={"GET"})
    await chosen.heard(server.put(stored_secret("a", "a2")))
    await server.asked(lambda asked: asked.path.endswith("/a"), 4)
    assert chosen.selection.get(A) == "a"
    assert not chosen.selection.refused(A)
    await chosen.has(a="a2")
    assert chosen.told == [A, A], "never seen as missing"


async def test_that_there_is_none_is_news_after_a_refusal(server: FakeApiServer, chosen: Chosen) -> None:
    server.forbidden.add("/api/v1/namespaces/team/secrets/a")
    chosen.selection.want([A])
    await chosen.has(a=None)
    assert chosen.selection.refused(A)
    assert chosen.selection.unread(A)
    server.forbidden.clear()
    await chosen.until(lambda: chosen.told == [A, A])
    assert not chosen.selection.refused(A)
    assert not chosen.selection.unread(A)
    assert chosen.selection.fetched(A)


async def test_names_that_no_object_can_have_are_missing(
    server: FakeApiServer, chosen: Chosen, caplog: pytest.LogCaptureFixture
) -> None:
    odd = [ObjectKey("team", "../../other/secrets/b"), ObjectKey("..", "b"), ObjectKey("team", ""), ObjectKey("", "b")]
    server.put(stored_secret("b", "b"))
    # More than there are workers: each of them lives on.
    keys = [*odd, *(ObjectKey("team", f"a/{index}") for index in range(FETCHES))]
    chosen.selection.want(keys)
    await chosen.until(lambda: chosen.selection.synced)
    assert sorted(chosen.told) == sorted(keys)
    assert not any(chosen.selection.refused(key) for key in keys)
    chosen.selection.want([*keys, B])
    await chosen.has(b="b")
    assert {asked.path for asked in server.requests} == {"/api/v1/secrets", "/api/v1/namespaces/team/secrets/b"}
    assert caplog.messages == []


@pytest.mark.parametrize(
    "other",
    [stored_secret("b", "canary-secret"), stored_secret("a", "canary-secret", namespace="other"), {"kind": "Status"}],
)
async def test_an_answer_about_another_object_is_not_taken(
    server: FakeApiServer, chosen: Chosen, caplog: pytest.LogCaptureFixture, other: dict[str, Any]
) -> None:
    server.put(stored_secret("a", "a"))
    chosen.selection.want([A])
    await chosen.has(a="a")
    server.fail_next(2, 200, text=json.encode(other).decode(), methods={"GET"})
    server.put(stored_secret("a", "a2"))
    await chosen.has(a=None)
    chosen.selection.end_list()
    await server.asked(lambda asked: asked.path.endswith("/a"), 3)
    chosen.selection.end_list()
    await chosen.has(a="a2")
    assert chosen.told == [A, A, A]
    assert caplog.messages == ["Secret team/a: the answer is about another object, it counts as missing"]


async def test_one_that_cannot_be_decoded_harms_no_other(
    server: FakeApiServer, chosen: Chosen, caplog: pytest.LogCaptureFixture
) -> None:
    server.put(stored_secret("a", "broken"))
    server.put(stored_secret("b", "b"))
    chosen.selection.want([A, B])
    await chosen.has(a=None, b="b")
    # Of these two alone: a loaded machine may take longer for an answer than the client waits, and that is told too.
    told = [message for message in caplog.messages if "team/" in message]
    assert told == ["Secret team/a cannot be read: ValueError"]
    server.put(stored_secret("a", "a"))
    await chosen.has(a="a")


async def test_what_cannot_be_decoded_is_read_once_in_each_version(
    server: FakeApiServer, chosen: Chosen, caplog: pytest.LogCaptureFixture
) -> None:
    said = "Secret team/a cannot be read: ValueError"
    broken = server.put(stored_secret("a", "broken"))
    server.hold_gets()
    chosen.selection.want([A])
    await server.asked(lambda asked: asked.path.endswith("/a"))
    # The watch tells, while the fetch runs and after it, of the version that the fetch brings.
    chosen.selection.changed(Raw(json.encode(broken)))
    server.release_gets()
    await chosen.has(a=None)
    chosen.selection.changed(Raw(json.encode(broken)))
    # A new anchor asks for everything once more: the answer is known.
    chosen.selection.end_list()
    await server.asked(lambda asked: asked.path.endswith("/a"), 2)
    server.put(stored_secret("a", "broken otherwise"))
    await chosen.until(lambda: caplog.messages == [said, said])
    server.put(stored_secret("a", "a"))
    await chosen.has(a="a")
    assert caplog.messages == [said, said]
    assert chosen.told == [A, A]
    assert chosen.decoded == ["broken", "broken otherwise", "a"]
    assert len(chosen.gets("a")) <= 4


async def test_a_token_that_expires_is_no_outage(server: FakeApiServer, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("t1")
    server.token = "t1"
    client = KubeClient(Access(server.kubeconfig(tmp_path, token_file=token)))
    await client.start()
    chosen = Chosen(server, client)
    server.put(stored_secret("a", "a"))
    async with running(chosen.selection.run()), running(chosen.reflector.run()):
        await server.watching()
        token.write_text("t2")
        server.token = "t2"
        chosen.selection.want([A])
        await chosen.has(a="a")
    await client.close()


async def test_events_of_others_leave_nothing_behind(server: FakeApiServer, chosen: Chosen) -> None:
    server.put(stored_secret("a", "a"))
    chosen.selection.want([A])
    await chosen.has(a="a")
    for index in range(200):
        server.put(stored_secret(f"other{index}"))
    server.put(stored_secret("a", "a2"))
    await chosen.has(a="a2")
    assert len(chosen.selection._wanted) == 1
    assert chosen.selection._queue.empty()


async def test_failures_at_the_same_time_are_one_failure(server: FakeApiServer, client: KubeClient) -> None:
    clock = HurriedClock(pace=10)
    news = News()
    selection = Selection(client, SECRETS, value_of, lambda _: news.poke(), clock, lambda: 1.0)
    keys = [ObjectKey("team", f"s{index}") for index in range(FETCHES)]
    for key in keys:
        server.put(stored_secret(key.name))
    selection.want(keys)
    selection.end_list()
    selection.end_list()
    assert selection._queue.qsize() == FETCHES, "nobody waits twice"
    server.fail_next(FETCHES, 503)
    started = clock.monotonic()
    async with running(selection.run()):
        await news.until(lambda: selection.synced)
    assert clock.monotonic() - started < 5, "sixteen waits, each twice the one before, would be far longer"
    assert len(server.requests) == 2 * FETCHES
