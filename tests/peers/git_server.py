"""The example git server (git's own http-backend behind HTTP Basic) as a tool."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from standalone.child import Child
from standalone.demo import GIT_SERVER, Seen, read_journal, search_path
from tests.peers.tools import program

USERNAME = "robot"
PASSWORD = "canary-f3a1-password"


@dataclass(frozen=True, slots=True)
class GitServer:
    """A running git server; `address` is what a Connector's spec.address takes, path prefix included."""

    address: str
    root: Path
    journal: Path
    child: Child

    def seen(self) -> list[Seen]:
        """Every request so far."""
        return read_journal(self.journal)


async def start_git_server(folder: Path, prefix: str = "/tools/git") -> GitServer:
    """Start it with the repository `demo.git`; skips where git is lacking."""
    program("git")
    root, journal = folder / "repositories", folder / "journal"
    command = [sys.executable, str(GIT_SERVER), "--root", str(root), "--port", "0", "--journal", str(journal)]
    command += ["--username", USERNAME, "--password-env", "PASSWORD", "--seed", "demo.git"]
    command += ["--prefix", prefix] if prefix else []
    child = await Child.start("the git server", command, env={"PATH": search_path(), "PASSWORD": PASSWORD})
    address = (await child.line(r"^listening on (http://\S+)"))[1]
    return GitServer(address, root, journal, child)
