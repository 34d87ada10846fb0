"""The quickstart as running processes: the example git server, and `connectors serve` on the example's manifests."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from standalone.child import Child

CHECKOUT = Path(__file__).resolve().parent.parent
MANIFESTS = CHECKOUT / "examples" / "quickstart"
GIT_SERVER = CHECKOUT / "examples" / "git_server" / "server.py"
ADDRESS = "http://127.0.0.1:3000/git"
"""spec.address of the example's Connector: where `make serve` runs the git server."""
SECRET = "demo-git"  # noqa: S105 - an object's name
REPOSITORY = "demo.git"


class QuickstartError(Exception):
    """The quickstart cannot run; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as the git server saw it: `authorization` has its value masked, and is empty where there was none."""

    method: str
    path: str
    authorization: str
    authorized: bool


def check_tools() -> None:
    """Raise QuickstartError where git, or the checkout with its examples, is missing."""
    if not GIT_SERVER.is_file():
        raise QuickstartError(f"{GIT_SERVER} is missing; run this from a checkout of the project, not from a package")
    if shutil.which("git") is None:
        raise QuickstartError("git is not installed; on Debian and Ubuntu: apt-get install git")


def search_path() -> str:
    """PATH for children that are given no environment but their own: where git is, and the system's folders."""
    git = shutil.which("git")
    return os.pathsep.join([str(Path(git).parent), os.defpath]) if git else os.defpath


def login(manifests: Path) -> Mapping[str, str]:
    """`username` and `password` as the quickstart's Secret has them, so that server and Secret cannot disagree."""
    for path in sorted(manifests.glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            if document["kind"] == "Secret" and document["metadata"]["name"] == SECRET:
                data: dict[str, str] = document["stringData"]
                return data
    raise QuickstartError(f"no Secret {SECRET} below {manifests}; restore the example's files")


def copy_manifests(folder: Path, address: str) -> Path:
    """Copy the quickstart's manifests below `folder`, with the git server's address replaced."""
    target = folder / "manifests"
    shutil.copytree(MANIFESTS, target)
    for path in target.glob("*.yaml"):
        path.write_text(path.read_text(encoding="utf-8").replace(ADDRESS, address), encoding="utf-8")
    return target


async def start_git_server(root: Path, port: int = 0, journal: Path | None = None) -> Child:
    """Start the example git server with the repository `demo.git` in `root`. Port 0: the kernel chooses."""
    user = login(MANIFESTS)
    command = [sys.executable, str(GIT_SERVER), "--root", str(root), "--port", str(port), "--prefix", "/git"]
    command += ["--username", user["username"], "--password-env", "GIT_PASSWORD", "--seed", REPOSITORY]
    command += ["--journal", str(journal)] if journal else []
    env = {"PATH": search_path(), "GIT_PASSWORD": user["password"]}
    return await Child.start("the git server", command, env=env)


async def start_proxy(manifests: Path, *options: str) -> Child:
    """Start `connectors serve` on `manifests`."""
    command = [sys.executable, "-m", "standalone", "serve", str(manifests), "--log-format", "text", *options]
    return await Child.start("connectors serve", command, cwd=CHECKOUT)


def read_journal(journal: Path) -> list[Seen]:
    """Everything that the git server has seen so far."""
    if not journal.exists():
        return []
    return [_seen(json.loads(line)) for line in journal.read_text(encoding="utf-8").splitlines()]


def _seen(entry: Mapping[str, Any]) -> Seen:
    values = [value for name, value in entry["headers"] if name.lower() == "authorization"]
    return Seen(entry["method"], entry["path"], ", ".join(values), entry["authorized"])
