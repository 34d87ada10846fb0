"""A sender of probes whose answers a test decides: no socket, since the clock of such tests stands still."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from connectors.dial.fetch import FetchFailedError
from connectors.dial.kind import DialFailure
from connectors.http.response import Response
from controller.probes.request import ProbeRequest, origin_of

Answer = Response | DialFailure
OK = Response(200)


def target_of(request: ProbeRequest) -> str:
    return request.target.reveal().decode("ascii")


@dataclass
class ScriptedSender:
    """`answer` decides by origin and target; while `hold` is not set, whoever asks waits."""

    answer: Callable[[str, str], Answer] = lambda origin, target: OK
    sent: list[ProbeRequest] = field(default_factory=list)
    hold: asyncio.Event | None = None
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    running: int = 0
    most: int = 0

    async def send(self, request: ProbeRequest, *, read_body: bool) -> Response:
        self.sent.append(request)
        self.asked.set()
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            if self.hold is not None:
                await self.hold.wait()
            answer = self.answer(origin_of(request.address), target_of(request))
        finally:
            self.running -= 1
        if isinstance(answer, DialFailure):
            raise FetchFailedError(answer)
        return answer

    @property
    def targets(self) -> list[str]:
        """What was asked, in order."""
        return [target_of(request) for request in self.sent]
