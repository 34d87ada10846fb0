from __future__ import annotations

import asyncio

import msgspec
import pytest

from connectors.http.response import Response
from connectors.objects.connector import ConnectorKey
from controller.destination import Platform
from controller.probes.outcome import OFF, RETELL, Probes, Purpose
from controller.probes.schedule import SLOW, ProbeSettings
from tests.controller.probes.prober_scene import BOTH, KEY, LIVE, REFUSED, marked, scene
from tests.controller.probes.subjects import http, login, probed, probing_class, snapshot
from tests.peers.probe_sender import OK


async def test_what_is_new_is_probed_at_once_and_told_of_once() -> None:
    async with scene() as it:
        it.follow(probed())
        assert it.known() == ("-", "-")
        assert it.fresh()
        await it.clock.advance(0)
        assert it.known() == ("True", "True")
        assert sorted(it.sender.targets) == ["/auth", "/live"]
        assert it.told == [KEY], "one word for both: each may be a write"
        assert not it.fresh()
        assert it.prober.probes(KEY).liveness == it.prober.probes(KEY).auth


async def test_every_interval() -> None:
    async with scene() as it:
        it.follow(probed(), kind=LIVE)
        await it.clock.advance(59.9)
        assert len(it.sender.sent) == 1
        await it.clock.advance(0.2)
        assert len(it.sender.sent) == 2
        await it.clock.advance(600)
        assert len(it.sender.sent) == 12


async def test_what_fails_is_asked_again_later_each_time_and_at_the_usual_pace_once_it_is_well() -> None:
    async with scene() as it:
        it.sender.answer = lambda origin, target: REFUSED
        it.follow(probed(), kind=LIVE)
        times = []
        begun, seen = it.clock.monotonic(), 0
        for _ in range(1300):
            await it.clock.advance(1)
            if len(it.sender.sent) > seen:
                seen = len(it.sender.sent)
                times.append(round(it.clock.monotonic() - begun))
        assert times == [1, 120, 360, 660, 960, 1260]
        assert it.known()[0] == "ConnectionFailed"
        it.sender.answer = lambda origin, target: OK
        await it.clock.advance(300)
        assert it.known()[0] == "True"
        before = len(it.sender.sent)
        await it.clock.advance(121)
        assert len(it.sender.sent) == before + 2


async def test_only_what_changes_is_told_of_and_the_time_every_ten_minutes() -> None:
    async with scene() as it:
        it.follow(probed(), kind=LIVE)
        await it.clock.advance(RETELL - 1)
        assert it.told == [KEY]
        first = it.prober.probes(KEY).liveness
        await it.clock.advance(61)
        assert it.told == [KEY, KEY]
        now = it.prober.probes(KEY).liveness
        assert first is not None
        assert now is not None
        assert now.time > first.time
        it.sender.answer = lambda origin, target: Response(500)
        await it.clock.advance(60)
        assert it.told == [KEY] * 3
        assert it.known()[0] == "UnexpectedStatus"
        await it.clock.advance(130)
        assert it.told == [KEY] * 3, "still the same"
        it.sender.answer = lambda origin, target: Response(503)
        await it.clock.advance(300)
        assert it.told == [KEY] * 4, "another status code is news"


CHANGES = ["spec", "class", "secret"]


@pytest.mark.parametrize("what", CHANGES)
async def test_a_change_voids_what_was_found_and_is_probed_at_once(what: str) -> None:
    item, kind, secret = probed(), BOTH, login()
    async with scene() as it:
        it.follow(item, kind=kind, secret=secret)
        await it.clock.advance(1)
        assert it.known() == ("True", "True")
        if what == "spec":
            item = msgspec.structs.replace(item, metadata=msgspec.structs.replace(item.metadata, generation=2))
        elif what == "class":
            kind = msgspec.structs.replace(kind, metadata=msgspec.structs.replace(kind.metadata, generation=2))
        else:
            secret = login("2", token=b"other")
        it.follow(item, kind=kind, secret=secret)
        assert it.known() == ("-", "-"), "never a stale True"
        assert not it.fresh(), "nor one of an earlier process"
        await it.clock.advance(0)
        assert it.known() == ("True", "True")
        assert len(it.sender.sent) == 4
        assert it.told == [KEY, KEY]


async def test_who_asks_before_a_snapshot_is_gone_through_is_told_of_what_it_has() -> None:
    async with scene() as it:
        items = [probed(name) for name in ("tool", "other")]
        it.follow(*items, secret=login())
        await it.clock.advance(1)
        now = snapshot(*items, classes=(BOTH,), secret=login("2", token=b"other"), inventory=it.inventory)
        steps = it.prober.following(now)
        assert it.known() == ("-", "-"), "never a stale True"
        assert len(list(steps)) == 1, "the other one"
        assert it.prober.probes(ConnectorKey("team", "other")).liveness is None


async def test_a_change_before_the_first_probe_ends_the_trust_in_an_earlier_process() -> None:
    async with scene() as it:
        it.sender.hold = asyncio.Event()
        item = probed()
        it.follow(item, secret=login())
        assert it.fresh()
        it.follow(item, secret=login("2"))
        assert not it.fresh()


async def test_a_label_changes_nothing() -> None:
    item, kind, secret = probed(), LIVE, login()
    async with scene() as it:
        it.follow(item, kind=kind, secret=secret)
        await it.clock.advance(1)
        labelled = msgspec.structs.replace(item, metadata=msgspec.structs.replace(item.metadata, labels={"a": "b"}))
        it.follow(labelled, kind=kind, secret=secret)
        assert it.known() == ("True", "-")
        await it.clock.advance(57)
        assert len(it.sender.sent) == 1
        await it.clock.advance(3)
        assert len(it.sender.sent) == 2


async def test_a_label_that_breaks_a_template_and_one_that_mends_it() -> None:
    kind, secret = probing_class(http("/live{{ .Connector.ObjectMeta.Labels.mark }}")), login()
    async with scene() as it:
        it.follow(marked("1"), kind=kind, secret=secret)
        await it.clock.advance(1)
        assert it.known()[0] == "True"
        it.follow(marked("a b"), kind=kind, secret=secret)
        assert it.known()[0] == "TemplateError"
        await it.clock.advance(600)
        assert len(it.sender.sent) == 1
        it.follow(marked("2"), kind=kind, secret=secret)
        assert it.known()[0] == "-"
        await it.clock.advance(61)
        assert it.known()[0] == "True"
        assert it.sender.targets == ["/live1", "/live2", "/live2"]


async def test_an_answer_that_comes_when_there_is_nothing_to_ask_for_any_more() -> None:
    kind, secret = probing_class(http("/live{{ .Connector.ObjectMeta.Labels.mark }}")), login()
    async with scene() as it:
        it.sender.hold = asyncio.Event()
        it.follow(marked("1"), kind=kind, secret=secret)
        await it.clock.advance(1)
        it.follow(marked("a b"), kind=kind, secret=secret)
        it.sender.hold.set()
        await it.clock.advance(600)
        assert it.known()[0] == "TemplateError"
        assert it.told == []


async def test_an_answer_to_an_earlier_question_does_not_count() -> None:
    async with scene() as it:
        it.sender.hold = asyncio.Event()
        item = probed()
        it.follow(item, secret=login())
        await it.clock.advance(1)
        assert len(it.sender.sent) == 2
        it.follow(item, secret=login("2", token=b"wrong"))
        it.sender.answer = lambda origin, target: Response(401) if len(it.sender.sent) > 2 else OK
        it.sender.hold.set()
        await it.clock.advance(1)
        assert it.known() == ("UnexpectedStatus", "AuthenticationFailed")
        assert it.told == [KEY]


async def test_what_is_gone_is_forgotten_and_no_longer_asked() -> None:
    async with scene() as it:
        it.follow(probed(), kind=LIVE)
        await it.clock.advance(1)
        it.follow(kind=LIVE)
        assert it.prober.probes(KEY) == Probes()
        await it.clock.advance(600)
        assert len(it.sender.sent) == 1


async def test_what_needs_no_request_is_known_at_once() -> None:
    async with scene() as it:
        it.follow(probed(), kind=probing_class(http("{{ if .Secret }}{{ end }}"), http("/a b")))
        assert it.known() == ("NonLivenessProbe", "TemplateError")
        await it.clock.advance(600)
        assert it.sender.sent == []


async def test_after_clear_nothing_is_known_and_nothing_is_asked() -> None:
    async with scene() as it:
        it.follow(probed(), kind=LIVE)
        await it.clock.advance(1)
        it.prober.clear()
        assert it.prober.probes(KEY) == Probes()
        await it.clock.advance(600)
        assert len(it.sender.sent) == 1


async def test_a_classs_own_api() -> None:
    kind = probing_class(api={"ref": {"kind": "Service", "name": "plugin", "namespace": "tools"}})
    async with scene(platform=Platform()) as it:
        it.sender.answer = lambda origin, target: Response(404)
        it.follow(kind=kind)
        await it.clock.advance(1)
        found = it.prober.probes("demo").api
        assert found is not None
        assert found.outcome.status == "True"
        assert it.told == ["demo"]
        it.sender.answer = lambda origin, target: REFUSED
        await it.clock.advance(60)
        found = it.prober.probes("demo").api
        assert found is not None
        assert found.outcome.reason == "ConnectionFailed"


async def test_now() -> None:
    async with scene() as it:
        it.follow(probed(), kind=probing_class(http("/live"), http("/a b")))
        await it.clock.advance(1)
        it.sender.answer = lambda origin, target: Response(500)
        reports = await it.prober.probe_now(KEY)
        assert reports[Purpose.LIVENESS].outcome.reason == "UnexpectedStatus"
        assert reports[Purpose.AUTH].outcome.failed
        assert it.known()[0] == "UnexpectedStatus"
        assert await it.prober.probe_now(ConnectorKey("team", "other")) == {}


async def test_what_is_measured() -> None:
    async with scene() as it:
        it.follow(probed())
        await it.clock.advance(1)
        for purpose in ("liveness", "auth"):
            name = "connectors_controller_probe_duration_seconds_count"
            assert it.registry.get_sample_value(name, {"probe": purpose}) == 1


async def test_t14_the_log_tells_of_changes_and_of_no_credential(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with scene() as it:
        it.follow(probed())
        await it.clock.advance(1)
        assert "probe" not in caplog.text
        it.sender.answer = lambda origin, target: Response(401)
        await it.clock.advance(60)
        assert "team/tool: auth probe: AuthenticationFailed: Authentication failed: status code 401" in caplog.text
        count = len(caplog.records)
        await it.clock.advance(300)
        assert len(caplog.records) == count
        it.sender.answer = lambda origin, target: OK
        await it.clock.advance(300)
        assert "team/tool: auth probe: well again" in caplog.text
        assert "canary" not in caplog.text


async def test_probes_can_be_switched_off() -> None:
    async with scene(ProbeSettings(interval=0)) as it:
        it.follow(probed())
        await it.clock.advance(600)
        assert it.sender.sent == []
        assert it.prober.probes(KEY) == OFF


async def test_a_slow_tool_whose_connectors_are_gone_is_not_remembered() -> None:
    async with scene(ProbeSettings(at_once=1, slow_at_once=1)) as it:
        it.sender.hold = asyncio.Event()
        it.follow(probed(), kind=LIVE)
        await it.clock.advance(0)
        await it.clock.advance(SLOW)
        it.sender.hold.set()
        await it.clock.advance(0)
        assert it.known()[0] == "True"
        it.follow(kind=LIVE)
        it.sender.hold = asyncio.Event()
        it.follow(probed(), probed("other", "https://other.example"), kind=LIVE)
        await it.clock.advance(0)
        assert it.sender.running == 1, "both stand in the one line of tools that answer"
