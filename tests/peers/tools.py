"""Programs that a test needs and a machine may lack: skipped by name, never silently."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

PACKAGES = {
    "git": "git",
    "nginx": "nginx",
    "curl": "curl",
    "wrk": "wrk",
    "npm": "npm",
    "skopeo": "skopeo",
    "docker-registry": "docker-registry",
    "htpasswd": "apache2-utils",
    "chromium": "chromium",
    "ip": "iproute2",
    "squid": "squid",
    "unshare": "util-linux",
    "nsenter": "util-linux",
}
"""Program -> Debian package."""
NOT_DEBIANS = frozenset({"kubectl", "kube-apiserver"})
"""The others that tests skip for: tests/peers/cluster_fixtures.py says where they are to be had."""
LACKING = "lacking"
"""How a skip's reason begins, so that the closing list of conftest.py finds it."""


def program(name: str) -> str:
    """The path of a program; skips the test where the machine lacks it."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{LACKING} {name}: apt-get install {PACKAGES[name]}")
    return found


def path_without(names: Iterable[str], folder: Path) -> str:
    """A PATH as of a machine that lacks these programs: `folder`, with a link to everything else that is on PATH."""
    lacking = set(names)
    for place in map(Path, os.get_exec_path()):
        for entry in place.iterdir() if place.is_dir() else ():
            link = folder / entry.name
            # The first of a name wins, as on PATH itself.
            if entry.name not in lacking and os.access(entry, os.X_OK) and not link.is_symlink():
                link.symlink_to(entry.absolute())
    return str(folder)
