"""One worker process: serves traffic with the objects that it is told over its socket. Started by proxy/workers.py.

What it is told counts, and nothing else: it reads no manifest, no environment and no argument but its socket's number.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import TextIO, cast

from prometheus_client import CollectorRegistry

from connectors.kube.access import AccessError
from connectors.kube.client import KubeClient
from connectors.kube.metrics import KubeMetrics
from connectors.process.clock import SystemClock
from connectors.process.frames import FrameError, Frames
from connectors.process.heap import Settling, filling, growing
from connectors.process.listening import Counts, Shared
from connectors.process.logs import set_up_logging
from connectors.process.run import VERSION, run, until
from connectors.process.samples import families
from connectors.process.whole_lines import WholeLines
from connectors.snapshot import Changes, Wanted
from connectors.sources.gathered import Gathered
from connectors.sources.handover import HandoverError, decode
from connectors.sources.store import SnapshotStore
from connectors.tls.loading import KeyPairError
from proxy.audit.audit_log import AuditLogError
from proxy.wiring import Cluster, build_proxy
from proxy.worker_messages import (
    FrameKind,
    WorkerSettings,
    WorkerSettingsError,
    decode_settings,
    number_of,
    send_number,
)

logger = logging.getLogger("connectors.worker")

# Families that are about all workers together.
TOLD_BY_PARENT = frozenset({"connectors_proxy_snapshot_generation", "connectors_proxy_snapshot_age_seconds"})
# Seconds for the last metrics to be taken: they must not keep a process from ending.
LAST_WORDS = 2.0
_STDERR = 2


def main(words: Sequence[str]) -> int:
    """Serve until told to end, or the other end of the socket closes. `words`: the number of the socket's descriptor.

    Returns 0 after draining, 1 if what was told is not understood.
    """
    end = socket.socket(fileno=int(words[0]))
    end.set_inheritable(False)
    return run(_serve(end))


async def _serve(end: socket.socket) -> int:
    frames = await Frames.over(end)
    try:
        settings = await _settings(frames)
        return 0 if settings is None else await _work(frames, settings)
    except (FrameError, WorkerSettingsError, AccessError, AuditLogError, KeyPairError, OSError) as error:
        logger.error("cannot begin: %s", error)
        return 1
    finally:
        await frames.abort()


async def _settings(frames: Frames) -> WorkerSettings | None:
    """None if the parent ended before it said any."""
    first = await frames.receive()
    if first is None:
        return None
    kind, payload = first
    if kind != FrameKind.SETTINGS:
        raise WorkerSettingsError("what came first are not settings")
    return decode_settings(payload)


async def _work(frames: Frames, settings: WorkerSettings) -> int:
    # Before anything can be started, a kubeconfig's login for one: uvloop closes none of what a program may inherit.
    # One that has a listener keeps the port, and connections that no process accepts, when this one has ended.
    for descriptor in (*settings.listeners, settings.counts):
        os.set_inheritable(descriptor, False)
    # A stream of its own for each that writes: they flush at different times.
    set_up_logging(settings.logging.format, settings.logging.level, cast("TextIO", WholeLines(_STDERR)))
    registry = CollectorRegistry()
    client = KubeClient(settings.access, user_agent=f"connectors/{VERSION} (proxy)") if settings.access else None
    if client is None:
        return await Worker(frames, settings, registry, None).run()
    await client.start()
    try:
        KubeMetrics(registry, "connectors_proxy", client)
        return await Worker(frames, settings, registry, client).run()
    finally:
        await client.close()


class Worker:
    """Serves what its parent tells, until that tells it to drain or is gone."""

    def __init__(
        self, frames: Frames, settings: WorkerSettings, registry: CollectorRegistry, client: KubeClient | None
    ) -> None:
        """`client` asks the API server about callers, where the settings say so.

        Raises:
            AuditLogError, KeyPairError: see build_proxy.
        """
        self._frames = frames
        self._settings = settings
        self._registry = registry
        proxies = settings.proxy.dialing.egress.compiled()
        self._store = SnapshotStore(
            Wanted(judgements=False, hosts=settings.proxy.hosts, proxies=proxies), large=growing
        )
        cluster = Cluster(client, SystemClock(), client) if client is not None else None
        log_stream = cast("TextIO", WholeLines(_STDERR))
        self._proxy = build_proxy(settings.proxy, self._store, registry, log_stream, cluster)
        self._told = Gathered()
        self._settling = Settling()
        self._tasks: set[asyncio.Task[None]] = set()
        # The last metrics must not come between the parts of those that a scrape has just asked for.
        self._counting = asyncio.Lock()
        self._drain = asyncio.Event()
        self._cut = asyncio.Event()
        self._failed = False

    async def run(self) -> int:
        """Serve until told to drain, then drain. Returns the exit code."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._drain.set)
        hearing = asyncio.create_task(self._hear())
        await self._drain.wait()
        # The parent may still say that it is in a hurry.
        await until(self._cut, self._proxy.drain())
        self._settling.stop()
        with suppress(TimeoutError, OSError):
            async with asyncio.timeout(LAST_WORDS):
                await self._count()
                await self._frames.close()
        for task in (hearing, *self._tasks):
            task.cancel()
        return 1 if self._failed else 0

    async def _hear(self) -> None:
        """The end of this ends the worker: without its parent it would serve what is outdated."""
        try:
            while (frame := await self._frames.receive()) is not None:
                self._heard(*frame)
        except (FrameError, HandoverError, ValueError) as error:
            self._failed = True
            logger.error("what the parent process says is not understood, draining: %s", error)
        except OSError:
            pass  # it is gone
        finally:
            self._drain.set()

    def _heard(self, kind: int, payload: bytes) -> None:
        match kind:
            case FrameKind.PIECE:
                self._told.add(decode(payload))
            case FrameKind.SERVE:
                self._begin(self._follow(number_of(payload), self._told.take()))
            case FrameKind.COUNT:
                self._begin(self._count())
            case FrameKind.REOPEN:
                self._proxy.reopen_audit_log()
            case FrameKind.DRAIN:
                self._drain.set()
            case FrameKind.END:
                self._cut.set()
                self._drain.set()
            case _:
                raise ValueError("no frame for a worker")

    def _begin(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(self._guarded(work))
        # The loop refers to tasks weakly.
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, work: Coroutine[object, object, None]) -> None:
        try:
            await work
        except OSError:
            pass  # the parent is gone, which _hear notices
        except Exception:
            self._failed = True
            logger.exception("a worker failed, draining; please report it")
            self._drain.set()

    async def _follow(self, number: int, changes: Changes) -> None:
        """Serve what was told. The parent sends the next change once it has the answer, so one at a time."""
        if self._store.ready:
            await self._store.follow(changes)
        else:
            with filling():
                await self._store.follow(changes)
            if self._drain.is_set():
                return  # told to end meanwhile: what it accepted now would be cut off at once
            await self._proxy.start(self._shared())
            self._store.subscribe(lambda _: self._settling.soon())
        send_number(self._frames, FrameKind.SERVED, number)
        await self._frames.drained()

    def _shared(self) -> Shared:
        listeners = [socket.socket(fileno=descriptor) for descriptor in self._settings.listeners]
        for listener in listeners:
            listener.setblocking(False)
        counts = Counts(self._settings.counts, self._settings.proxy.workers)
        return Shared(listeners, counts, self._settings.number)

    async def _count(self) -> None:
        async with self._counting:
            told = await asyncio.to_thread(lambda: list(families(self._registry, TOLD_BY_PARENT)))
            for family in told:
                self._frames.send(FrameKind.FAMILY, family)
                await self._frames.drained()
            self._frames.send(FrameKind.COUNTED)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
