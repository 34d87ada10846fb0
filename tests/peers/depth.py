"""How many files a piece of work passes: what somebody who follows it has to open."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from tests.test_layout import PACKAGES, ROOT

WARM_REQUEST = (
    "proxy/client.py",
    "proxy/exchange.py",
    "connectors/http/plain.py",
    "proxy/memory.py",
    "proxy/audit/audit.py",
    "proxy/relay.py",
    "proxy/upstream.py",
    "proxy/outbox.py",
    "proxy/metrics.py",
    "proxy/audit/access_log.py",
)
"""What a request passes whose header block was seen before, in its order (tests/proxy/transcripts/test_depth.py)."""
RECONCILE = (
    "controller/reconcile.py",
    "connectors/sources/cluster.py",
    "connectors/kube/cache.py",
    "connectors/sources/store.py",
    "controller/services.py",
    "connectors/kube/selection.py",
    "controller/service.py",
    "controller/plans/connector.py",
    "controller/destination.py",
    "controller/conditions.py",
    "connectors/objects/connector.py",
    "connectors/objects/connector_class.py",
    "connectors/objects/metadata.py",
    "connectors/objects/names.py",
    "connectors/process/clock.py",
    "controller/writer.py",
    "controller/leader.py",
    "connectors/kube/resources.py",
    "controller/events.py",
    "controller/metrics.py",
)
"""What one look at a Connector passes, its writes included (tests/controller/test_reconcile_depth.py)."""

_SOURCES = tuple(f"{ROOT / package}/" for package in PACKAGES)


@contextmanager
def files_passed(task: asyncio.Task[None] | None = None) -> Iterator[set[str]]:
    """The files of this project whose functions are called in the block; in `task` alone, if it is given."""
    files: set[str] = set()

    def see(frame: FrameType, event: str, _: object) -> None:
        path = frame.f_code.co_filename
        if event == "call" and path.startswith(_SOURCES) and (task is None or asyncio.current_task() is task):
            files.add(path.removeprefix(f"{ROOT}/"))

    sys.setprofile(see)
    try:
        yield files
    finally:
        sys.setprofile(None)
