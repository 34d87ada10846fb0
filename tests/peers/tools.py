"""Programs that a test needs and a machine may lack: skipped by name, never silently."""

from __future__ import annotations

import shutil

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
    "ip": "iproute2",
    "unshare": "util-linux",
    "nsenter": "util-linux",
}
"""Program -> Debian package."""
LACKING = "lacking"
"""How a skip's reason begins, so that the closing list of conftest.py finds it."""


def program(name: str) -> str:
    """The path of a program; skips the test where the machine lacks it."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{LACKING} {name}: apt-get install {PACKAGES[name]}")
    return found
