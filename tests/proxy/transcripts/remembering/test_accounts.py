"""Each request is counted and logged as if it were the first of its kind (invariant 20)."""

from __future__ import annotations

import json

import pytest

from proxy.settings import AccessLogFormat, ClientAuth, Limits, ProxySettings
from tests.peers.answering_tool import AnsweringTool
from tests.peers.dialogue import OK, message
from tests.peers.manifests import Manifest, auth, basic_auth, connector
from tests.proxy.transcripts.remembering.requests import CALLERS, NO_HOST, SECOND, asking, bearer, named, objects
from tests.proxy.transcripts.remembering.scene import ONE_LOOP, Same, Stage, prime

ROUNDS = 10
MIXED = [
    asking(b"/x", bearer()),
    asking(b"/x?secret=1", bearer(), b"X: y"),
    asking(b"/" + b"y" * 900, bearer()),
    asking(b"/x", bearer(), method=b"POST", body=b"body"),
    asking(b"/x", bearer(), method=b"HEAD"),
    asking(b"/x", bearer(), method=b"PROPFIND"),
    asking(b"/x", bearer(), host=named(b"other")),
    asking(b"/x?a=b", bearer(), host=named(b"keyed")),
    asking(b"/namespaces/default/connectors/other/x", bearer(), host=NO_HOST),
    asking(b"/v2/namespaces/default/connectors/tool/x", bearer(), host=NO_HOST),
    asking(b"/x", bearer(SECOND)),
    asking(b"/x", bearer(b"made-up")),
    asking(b"/x", bearer(), host=named(b"none")),
    asking(b"/x", bearer(), method=b"TRACE"),
    asking(b"/..", bearer()),
    asking(b"/x", bearer(), b"Transfer-Encoding: chunked", method=b"PUT") + b"4;x=y\r\nbody\r\n0\r\nX-T: v\r\n\r\n",
]


@ONE_LOOP
@pytest.mark.parametrize("log_format", AccessLogFormat)
async def test_r20_records_of_mixed_requests_are_those_of_the_first_ones(
    stage: Stage, tool: AnsweringTool, log_format: AccessLogFormat
) -> None:
    tool.answer = lambda request: OK[:-2] if request.startswith(b"HEAD ") else OK
    settings = ProxySettings(client_auth=ClientAuth.TOKEN, access_log=log_format)
    scene = await stage(objects, settings)
    await scene.mark()
    await prime(scene, *MIXED, times=1)
    first, count = await scene.seen(), scene.answered
    for _ in range(ROUNDS):
        await prime(scene, *MIXED, times=1)
    later = await scene.seen()
    assert later.metrics == {key: value * ROUNDS for key, value in first.metrics.items()}
    assert later.tool == first.tool * ROUNDS
    assert later.client == first.client * ROUNDS
    once, often = await scene.logged(0, count), await scene.logged(count, scene.answered)
    assert often.access == once.access * ROUNDS
    assert often.audit == once.audit * ROUNDS
    assert len(once.audit) == count == len(MIXED)


@ONE_LOOP
async def test_r20_every_request_has_an_id_of_its_own(stage: Stage) -> None:
    scene = await stage(objects, CALLERS)
    await prime(scene, *MIXED, times=5)
    await scene.logged(0, scene.answered)
    ids = [line.rpartition(" request=")[2] for line in scene.lines]
    assert len(ids) == len(set(ids)) == 5 * len(MIXED)
    assert ids == [json.loads(record)["request"] for record in scene.records]
    assert len({name.partition("-")[0] for name in ids}) == 1


@ONE_LOOP
async def test_r20_no_record_holds_a_query_a_token_or_a_credential(stage: Stage) -> None:
    scene = await stage(objects, CALLERS)
    await prime(scene, *MIXED)
    await scene.logged(0, scene.answered)
    written = "\n".join((*scene.lines, *scene.records, scene.proxy.exposition))
    for secret in ("c4ller", "injected", "secret=1", "made-up"):
        assert secret not in written


@ONE_LOOP
async def test_r20_durations_are_those_of_each_request(stage: Stage) -> None:
    """Each has a place in the histograms, and no part of a request takes longer than the whole."""
    scene = await stage(objects, CALLERS)
    await prime(scene, asking(b"/x", bearer()), times=20)
    await scene.logged(0, 20)
    place = {"namespace": "default", "connector": "tool"}
    for name in ("request", "upstream"):
        metric = f"connectors_proxy_{name}_duration_seconds"
        assert scene.proxy.metric(f"{metric}_count", **place) == 20
        assert scene.proxy.metric(f"{metric}_bucket", le="+Inf", **place) == 20
        assert scene.proxy.metric(f"{metric}_sum", **place) > 0
    for record in map(json.loads, scene.records):
        assert 0 < record["upstream"] <= record["duration"]
        assert 0 < record["authorization"] <= record["duration"]


REFUSED = message(b"HTTP/1.1 401 Unauthorized", b'WWW-Authenticate: Basic realm="git"', b"Content-Length: 0")


@ONE_LOOP
async def test_r20_a_401_of_the_tools_behind_a_known_200_counts_as_such(stage: Stage, tool: AnsweringTool) -> None:
    def git(address: str) -> tuple[Manifest, ...]:
        return connector("tool", address, "git", auth=auth("basicAuth", "s")), basic_auth("s", "u", "p")

    clone = asking(b"/r.git/info/refs?service=git-upload-pack")
    refusing = asking(b"/refused")
    tool.answer = lambda request: REFUSED if b"/refused" in request else OK
    expected = await Same([clone], [refusing, clone, refusing]).check(stage, git)
    assert [found.statuses for found in expected] == [(b"401",), (b"200",), (b"401",)]


@ONE_LOOP
async def test_r20_a_client_that_leaves_is_logged_as_such(stage: Stage, tool: AnsweringTool) -> None:
    """Known or not, 499 and the reason, once."""
    for times in (0, 4):
        scene = await stage(objects, CALLERS)
        tool.answer = lambda _: OK
        await prime(scene, asking(b"/x", bearer()), times=times)
        tool.answer = lambda _: b""
        asked = len(tool.requests)
        client = await scene.connected()
        client.send(asking(b"/x", bearer()))
        await tool.has_seen(asked + 1)
        scene.leave()
        got = await scene.logged(times, times + 1)
        assert 'status=499 in=0 out=0 duration upstream reason="client closed" request' in got.access[0]


@ONE_LOOP
async def test_r20_t33_one_that_was_seen_before_takes_a_token_too(stage: Stage, tool: AnsweringTool) -> None:
    tool.answer = lambda _: OK
    settings = ProxySettings(client_auth=ClientAuth.TOKEN, limits=Limits(requests_per_second_per_caller=8))
    scene = await stage(objects, settings)
    await scene.mark()
    await prime(scene, asking(b"/x", bearer()), times=100)
    # More than the first eight pass where this takes long, and all where tokens are for what is judged alone.
    assert any(answer.startswith(b"HTTP/1.1 429 ") for answer in (await scene.seen()).client)
