"""The status board: the live status of every Connector and class, computed anew with each snapshot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from connectors.model.conditions import ConnectorClassStatus, ConnectorStatus
from connectors.model.connector import ConnectorKey
from connectors.model.connector_class import ConnectorClass
from connectors.model.names import proxy_host
from connectors.model.violation import Violation
from connectors.snapshot import Binding, Snapshot
from controller.kinds import connector, connector_class
from controller.proxy_address import LocalProxy


@dataclass(frozen=True, slots=True)
class ConnectorEntry:
    """A Connector as it was judged, and its status."""

    binding: Binding
    status: ConnectorStatus


@dataclass(frozen=True, slots=True)
class ClassEntry:
    """A class and its status."""

    connector_class: ConnectorClass
    status: ConnectorClassStatus


@dataclass(frozen=True, slots=True)
class Board:
    """All statuses of one snapshot. `generation` is the snapshot's, 0 before the first one."""

    generation: int = 0
    connectors: Mapping[ConnectorKey, ConnectorEntry] = field(default_factory=dict)
    classes: Mapping[str, ClassEntry] = field(default_factory=dict)


class StatusBoard:
    """Holds the current Board. `update` is made to be subscribed to a SnapshotStore; `clock` returns RFC 3339."""

    def __init__(self, base_url: Callable[[ConnectorKey], str], clock: Callable[[], str]) -> None:
        self._base_url = base_url
        self._clock = clock
        self._current = Board()

    @property
    def current(self) -> Board:
        """The statuses of the latest snapshot."""
        return self._current

    def update(self, snapshot: Snapshot) -> None:
        """Judge everything in `snapshot`; what did not change keeps its status."""
        now = self._clock()
        before = self._current
        connectors = {
            key: self._connector(binding, before.connectors.get(key), now) for key, binding in snapshot.bindings.items()
        }
        classes = {
            name: _class(item, snapshot.class_violations[name], before.classes.get(name), now)
            for name, item in snapshot.classes.items()
        }
        self._current = Board(snapshot.generation, MappingProxyType(connectors), MappingProxyType(classes))

    def _connector(self, binding: Binding, before: ConnectorEntry | None, now: str) -> ConnectorEntry:
        if before is not None and before.binding is binding:
            return before
        previous = before.status if before is not None else None
        facts = connector.Facts(LocalProxy(self._base_url(binding.connector.key)))
        return ConnectorEntry(binding, connector.plan(binding, previous, facts, now).status)


def _class(item: ConnectorClass, violations: tuple[Violation, ...], before: ClassEntry | None, now: str) -> ClassEntry:
    if before is not None and before.connector_class is item:
        return before
    previous = before.status if before is not None else None
    return ClassEntry(item, connector_class.plan(item, violations, previous, connector_class.NoCluster(), now).status)


def localhost_url(key: ConnectorKey, port: int) -> str:
    """A Connector's base URL in the standalone host form; names below `.localhost` are this machine (RFC 6761)."""
    return f"http://{proxy_host(key, 'localhost')}:{port}"
