"""The prober: keeps an outcome for everything that can be probed, and says when one has changed, or has become old."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from connectors.dial.upstream_proxy import UpstreamProxies
from connectors.judgement import Judgement
from connectors.objects.addresses import Origin
from connectors.objects.conditions import ConditionStatus
from connectors.objects.connector import ConnectorKey
from connectors.objects.connector_class import ConnectorClass
from connectors.process.clock import Clock, rfc3339
from connectors.snapshot import Snapshot
from connectors.tls.pool import SYSTEM_TRUST
from controller.destination import Platform
from controller.probes.asks import asks_of
from controller.probes.lanes import Job, Key, Lanes
from controller.probes.metrics import ProbeMetrics
from controller.probes.outcome import OFF, PENDING, Probed, ProbeOutcome, Probes, Purpose
from controller.probes.probing import Sender, run_probe
from controller.probes.request import Ask, Report, class_ask
from controller.probes.schedule import Inputs, ProbeRecord, ProbeSettings, inputs_of, inputs_of_class, pause

logger = logging.getLogger("connectors.probes")


@dataclass(frozen=True, slots=True)
class ProberSurroundings:
    """What the prober works with. `platform` None: there are no Services. `jitter` returns a number from 0 to 1."""

    sender: Sender
    platform: Platform | None
    clock: Clock
    jitter: Callable[[], float]
    metrics: ProbeMetrics


class Prober:
    """Level-triggered: `follow` says what there is, `run` keeps it probed, `probes` tells what is known."""

    def __init__(self, around: ProberSurroundings, settings: ProbeSettings, tell: Callable[[Key], None]) -> None:
        """`tell` is called with each object of which an outcome has changed."""
        self._around = around
        self._settings = settings
        self._tell = tell
        self._off = settings.interval == 0
        self._records: dict[Key, ProbeRecord] = {}
        self._trust = SYSTEM_TRUST
        self._proxies: UpstreamProxies | None = None
        self._snapshot: Snapshot | None = None
        self._behind: dict[Key, bool] = {}
        self._lanes = Lanes(settings, around.clock, around.jitter, self._origin)

    def probes(self, key: Key) -> Probes:
        """What is known of an object of the snapshot that was followed last."""
        if self._off:
            return OFF
        self._look(key)
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
        for _ in self.following(snapshot):
            pass

    def following(self, snapshot: Snapshot) -> Iterator[None]:
        """The same in steps, one for each object that is new or has changed. What is asked about is looked at first."""
        if self._off:
            return iter(())
        trusted, self._trust = self._trust, snapshot.authorities.trust
        proxies, self._proxies = self._proxies, snapshot.proxies
        same_ways = trusted == self._trust and proxies is self._proxies
        following = self._snapshot is not None and self._snapshot.generation + 1 == snapshot.generation
        # Of the one behind the last it is known what changed. A class is the same when the CAs or the proxies are
        # others: a Connector then has a Judgement of its own.
        classes = snapshot.changed_classes if following and same_ways else tuple(snapshot.classes)
        connectors = snapshot.changed if following else tuple(snapshot.judgements)
        gone = () if following else tuple(self._records.keys() - snapshot.judgements.keys() - snapshot.classes.keys())
        self._snapshot = snapshot
        self._behind.update(dict.fromkeys((*gone, *classes, *connectors), not same_ways))
        return self._catching_up()

    def _catching_up(self) -> Iterator[None]:
        for key in list(self._behind):
            self._look(key)
            yield

    def _look(self, key: Key) -> None:
        """See what has become of an object, unless that is done."""
        other_ways = self._behind.pop(key, None)
        if other_ways is None or self._snapshot is None:
            return
        subject, record = _subject(self._snapshot, key), self._records.get(key)
        if subject is None:
            if self._records.pop(key, None) is not None:
                self._lanes.forget_slow()
        elif record is None or record.subject is not subject or (isinstance(subject, ConnectorClass) and other_ways):
            self._changed(key, subject, record)

    async def run(self) -> None:
        """Probe until cancelled."""
        await self._lanes.run(self._work, self._waits)

    def clear(self) -> None:
        """Forget everything: another replica probes now. Only while `run` does not run."""
        self._records.clear()
        self._lanes.clear()
        self._snapshot = None
        self._behind.clear()

    async def probe_now(self, key: Key) -> dict[Purpose, Report]:
        """Probe an object whatever the schedule says, and keep what is found; {} for what is not there."""
        self._look(key)
        record = self._records.get(key)
        if record is None:
            return {}
        told = {purpose: Report(None, probed.outcome) for purpose, probed in record.found.items()}
        asks = list(record.asks.items())
        ran = await asyncio.gather(*(self._probed(Job(key, purpose), record, ask) for purpose, ask in asks))
        return told | {purpose: report for (purpose, _), report in zip(asks, ran, strict=True)}

    def _changed(self, key: Key, subject: Judgement | ConnectorClass, before: ProbeRecord | None) -> None:
        """Ask again; what was found stays if nothing has changed that it depends on."""
        record = ProbeRecord(subject, self._inputs(subject))
        same = before is not None and before.inputs == record.inputs
        if before is not None:
            record.fresh, record.told = same and before.fresh, before.told
        for purpose, ask in self._asks(subject):
            if isinstance(ask, ProbeOutcome):
                record.found[purpose] = Probed(ask, "")
                continue
            record.asks[purpose] = ask
            # What was found without a request says nothing of one, and the job is in no lane any more: labels can
            # break a template and mend it, and do not count as inputs.
            if same and before is not None and purpose in before.found and purpose in before.asks:
                record.keep(purpose, before)
            else:
                self._lanes.add(Job(key, purpose))
        self._records[key] = record

    def _inputs(self, subject: Judgement | ConnectorClass) -> Inputs:
        if isinstance(subject, Judgement):
            return inputs_of(subject)
        return inputs_of_class(subject, self._trust, self._proxies)

    def _asks(self, subject: Judgement | ConnectorClass) -> Iterator[tuple[Purpose, Ask | ProbeOutcome]]:
        if isinstance(subject, Judgement):
            yield from asks_of(subject, self._around.platform).items()
        elif ask := class_ask(subject, self._around.platform, self._trust, self._proxies):
            yield Purpose.API, ask

    def _origin(self, job: Job) -> Origin | None:
        record = self._records.get(job.key)
        ask = record.asks.get(job.purpose) if record else None
        return ask.request.address.origin if ask else None

    async def _work(self, job: Job) -> None:
        record = self._records[job.key]
        await self._probed(job, record, record.asks[job.purpose])

    def _waits(self, job: Job) -> None:
        """Note how long a job waits: the Connectors of a tool that hangs may be in line for hours."""
        record, limit = self._records[job.key], self._settings.longest
        waited = record.wait(job.purpose, self._around.clock.monotonic())
        if waited < limit:
            self._lanes.add_after(job, limit - waited)
        elif record.give_up(job.purpose):
            self._tell(job.key)

    async def _probed(self, job: Job, record: ProbeRecord, ask: Ask) -> Report:
        clock = self._around.clock
        begun = clock.monotonic()
        report = await run_probe(self._around.sender, ask, self._settings.timeout)
        took = clock.monotonic() - begun
        self._around.metrics.probed(job.purpose, report.outcome, took)
        self._lanes.took(ask.request.address.origin, took)
        current = self._records.get(job.key)
        if current is None or current.inputs != record.inputs or job.purpose not in current.asks:
            # The question is out of date: `follow` has added the job again if it is still one.
            return report
        before = current.found.get(job.purpose)
        _log(job, before.outcome if before else None, report.outcome)
        failures = current.failed(job.purpose, report.outcome)
        if current.find(job.purpose, Probed(report.outcome, rfc3339(clock.now())), clock.monotonic()):
            self._tell(job.key)
        self._lanes.add_after(job, pause(self._settings, failures, self._around.jitter()))
        return report


def _subject(snapshot: Snapshot, key: Key) -> Judgement | ConnectorClass | None:
    return snapshot.judgements.get(key) if isinstance(key, ConnectorKey) else snapshot.classes.get(key)


def _log(job: Job, before: ProbeOutcome | None, outcome: ProbeOutcome) -> None:
    """Say what changes, and what fails from the start."""
    if outcome == before or (before is None and not outcome.failed):
        return
    if outcome.failed:
        reason = outcome.reason.value if outcome.reason else ""
        logger.warning("%s: %s probe: %s: %s", job.key, job.purpose.value, reason, outcome.message)
    elif before is not None and before.failed and outcome.status is ConditionStatus.TRUE:
        logger.info("%s: %s probe: well again", job.key, job.purpose.value)
