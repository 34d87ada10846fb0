"""What stays for long need not be looked at again and again by the garbage collector."""

from __future__ import annotations

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
