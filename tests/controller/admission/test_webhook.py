"""Reviews over HTTP, against an API server that answers as told."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from connectors.snapshot import Objects
from controller.admission.admission import MAX_BODY
from controller.admission.webhook import (
    BODY_SECONDS,
    DEADLINE,
    LARGE_AT_ONCE,
    SMALL,
    SMALL_AT_ONCE,
)
from tests import builders
from tests.controller.admission.reviews import JANE, body, connector, connector_class
from tests.controller.admission.tried import Tried
from tests.controller.admission.unfinished import Unfinished

AUTH = {"name": "basicAuth", "secretRef": {"name": "login"}}
BASIC = {"types": [{"name": "basicAuth", "secretType": "kubernetes.io/basic-auth"}]}
CLASS_PATH = "/apis/connectors.alauda.io/v1alpha1/connectorclasses/git"


async def test_a_yes(tried: Tried) -> None:
    tried.know(connector_class(auth=BASIC))
    assert await tried.answer(connector(auth=AUTH)) == {"uid": "u-1", "allowed": True}
    assert tried.counted("Connector", "CREATE", "allowed") == 1


async def test_a_no(tried: Tried) -> None:
    tried.server.put(connector_class())
    response = await tried.answer(connector(address="ftp://x"))
    assert response["status"]["code"] == 422
    assert tried.counted("Connector", "CREATE", "denied") == 1
    assert tried.asked == [], "what is refused anyway asks nothing"


@pytest.mark.parametrize("raw", [b"", b"{}", b"\xff", b"[" * 100_000, body(connector(), operation="CONNECT")])
async def test_what_is_no_question(raw: bytes, tried: Tried) -> None:
    assert (await tried.post(raw))[0] == 400
    assert tried.counted("none", "none", "error") == 1


async def test_a_class_that_the_watch_has_not_told_of_yet_is_asked_for(tried: Tried) -> None:
    tried.server.put(connector_class(auth=BASIC))
    assert (await tried.answer(connector(auth=AUTH))).get("warnings") is None
    assert [asked.path for asked in tried.server.requests if asked.method == "GET"] == [CLASS_PATH]


async def test_what_is_let_through_before_anything_is_known_says_nothing_of_the_class(tried: Tried) -> None:
    """The watch has not told yet, and nobody is asked: that the class is missing would be a guess."""
    given = connector()
    assert await tried.answer(given, given) == {"uid": "u-1", "allowed": True}
    tried.store.swap(Objects((), ()))
    (warning,) = (await tried.answer(given, given))["warnings"]
    assert "not found" in warning
    assert tried.server.requests == []


async def test_before_a_word_on_a_broken_class_it_is_read_anew(tried: Tried) -> None:
    """A class that was just repaired and a Connector of it come in one `kubectl apply`."""
    broken = connector_class(auth={"types": [{"name": "a"}, {"name": "a"}]})
    tried.know(broken)
    tried.server.put(connector_class())
    assert "warnings" not in await tried.answer(connector())
    tried.server.put(broken)
    response = await tried.answer(connector())
    assert response["allowed"]
    assert "git" in response["warnings"][0]


async def test_a_class_that_is_nowhere_is_a_warning(tried: Tried) -> None:
    response = await tried.answer(connector())
    assert response["allowed"]
    assert 'connectorclass "git" not found' in response["warnings"][0]


async def test_before_a_no_the_class_is_read_anew(tried: Tried) -> None:
    """A class that just got a parameter and a Connector with it come in one `kubectl apply`."""
    given = connector(params=[{"name": "new", "value": "x"}])
    tried.know(connector_class())
    tried.server.put(connector_class(params=[{"name": "new"}]))
    assert (await tried.answer(given))["allowed"]
    tried.server.put(connector_class())
    assert not (await tried.answer(given))["allowed"]


async def test_a_class_s_name_that_is_none_is_never_asked_for(tried: Tried) -> None:
    assert not (await tried.answer(connector(connectorClassName="../secrets")))["allowed"]
    assert tried.server.requests == []


async def test_without_the_class_unknown_means_no(tried: Tried) -> None:
    tried.server.fail_next(1, 500)
    response = await tried.answer(connector())
    assert response["status"]["code"] == 503
    assert "the class could not be read" in response["status"]["message"]
    assert tried.counted("Connector", "CREATE", "error") == 1


async def test_what_is_let_through_waits_for_nobody(tried: Tried) -> None:
    tried.server.fail_next(9, 500)
    broken = connector(address="ftp://x")
    response = await tried.answer({**broken, "metadata": {**broken["metadata"], "finalizers": []}}, broken)
    assert response["allowed"]
    assert tried.server.requests == []


async def test_t07_the_user_is_asked_about_with_all_that_decides(tried: Tried) -> None:
    tried.know(connector_class(auth=BASIC))
    await tried.answer(connector(auth=AUTH, caCertSecretRef={"name": "ca"}))
    assert sorted(spec["resourceAttributes"]["name"] for spec in tried.asked) == ["ca", "login"]
    spec = next(spec for spec in tried.asked if spec["resourceAttributes"]["name"] == "login")
    assert spec == {
        "user": JANE["username"],
        "uid": JANE["uid"],
        "groups": JANE["groups"],
        "extra": JANE["extra"],
        "resourceAttributes": {
            "verb": "get",
            "version": "v1",
            "resource": "secrets",
            "namespace": "team",
            "name": "login",
        },
    }


@pytest.mark.parametrize("secret", ["login", "ca"])
async def test_t07_each_secret_must_be_allowed(secret: str, tried: Tried) -> None:
    tried.know(connector_class(auth=BASIC))
    tried.allowed = lambda spec: spec["resourceAttributes"]["name"] != secret
    response = await tried.answer(connector(auth=AUTH, caCertSecretRef={"name": "ca"}))
    assert (response["status"]["code"], response["status"]["reason"]) == (403, "Forbidden")
    assert f'user "jane" may not get secrets "{secret}" in namespace "team"' in response["status"]["message"]


@pytest.mark.parametrize("code", [403, 429, 500])
async def test_t07_no_answer_is_a_no(code: int, tried: Tried) -> None:
    tried.know(connector_class(auth=BASIC))
    tried.server.fail_next(1, code)
    response = await tried.answer(connector(auth=AUTH))
    assert response["allowed"] is False
    assert response["status"]["code"] == 503
    assert "nobody could say whether" in response["status"]["message"]


@pytest.mark.parametrize("allowed", ["yes", None, 1])
async def test_t07_an_answer_that_is_none_is_a_no(allowed: Any, tried: Tried) -> None:
    tried.know(connector_class(auth=BASIC))
    tried.allowed = lambda _: allowed
    assert (await tried.answer(connector(auth=AUTH)))["allowed"] is False


async def test_t07_an_api_server_that_is_slow_gets_no_more_time_than_there_is(tried: Tried) -> None:
    tried.server.put(connector_class(auth=BASIC))
    tried.server.hold_gets()
    asking = asyncio.create_task(tried.answer(connector(auth=AUTH)))
    await tried.server.asked(lambda asked: asked.path == CLASS_PATH)
    await tried.clock.advance(DEADLINE - 0.1)
    assert not asking.done()
    await tried.clock.advance(0.2)
    response = await asking
    assert response["status"]["code"] == 503
    assert "did not answer" in response["status"]["message"]
    tried.server.release_gets()


async def test_reviews_take_turns(tried: Tried) -> None:
    tried.server.put(connector_class())
    tried.server.hold_gets()
    asking = [asyncio.create_task(tried.answer(connector())) for _ in range(SMALL_AT_ONCE + 5)]
    await tried.server.asked(lambda asked: asked.path == CLASS_PATH, SMALL_AT_ONCE)
    await asyncio.sleep(0.1)  # for the others to come in
    assert len(tried.server.requests) == SMALL_AT_ONCE
    tried.server.release_gets()
    assert all(response["allowed"] for response in await asyncio.gather(*asking))


async def test_a_question_that_does_not_arrive(tried: Tried) -> None:
    arrived = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield b"{"
        arrived.set()
        await asyncio.Event().wait()

    async with aiohttp.ClientSession() as session:
        asking = asyncio.create_task(session.post(tried.url, data=slowly()))
        await arrived.wait()
        await asyncio.sleep(0.05)  # for the head to cross loopback
        await tried.clock.advance(BODY_SECONDS)
        async with await asking as answer:
            assert answer.status == 408


async def test_large_bodies_that_never_end_are_not_read_beside_each_other(
    tried: Tried, monkeypatch: pytest.MonkeyPatch
) -> None:
    """25 of 8 MiB would be more memory than there is."""
    unfinished = Unfinished(tried.url, monkeypatch)
    await unfinished.send(25, MAX_BODY, LARGE_AT_ONCE)
    assert unfinished.read == LARGE_AT_ONCE
    tried.server.put(connector_class())
    assert (await tried.answer(connector()))["allowed"], "a small one does not wait for them"
    await tried.clock.advance(DEADLINE + BODY_SECONDS)
    codes = await unfinished.told()
    assert set(codes) == {408, 503}
    assert unfinished.read <= LARGE_AT_ONCE * (DEADLINE // BODY_SECONDS + 2)


async def test_small_bodies_that_never_end_have_as_many_turns_as_there_are(
    tried: Tried, monkeypatch: pytest.MonkeyPatch
) -> None:
    unfinished = Unfinished(tried.url, monkeypatch)
    await unfinished.send(SMALL_AT_ONCE + 20, SMALL, SMALL_AT_ONCE)
    assert unfinished.read == SMALL_AT_ONCE
    tried.server.put(connector_class())
    asking = asyncio.create_task(tried.answer(connector()))
    await asyncio.sleep(0.1)  # for it to come in
    await tried.clock.advance(2 * BODY_SECONDS)
    assert (await asking)["allowed"], "whose time is over gives the turn to who waits"
    assert set(await unfinished.told()) == {408}


async def test_the_wait_for_a_turn_counts_into_the_deadline(tried: Tried, monkeypatch: pytest.MonkeyPatch) -> None:
    unfinished = Unfinished(tried.url, monkeypatch)
    await unfinished.send(SMALL_AT_ONCE, SMALL, SMALL_AT_ONCE)
    tried.server.put(connector_class())
    tried.server.hold_gets()
    asking = asyncio.create_task(tried.answer(connector()))
    await asyncio.sleep(0.1)  # for it to come in
    await tried.clock.advance(BODY_SECONDS)
    await tried.server.asked(lambda asked: asked.path == CLASS_PATH)
    await tried.clock.advance(DEADLINE - BODY_SECONDS - 0.1)
    assert not asking.done()
    await tried.clock.advance(0.2)
    async with asyncio.timeout(2):
        assert "did not answer" in (await asking)["status"]["message"]
    tried.server.release_gets()
    await unfinished.told()


async def test_a_question_that_breaks_off(tried: Tried, caplog: pytest.LogCaptureFixture) -> None:
    port = int(tried.url.rpartition(":")[2].strip("/"))
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
    await asyncio.sleep(0.05)  # for the head to cross loopback
    writer.transport.abort()
    async with asyncio.timeout(5):
        while tried.counted("none", "none", "error") != 1:  # noqa: ASYNC110 - only asking tells
            await asyncio.sleep(0.01)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_class_s_connectors_are_named(tried: Tried) -> None:
    old, new = connector_class(proxy={}), connector_class(proxy={}, params=[{"name": "new"}])
    assert "warnings" not in await tried.answer(new, old), "nothing is known yet"
    found = builders.connector(namespace="team", connectorClassName="git")
    other = builders.connector("other", namespace="team", connectorClassName="other")
    tried.store.swap(Objects((found, other), (builders.connector_class("git"), builders.connector_class("other"))))
    (warning,) = (await tried.answer(new, old))["warnings"]
    assert warning.endswith("team/tool")
    assert "other" not in warning
    (warning,) = (await tried.answer(None, old))["warnings"]
    assert warning == "Connectors not served any more without class git (1): team/tool"
    assert tried.counted("ConnectorClass", "DELETE", "allowed") == 1


async def test_t14_nothing_of_the_user_but_the_name_is_logged(tried: Tried, caplog: pytest.LogCaptureFixture) -> None:
    tried.know(connector_class(auth=BASIC))
    user = {**JANE, "extra": {"authentication.kubernetes.io/credential-id": ["JTI=canary"]}}
    with caplog.at_level(logging.DEBUG):
        for allowed in (True, False, "junk"):
            tried.allowed = lambda _, allowed=allowed: allowed  # type: ignore[misc]
            await tried.post(body(connector(auth=AUTH), userInfo=user))
    assert "jane" in caplog.text
    assert "canary" not in caplog.text


async def test_a_name_of_any_length_makes_no_log_line_of_that_length(
    tried: Tried, caplog: pytest.LogCaptureFixture
) -> None:
    tried.know(connector_class(auth=BASIC))
    tried.allowed = lambda _: False
    with caplog.at_level(logging.DEBUG, "connectors.admission"):
        _, response = await tried.post(body(connector(auth=AUTH), userInfo={**JANE, "username": "j" * 900_000}))
        await tried.post(body(connector(auth=AUTH), userInfo={**JANE, "username": "j" * 200_000}))
    assert len(json.dumps(response)) < 2_000
    records = [record for record in caplog.records if record.name == "connectors.admission"]
    assert len(records) == 2
    assert all(len(record.getMessage()) < 400 for record in records)
