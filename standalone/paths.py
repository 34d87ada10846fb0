"""The PATH arguments of serve and validate."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def path_problem(paths: Iterable[Path]) -> str | None:
    """Why one of the paths cannot be read, and what to do; None if all can."""
    for path in paths:
        try:
            if path.is_dir():
                os.scandir(path).close()
            elif path.exists() and not path.is_file():
                return f"{path}: is neither a directory nor a file"
            else:
                path.open("rb").close()
        except OSError as error:
            return f"{path}: {error.strerror}; give a directory of manifests, or a file, that this user may read"
    return None
