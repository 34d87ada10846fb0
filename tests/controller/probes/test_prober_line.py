from __future__ import annotations

import asyncio

from connectors.dial.failure import timeout_failure
from connectors.dial.fetch import FetchFailedError
from connectors.http.response import Response
from connectors.objects.connector import ConnectorKey
from controller.probes.outcome import LATE
from controller.probes.request import ProbeRequest
from controller.probes.schedule import ProbeSettings
from tests.controller.probes.prober_scene import LIVE, REFUSED, marked, scene
from tests.controller.probes.subjects import login, probed
from tests.peers.clock import FakeClock
from tests.peers.probe_sender import OK, ScriptedSender


async def test_a_thousand_connectors_of_one_tool_do_not_hit_it_at_once() -> None:
    async with scene() as it:
        it.sender.hold = asyncio.Event()
        it.follow(*(probed(f"tool-{number}") for number in range(1000)), kind=LIVE)
        await it.clock.advance(1)
        assert it.sender.most == it.sender.running == ProbeSettings().per_origin
        it.sender.hold.set()
        for _ in range(400):
            await it.clock.advance(0)
        assert len(it.sender.sent) == 1000
        assert it.sender.most == ProbeSettings().per_origin
        assert len(it.told) == 1000


async def test_a_tool_that_hangs_keeps_no_other_waiting_and_all_of_them_have_a_limit() -> None:
    hold = asyncio.Event()

    class Hanging(ScriptedSender):
        async def send(self, request: ProbeRequest, *, read_body: bool) -> Response:
            self.hold = hold if request.address.host == "hangs.example" else None
            return await super().send(request, read_body=read_body)

    sender = Hanging()
    async with scene(ProbeSettings(at_once=8, per_origin=2), sender=sender) as it:
        hanging = [probed(f"a{number}", "https://hangs.example") for number in range(50)]
        others = [probed(f"z{number}", f"https://tool{number}.example") for number in range(50)]
        it.follow(*hanging, *others, kind=LIVE)
        for _ in range(20):
            await it.clock.advance(0)
        assert sum(request.address.host != "hangs.example" for request in sender.sent) == 50
        assert sender.running == 2
        assert sender.most <= 8
        hold.set()
        for _ in range(40):
            await it.clock.advance(0)
        assert len(sender.sent) == 100


async def test_who_stands_in_line_for_minutes_no_longer_says_that_all_is_well() -> None:
    settings = ProbeSettings(per_origin=1)
    async with scene(settings) as it:
        first, second = probed("a"), probed("b")
        other, secret = ConnectorKey("team", "b"), login()
        it.follow(first, second, kind=LIVE, secret=secret)
        await it.clock.advance(59)
        it.told.clear()
        it.sender.hold = asyncio.Event()
        await it.clock.advance(280)
        assert it.known(other)[0] == "True"
        it.follow(first, marked("1", second), kind=LIVE, secret=secret)
        await it.clock.advance(30)
        assert it.known(other) == ("-", "-")
        assert it.prober.probes(other).pending == LATE
        assert it.told == [other], "and once"
        await it.clock.advance(1200)
        assert it.told == [other]
        it.follow(first, second, kind=LIVE, secret=secret)
        assert it.known(other) == ("-", "-"), "a label changes nothing"
        it.sender.hold.set()
        await it.clock.advance(1)
        assert it.known(other)[0] == "True"
        assert it.told.count(other) == 2
        assert len(it.sender.sent) == 4


async def test_a_failure_stays_one_however_long_the_line() -> None:
    async with scene(ProbeSettings(per_origin=1)) as it:
        it.sender.answer = lambda origin, target: REFUSED
        it.follow(probed("a"), probed("b"), kind=LIVE)
        await it.clock.advance(59)
        it.sender.hold = asyncio.Event()
        await it.clock.advance(1200)
        assert it.known(ConnectorKey("team", "a"))[0] == "ConnectionFailed"
        assert it.known(ConnectorKey("team", "b"))[0] == "ConnectionFailed"


async def test_what_an_earlier_process_wrote_is_not_believed_for_longer_than_the_line_may_take() -> None:
    async with scene(ProbeSettings(per_origin=1)) as it:
        it.sender.hold = asyncio.Event()
        it.follow(probed("a"), probed("b"), kind=LIVE)
        await it.clock.advance(299)
        assert it.fresh(ConnectorKey("team", "b"))
        await it.clock.advance(2)
        assert not it.fresh(ConnectorKey("team", "b"))
        assert it.told == [ConnectorKey("team", "b")]


async def test_many_tools_that_hang_leave_workers_for_those_that_answer() -> None:
    limits = ProbeSettings(at_once=8, per_origin=4)
    sender = ScriptedSender()
    async with scene(limits, sender=sender) as it:
        hanging = [probed(f"a{number}", f"https://hangs{number % 8}.example") for number in range(480)]
        others = [probed(f"z{number}", f"https://well{number}.example") for number in range(4)]
        it.follow(*hanging, *others, kind=LIVE)
        await it.clock.advance(30)
        slow = Slow(it.clock)
        sender.send = slow.send  # type: ignore[method-assign]
        # The first minute is that in which each tool is found to hang.
        await it.clock.advance(60)
        slow.asked.clear()
        await it.clock.advance(600)
        assert sum(host.startswith("hangs") for host in slow.asked) > 300, "nobody is given up"
        for number in range(4):
            assert slow.asked.count(f"well{number}.example") >= 8


async def test_nobody_among_the_slow_says_for_long_that_all_is_well() -> None:
    sender = ScriptedSender()
    async with scene(ProbeSettings(at_once=8, slow_at_once=4), sender=sender) as it:
        hanging = [probed(f"a{number}", f"https://hangs{number % 8}.example") for number in range(400)]
        it.follow(*hanging, kind=LIVE)
        await it.clock.advance(30)
        assert all(it.known(item.key)[0] == "True" for item in hanging)
        sender.send = Slow(it.clock).send  # type: ignore[method-assign]
        # A minute until it is due, five in line, and a moment in which each tool is found to hang.
        await it.clock.advance(30 + 6 + 300 + 60)
        assert not [item for item in hanging if it.known(item.key)[0] == "True"]
        assert [item for item in hanging if it.known(item.key)[0] == "-"], "not all can have been asked"


async def test_who_was_slow_waits_among_the_slow_until_it_is_quick_again() -> None:
    sender = ScriptedSender()
    async with scene(ProbeSettings(at_once=4, slow_at_once=2), sender=sender) as it:
        slow = Slow(it.clock)
        sender.send = slow.send  # type: ignore[method-assign]
        hanging = [probed(f"a{number}", f"https://hangs{number}.example") for number in range(20)]
        others = [probed(f"z{number}", f"https://well{number}.example") for number in range(20)]
        it.follow(*hanging, *others, kind=LIVE)
        await it.clock.advance(60)
        assert len(slow.asked) == 40, "in the first round nobody is known for it"
        slow.asked.clear()
        for _ in range(60):
            await it.clock.advance(1)
            assert slow.running <= 2
        asked = [host for host in slow.asked if host.startswith("well")]
        assert sorted(asked) == sorted(f"well{number}.example" for number in range(20))
        slow.delay = 0.5
        await it.clock.advance(600)
        slow.delay, seen = 10.0, 0
        for _ in range(330):
            await it.clock.advance(1)
            seen = max(seen, slow.running)
        assert seen == 4, "who is quick again is asked among all others"


class Slow:
    """Tools named hangs* take `delay` seconds by the clock of the test, and from five on give no answer."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.delay = 10.0
        self.asked: list[str] = []
        self.running = 0

    async def send(self, request: ProbeRequest, *, read_body: bool) -> Response:
        host = request.address.host
        self.asked.append(host)
        if not host.startswith("hangs"):
            return OK
        self.running += 1
        await self._clock.sleep(self.delay)
        self.running -= 1
        if self.delay < 5:
            return OK
        raise FetchFailedError(timeout_failure(request.address))
