"""What stays for long need not be looked at again and again by the garbage collector."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from contextlib import contextmanager

# Times that only what is new is settled before everything is: with a change a minute, that is once an hour.
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
    """The same for what has come since: it takes as long as there is much of that, however much there was before.

    A cycle that is frozen with it stays until everything is settled.
    """
    gc.collect()
    gc.freeze()


@contextmanager
def filling() -> Iterator[None]:
    """While thousands of objects come that stay: no collection visits them, and they are frozen as they are.

    Nothing may be served meanwhile: what becomes garbage in a cycle stays until everything is settled.
    """
    settle()
    with growing():
        yield


@contextmanager
def growing() -> Iterator[None]:
    """While much of what stays is made again, under traffic: what is made is frozen unvisited.

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

    Mostly what is new: with 10,000 Connectors everything takes a quarter of a second, in which no request goes on.
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
        """Forget what was asked for."""
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
