"""The prober: keeps an outcome for everything that can be probed, and says when one has changed, or has become old."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from connectors.model.addresses import Origin
from connectors.model.conditions import ConditionStatus
from connectors.model.connector import ConnectorKey
from connectors.model.connector_class import ConnectorClass
from connectors.process.clock import Clock, rfc3339
from connectors.snapshot import Binding, Snapshot
from controller.destination import Platform
from controller.probes.api_request import class_ask
from controller.probes.asks import asks_of
from controller.probes.metrics import ProbeMetrics
from controller.probes.origins import Origins
from controller.probes.outcome import LATE, OFF, PENDING, RETELL, Outcome, Probed, Probes, Purpose
from controller.probes.probing import Report, Sender, run_probe
from controller.probes.request import Ask
from controller.probes.schedule import SLOW, Inputs, ProbeSettings, inputs_of, inputs_of_class, pause
from controller.queue import WorkQueue

logger = logging.getLogger("connectors.probes")

Key = ConnectorKey | str
"""A Connector, or a class by its name."""


class Job(NamedTuple):
    """One probe of one object."""

    key: Key
    purpose: Purpose


@dataclass(slots=True)
class _Record:
    """What is known of one object. `asks` holds what takes a request, `found` what was found, with or without one.

    `in_line`: since when, of the monotonic clock, a probe waits for others of its tool; `late`: too long.
    """

    subject: Binding | ConnectorClass
    inputs: Inputs
    fresh: bool = True
    asks: dict[Purpose, Ask] = field(default_factory=dict)
    found: dict[Purpose, Probed] = field(default_factory=dict)
    failures: dict[Purpose, int] = field(default_factory=dict)
    told: float = 0.0
    in_line: dict[Purpose, float] = field(default_factory=dict)
    late: set[Purpose] = field(default_factory=set)

    @property
    def complete(self) -> bool:
        """Whether everything was probed once, or waits for so long that nobody should wait for it."""
        return all(purpose in self.found or purpose in self.late for purpose in self.asks)

    @property
    def probes(self) -> Probes:
        """What may be told of it: an answer that is late says nothing any more."""
        found = {purpose: probed for purpose, probed in self.found.items() if purpose not in self.late}
        known = (found.get(Purpose.LIVENESS), found.get(Purpose.AUTH), found.get(Purpose.API))
        return Probes(*known, self.fresh, LATE) if self.late else Probes(*known, self.fresh)

    def keep(self, purpose: Purpose, before: _Record) -> None:
        """What is known of the same inputs stays known."""
        self.found[purpose] = before.found[purpose]
        self.failures[purpose] = before.failures.get(purpose, 0)
        if purpose in before.in_line:
            self.in_line[purpose] = before.in_line[purpose]
        if purpose in before.late:
            self.late.add(purpose)


@dataclass(frozen=True, slots=True)
class ProberSurroundings:
    """What the prober works with. `platform` None: there are no Services. `jitter` returns a number from 0 to 1.

    `trust`: the generation of the CAs that `sender` trusts.
    """

    sender: Sender
    platform: Platform | None
    clock: Clock
    jitter: Callable[[], float]
    metrics: ProbeMetrics
    trust: int = 0


class Prober:
    """Level-triggered: `follow` says what there is, `run` keeps it probed, `probes` tells what is known."""

    def __init__(self, around: ProberSurroundings, settings: ProbeSettings, tell: Callable[[Key], None]) -> None:
        """`tell` is called with each object of which an outcome has changed."""
        self._around = around
        self._settings = settings
        self._tell = tell
        self._off = settings.interval == 0
        self._records: dict[Key, _Record] = {}
        self._queue: WorkQueue[Job] = WorkQueue(around.clock, around.jitter)
        self._lane: WorkQueue[Job] = WorkQueue(around.clock, around.jitter)
        """Of those whose tool was slow. They come here from `_queue`, and go back there."""
        self._slow: set[Origin] = set()
        self._running: set[Job] = set()
        self._again: set[Job] = set()
        self._origins: Origins[Job] = Origins(settings.per_origin)

    def probes(self, key: Key) -> Probes:
        """What is known of an object of the snapshot that was followed last."""
        if self._off:
            return OFF
        record = self._records.get(key)
        if record is None:
            return PENDING
        return record.probes

    @property
    def complete(self) -> bool:
        """Whether everything that is followed was probed once."""
        return all(record.complete for record in self._records.values())

    def follow(self, snapshot: Snapshot) -> None:
        """Probe what is in the snapshot: at once where it is new or has changed, else when its time comes."""
        if self._off:
            return
        subjects: dict[Key, Binding | ConnectorClass] = dict(snapshot.classes.items())
        subjects.update(snapshot.bindings.items())
        for key in self._records.keys() - subjects.keys():
            del self._records[key]
            # Its tool may be nobody's now. Of the others it is found out again.
            self._slow.clear()
        for key, subject in subjects.items():
            record = self._records.get(key)
            if record is None or record.subject is not subject:
                self._changed(key, subject, record)

    async def run(self) -> None:
        """Probe until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._queue.run(self._settings.at_once, self._sorted))
            tasks.create_task(self._lane.run(self._settings.slow_at_once, self._work))

    def clear(self) -> None:
        """Forget everything: another replica probes now. Only while `run` does not run."""
        self._records.clear()
        self._queue.clear()
        self._lane.clear()
        self._slow.clear()
        self._again.clear()
        self._origins.clear()

    async def probe_now(self, key: Key) -> dict[Purpose, Report]:
        """Probe an object whatever the schedule says, and keep what is found; {} for what is not there."""
        record = self._records.get(key)
        if record is None:
            return {}
        told = {purpose: Report(None, probed.outcome) for purpose, probed in record.found.items()}
        ran = {purpose: await self._probed(Job(key, purpose), record, ask) for purpose, ask in record.asks.items()}
        return told | ran

    def _changed(self, key: Key, subject: Binding | ConnectorClass, before: _Record | None) -> None:
        """Ask anew; what was found stays where nothing has changed that it depends on."""
        record = _Record(subject, self._inputs(subject))
        same = before is not None and before.inputs == record.inputs
        if before is not None:
            record.fresh, record.told = same and before.fresh, before.told
        for purpose, ask in self._asks(subject):
            if isinstance(ask, Outcome):
                record.found[purpose] = Probed(ask, "")
                continue
            record.asks[purpose] = ask
            # What was found without a request says nothing of one, and nobody has the job in mind any more: labels can
            # break a template and mend it, and are no inputs.
            if same and before is not None and purpose in before.found and purpose in before.asks:
                record.keep(purpose, before)
            else:
                self._queue.add(Job(key, purpose))
        self._records[key] = record

    def _inputs(self, subject: Binding | ConnectorClass) -> Inputs:
        if isinstance(subject, Binding):
            return inputs_of(subject, self._around.trust)
        return inputs_of_class(subject, self._around.trust)

    def _asks(self, subject: Binding | ConnectorClass) -> Iterator[tuple[Purpose, Ask | Outcome]]:
        found: tuple[tuple[Purpose, Ask | Outcome | None], ...]
        if isinstance(subject, Binding):
            asks = asks_of(subject, self._around.platform)
            found = ((Purpose.LIVENESS, asks.liveness), (Purpose.AUTH, asks.auth))
        else:
            found = ((Purpose.API, class_ask(subject, self._around.platform)),)
        return ((purpose, ask) for purpose, ask in found if ask is not None)

    async def _sorted(self, job: Job) -> None:
        """Leave what would take long to those who are there for it."""
        record = self._records.get(job.key)
        ask = record.asks.get(job.purpose) if record else None
        if record and ask and ask.request.address.origin in self._slow:
            self._lane.add(job)
            # The lane is a line too: it may take longer than anybody should believe what was found before.
            self._stands_in_line(job, record)
        else:
            await self._work(job)

    async def _work(self, job: Job) -> None:
        """One job at a time, whichever of the two queues has it."""
        if job in self._running:
            self._again.add(job)
            return
        self._running.add(job)
        try:
            await self._turn(job)
        finally:
            self._running.discard(job)
            if job in self._again:
                self._again.discard(job)
                self._queue.add(job)

    async def _turn(self, job: Job) -> None:
        record = self._records.get(job.key)
        ask = record.asks.get(job.purpose) if record else None
        origin = ask.request.address.origin if ask else None
        self._name(self._origins.decline(job, origin))
        if record is None or ask is None:
            return
        if not self._origins.enter(origin, job):
            self._stands_in_line(job, record)
            return
        try:
            await self._probed(job, record, ask)
        finally:
            self._name(self._origins.leave(origin))

    def _name(self, job: Job | None) -> None:
        if job is not None:
            self._queue.add(job)

    def _stands_in_line(self, job: Job, record: _Record) -> None:
        """A tool that hangs has its Connectors stand for hours: what was well before that is not known to be so."""
        now, limit = self._around.clock.monotonic(), self._settings.longest
        waited = now - record.in_line.setdefault(job.purpose, now)
        if waited < limit:
            self._queue.add_after(job, limit - waited)
            return
        before = record.found.get(job.purpose)
        if job.purpose not in record.late and (before is None or not before.outcome.failed):
            record.late.add(job.purpose)
            record.fresh = False
            self._tell(job.key)

    async def _probed(self, job: Job, record: _Record, ask: Ask) -> Report:
        clock = self._around.clock
        begun = clock.monotonic()
        report = await run_probe(self._around.sender, ask, self._settings.timeout)
        took = clock.monotonic() - begun
        self._around.metrics.probed(job.purpose, report.outcome, took)
        if took >= SLOW:
            self._slow.add(ask.request.address.origin)
        else:
            self._slow.discard(ask.request.address.origin)
        current = self._records.get(job.key)
        if current is None or current.inputs != record.inputs or job.purpose not in current.asks:
            # What was asked is not what counts now: `follow` has put the job into the queue again, where it is one.
            return report
        failures = current.failures.get(job.purpose, 0) + 1 if report.outcome.failed else 0
        current.failures[job.purpose] = failures
        self._keep(job, current, report.outcome)
        self._queue.add_after(job, pause(self._settings, failures, self._around.jitter()))
        return report

    def _keep(self, job: Job, record: _Record, outcome: Outcome) -> None:
        before, was_complete = record.found.get(job.purpose), record.complete
        record.found[job.purpose] = Probed(outcome, rfc3339(self._around.clock.now()))
        now = self._around.clock.monotonic()
        new = not was_complete or before is None or before.outcome != outcome or job.purpose in record.late
        record.late.discard(job.purpose)
        record.in_line.pop(job.purpose, None)
        # One word for all of an object's first outcomes: each word may be a write.
        if record.complete and (new or now - record.told >= RETELL):
            record.fresh, record.told = False, now
            self._tell(job.key)
        _log(job, before.outcome if before else None, outcome)


def _log(job: Job, before: Outcome | None, outcome: Outcome) -> None:
    """Say what changes, and what fails from the start."""
    if outcome == before or (before is None and not outcome.failed):
        return
    if outcome.failed:
        reason = outcome.reason.value if outcome.reason else ""
        logger.warning("%s: %s probe: %s: %s", job.key, job.purpose.value, reason, outcome.message)
    elif before is not None and before.failed and outcome.status is ConditionStatus.TRUE:
        logger.info("%s: %s probe: well again", job.key, job.purpose.value)
