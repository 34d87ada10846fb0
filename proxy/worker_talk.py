"""What the process that was started says to one worker, and hears from it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from connectors.objects.connector import ConnectorKey
from connectors.process.frames import Frames
from connectors.process.samples import Family, SamplesError, read_family
from connectors.process.workers import BrokenWorkerError, Link
from connectors.sources.gathered import Recipient
from connectors.sources.handover import encode
from proxy.worker_messages import FrameKind, number_of, send_number

# Seconds that a worker may take from the first byte of a change until it serves it. Ten thousand Connectors take a few
# of them; one that takes longer serves what is long outdated, and is replaced. So is one that says nothing for so long
# when it is asked, as often: it hangs, with all of its clients, and no probe of a kubelet's reaches it.
DEADLINE = 60.0
# Messages of one answer about metrics: of 5,000 samples each there are some dozen with ten thousand Connectors.
MAX_FAMILIES = 4096


class WorkerTalk:
    """The conversation with one worker."""

    def __init__(
        self,
        link: Link,
        recipient: Recipient,
        on_served: Callable[[int, int], None],
        on_counted: Callable[[int, tuple[Family, ...]], None],
        deadline: float = DEADLINE,
    ) -> None:
        """`on_served` hears a worker's number and the generation that it serves; `on_counted` its metrics.

        `deadline`: seconds, see DEADLINE.
        """
        self._link = link
        self._recipient = recipient
        self._on_served = on_served
        self._on_counted = on_counted
        self._deadline = deadline
        self._serves = 0
        self._odd: set[ConnectorKey | str] = set()
        self._served = asyncio.Event()
        self._families: list[Family] = []
        self._counting: asyncio.Future[None] | None = None

    @property
    def frames(self) -> Frames:
        """The way to the worker."""
        return self._link.frames

    async def run(self) -> None:
        """Talk until the worker closes its end.

        Raises:
            BrokenWorkerError: it does not keep to what was agreed.
            FrameError, OSError: the connection broke.
        """
        tasks = {asyncio.create_task(work) for work in (self._hear(), self._feed(), self._watch())}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            self._counted()

    def tell(self, kind: FrameKind) -> None:
        """Send a frame that says all by its kind."""
        self.frames.send(kind)

    def count(self) -> asyncio.Future[None]:
        """Ask for its metrics, unless an answer is due already: done once they are there, or the worker is gone."""
        if self._counting is None:
            self._counting = asyncio.get_running_loop().create_future()
            self.tell(FrameKind.COUNT)
        return self._counting

    async def _feed(self) -> None:
        while True:
            generation, changes = await self._recipient.next()
            try:
                async with asyncio.timeout(self._deadline):
                    for piece in encode(changes, self._odd):
                        self.frames.send(FrameKind.PIECE, piece)
                        # Also the turn of everything else: thousands of objects make many pieces.
                        await asyncio.sleep(0)
                        await self.frames.drained()
                    send_number(self.frames, FrameKind.SERVE, generation)
                    await self.frames.drained()
                    while self._serves != generation:
                        self._served.clear()
                        await self._served.wait()
            except TimeoutError:
                raise BrokenWorkerError(f"it does not serve a change within {self._deadline:g} s") from None

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._deadline)
            # Not wait_for: what is asked may be waited for by a scrape too.
            done, _ = await asyncio.wait({self.count()}, timeout=self._deadline)
            if not done:
                raise BrokenWorkerError(f"it has not answered for {self._deadline:g} s")

    async def _hear(self) -> None:
        while (frame := await self.frames.receive()) is not None:
            kind, payload = frame
            try:
                self._heard(kind, payload)
            except (ValueError, SamplesError):
                raise BrokenWorkerError("what it says is not understood") from None

    def _heard(self, kind: int, payload: bytes) -> None:
        match kind:
            case FrameKind.SERVED:
                self._serves = number_of(payload)
                self._on_served(self._link.number, self._serves)
                self._served.set()
            case FrameKind.FAMILY if len(self._families) < MAX_FAMILIES:
                self._families.append(read_family(payload))
            case FrameKind.COUNTED:
                families, self._families = tuple(self._families), []
                self._on_counted(self._link.number, families)
                self._counted()
            case _:
                raise ValueError("no frame of a worker's")

    def _counted(self) -> None:
        counting, self._counting = self._counting, None
        if counting is not None and not counting.done():
            counting.set_result(None)
