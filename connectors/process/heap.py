"""What stays for long need not be looked at again and again by the garbage collector."""

from __future__ import annotations

import asyncio
import gc


def settle() -> None:
    """Collect once, and take everything that is left out of later collections (`gc.freeze`).

    Modules, settings and snapshots are some hundred thousand objects. A full collection visits each of them, and all
    requests wait meanwhile, which shows in the slowest hundredth of them. What is frozen is still
    freed when nobody refers to it any more, but for cycles, as requests in flight at this moment are; those go with the
    next call, or each change of the manifests under load would leave some for good.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


class Settling:
    """Settles the heap some time after it was asked to, once for all that was asked meanwhile.

    In a cluster objects may change several times a second, and each `settle` takes a tenth of one.
    """

    def __init__(self, delay: float = 60.0) -> None:
        """`delay` is in seconds."""
        self._delay = delay
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
        settle()
