"""Where programs of wheels are: in .venv-peers (`make peers`), or on PATH."""

from __future__ import annotations

import shutil

from bench.peers.peer import Program
from standalone.demo import CHECKOUT

FOLDER = CHECKOUT / ".venv-peers"


def in_wheels(name: str, pattern: str) -> Program:
    """Looks for `pattern` below .venv-peers (where bin/envoy is Python that starts the real one), then on PATH."""

    def find() -> str | None:
        found = next(iter(sorted(FOLDER.glob(pattern))), None)
        return str(found) if found else shutil.which(name)

    return find
