"""The status board: the live status of every Connector and class, computed again with each snapshot."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from connectors.judgement import Judgement
from connectors.objects.conditions import ConnectorClassStatus, ConnectorStatus
from connectors.objects.connector import ConnectorKey
from connectors.objects.connector_class import ConnectorClass
from connectors.objects.names import proxy_host
from connectors.objects.violation import Violation
from connectors.snapshot import Snapshot
from controller.destination import LocalProxy
from controller.plans import connector, connector_class
from controller.probes.outcome import PENDING, Probes


@dataclass(frozen=True, slots=True)
class ConnectorEntry:
    """A Connector as it was judged, and its status."""

    judgement: Judgement
    status: ConnectorStatus


@dataclass(frozen=True, slots=True)
class ClassEntry:
    """A class as it was judged, and its status."""

    connector_class: ConnectorClass
    violations: tuple[Violation, ...]
    status: ConnectorClassStatus


@dataclass(frozen=True, slots=True)
class Board:
    """All statuses of one snapshot. `generation` is the snapshot's, 0 before the first one."""

    generation: int = 0
    connectors: Mapping[ConnectorKey, ConnectorEntry] = field(default_factory=dict)
    classes: Mapping[str, ClassEntry] = field(default_factory=dict)


class StatusBoard:
    """Holds the current Board. `update` is made to be subscribed to a SnapshotStore; `clock` returns RFC 3339.

    `probes` tells what is known of a Connector, or of a class by its name; when that changes, `refresh` wants a call.
    """

    def __init__(
        self,
        base_url: Callable[[ConnectorKey], str],
        clock: Callable[[], str],
        probes: Callable[[ConnectorKey | str], Probes] = lambda _: PENDING,
    ) -> None:
        self._base_url = base_url
        self._clock = clock
        self._probes = probes
        self._current = Board()
        self._probed_meanwhile: dict[ConnectorKey | str, None] = {}

    @property
    def current(self) -> Board:
        """The statuses of the latest snapshot."""
        return self._current

    def update(self, snapshot: Snapshot) -> None:
        """Judge what is new in `snapshot`; what did not change keeps its status."""
        for _ in self.follow(snapshot):
            pass

    def follow(self, snapshot: Snapshot) -> Iterator[None]:
        """The same in steps, one for each Connector that is judged; until the last one the statuses are as before."""
        now, before = self._clock(), self._current
        following = snapshot.generation == before.generation + 1
        fresh: dict[ConnectorKey, ConnectorEntry] = {}
        self._probed_meanwhile.clear()
        for key in snapshot.changed if following else snapshot.judgements:
            if (judgement := snapshot.judgements.get(key)) is not None:
                fresh[key] = self._connector(judgement, before.connectors.get(key), now)
                yield
        connectors = {**self._current.connectors, **fresh} if following else fresh
        for key in snapshot.changed if following else ():
            if key not in snapshot.judgements:
                connectors.pop(key, None)
        classes = {
            name: self._class(item, snapshot.class_violations[name], before.classes.get(name), now)
            for name, item in snapshot.classes.items()
        }
        self._current = Board(snapshot.generation, MappingProxyType(connectors), MappingProxyType(classes))
        for probed in list(self._probed_meanwhile):
            self.refresh(probed)

    def refresh(self, key: ConnectorKey | str) -> None:
        """Judge one Connector or class again: what was probed has changed."""
        self._probed_meanwhile[key] = None
        now, board = self._clock(), self._current
        if isinstance(key, ConnectorKey) and (entry := board.connectors.get(key)):
            fresh = ConnectorEntry(entry.judgement, self._status(entry.judgement, entry.status, now))
            self._current = replace(board, connectors=MappingProxyType({**board.connectors, key: fresh}))
        elif isinstance(key, str) and (of_class := board.classes.get(key)):
            status = self._class_status(of_class.connector_class, of_class.violations, of_class.status, now)
            fresh_class = replace(of_class, status=status)
            self._current = replace(board, classes=MappingProxyType({**board.classes, key: fresh_class}))

    def _connector(self, judgement: Judgement, before: ConnectorEntry | None, now: str) -> ConnectorEntry:
        if before is not None and before.judgement is judgement:
            return before
        return ConnectorEntry(judgement, self._status(judgement, before.status if before else None, now))

    def _status(self, judgement: Judgement, previous: ConnectorStatus | None, now: str) -> ConnectorStatus:
        key = judgement.connector.key
        facts = connector.ConnectorFacts(LocalProxy(self._base_url(key)), self._probes(key))
        return connector.plan(judgement, previous, facts, now).status

    def _class(
        self, item: ConnectorClass, violations: tuple[Violation, ...], before: ClassEntry | None, now: str
    ) -> ClassEntry:
        if before is not None and before.connector_class is item:
            return before
        previous = before.status if before is not None else None
        return ClassEntry(item, violations, self._class_status(item, violations, previous, now))

    def _class_status(
        self,
        item: ConnectorClass,
        violations: tuple[Violation, ...],
        previous: ConnectorClassStatus | None,
        now: str,
    ) -> ConnectorClassStatus:
        facts = connector_class.NoCluster(self._probes(item.metadata.name))
        return connector_class.plan(item, violations, previous, facts, now).status


def localhost_url(key: ConnectorKey, port: int, scheme: str = "http") -> str:
    """A Connector's base URL in the standalone host form; names below `.localhost` are this machine (RFC 6761)."""
    return f"{scheme}://{proxy_host(key, 'localhost')}:{port}"
