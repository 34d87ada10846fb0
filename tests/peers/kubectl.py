"""A real kubectl, kept away from the user's own configuration and caches."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Kubectl:
    """kubectl at `path`, with a kubeconfig (none: for commands that ask no server) and a folder for its caches."""

    path: str
    folder: Path
    kubeconfig: Path | None = None

    def run(self, *words: str, stdin: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run it; with `check`, a failure raises AssertionError with what kubectl said."""
        env = {"HOME": str(self.folder), "PATH": os.environ.get("PATH", os.defpath)}
        command = [self.path, *words]
        if self.kubeconfig:
            # Its cache of the server's types goes by address, and a later server may get the same port.
            command += ["--kubeconfig", str(self.kubeconfig), "--cache-dir", str(self.folder / "cache")]
        done = subprocess.run(
            command, input=stdin, env=env, capture_output=True, text=True, check=False, timeout=SECONDS
        )
        if check and done.returncode:
            raise AssertionError(f"kubectl {' '.join(words)}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def json(self, *words: str, stdin: str = "") -> Any:
        """What `kubectl ... -o json` prints."""
        return json.loads(self.run(*words, "-o", "json", stdin=stdin).stdout)

    def version(self) -> tuple[int, int]:
        """Its own (major, minor)."""
        words = [self.path, "version", "--client", "-o", "json"]
        env = {"HOME": str(self.folder), "PATH": os.environ.get("PATH", os.defpath)}
        done = subprocess.run(words, env=env, capture_output=True, text=True, check=True, timeout=SECONDS)
        found = json.loads(done.stdout)["clientVersion"]
        return int(found["major"]), int("".join(filter(str.isdigit, found["minor"])))


def kubectl_path(assets: Path | None, search: Sequence[str] = ("kubectl",)) -> str | None:
    """kubectl on PATH, else the one beside kube-apiserver; None where there is neither."""
    beside = assets / "kubectl" if assets else None
    found = next((path for name in search if (path := shutil.which(name))), None)
    return found or (str(beside) if beside and beside.is_file() else None)
