"""Keeps the garbage collector from visiting long-lived objects again and again."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from contextlib import contextmanager

# How often only new objects are settled before all are: with a change a minute, all are settled once an hour.
WHOLE = 60


def settle() -> None:
    """Collect once, and take everything that is left out of later collections (`gc.freeze`).

    Modules, settings and snapshots are some hundred thousand objects. A full collection visits each of them, and all
    requests wait meanwhile, which shows in the slowest hundredth of them. What is frozen is still
    freed when nothing refers to it, but for cycles, as requests in flight at this moment are; those go with the next
    call, or each change of the manifests under load would leave some for good.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def settle_new() -> None:
    """The same for objects that were made since: it takes time for these alone, however many there were before.

    A cycle that is frozen with it stays until everything is settled.
    """
    gc.collect()
    gc.freeze()


@contextmanager
def filling() -> Iterator[None]:
    """For a time in which thousands of lasting objects are made: no collection visits them, and they are frozen.

    Nothing may be served meanwhile: what becomes garbage in a cycle stays until everything is settled.
    """
    settle()
    with growing():
        yield


@contextmanager
def growing() -> Iterator[None]:
    """For a time in which many lasting objects are made under traffic: they are frozen unvisited.

    A cycle of a request that ends meanwhile stays until everything is settled.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


class Settling:
    """Settles the heap some time after it was asked to, once for all that was asked meanwhile.

    Usually only new objects: with 10,000 Connectors, settling all stops requests for a quarter of a second.
    """

    def __init__(self, delay: float = 60.0, whole: int = WHOLE) -> None:
        """`delay` is in seconds; every `whole`th time it is everything."""
        self._delay = delay
        self._whole = whole
        self._times = 0
        self._timer: asyncio.TimerHandle | None = None

    def soon(self) -> None:
        """Settle within the delay; on the event loop."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._delay, self._settle)

    def stop(self) -> None:
        """Do not settle any more, even if that was asked for."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _settle(self) -> None:
        self._timer = None
        self._times += 1
        if self._times % self._whole == 0:
            settle()
        else:
            settle_new()
