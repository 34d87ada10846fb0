"""The real git as a client that has no credential, asks nobody for one and reads no configuration of this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from standalone.child import Child
from standalone.demo import search_path
from tests.peers.tools import program


class GitError(Exception):
    """git ended with another exit code than 0; the message is its output."""


@dataclass(frozen=True, slots=True)
class Git:
    """git, at home in a folder of the test. `trace` collects the headers that it sends and gets."""

    home: Path
    authority: Path | None = None
    """Whom it trusts, as a file of PEM; None: whom the system does."""

    @property
    def trace(self) -> Path:
        """The file of the trace."""
        return self.home / "trace"

    async def __call__(self, *arguments: str, cwd: Path | None = None) -> str:
        """Run one command; returns its output, standard error included."""
        program("git")
        env = {
            "PATH": search_path(),
            "HOME": str(self.home),
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_TRACE_CURL": str(self.trace),
            "GIT_TRACE_CURL_NO_DATA": "1",
            **({"GIT_SSL_CAINFO": str(self.authority)} if self.authority else {}),
            **{f"GIT_{who}_NAME": "Test" for who in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{who}_EMAIL": "test@example.com" for who in ("AUTHOR", "COMMITTER")},
        }
        child = await Child.start("git", ["git", *arguments], env=env, cwd=cwd or self.home)
        try:
            if code := await child.wait():
                raise GitError(f"git {' '.join(arguments)}: exit code {code}\n{child.log}")
        finally:
            await child.stop()
        return child.log

    async def commit(self, work: Path, name: str, content: bytes) -> str:
        """Write a file and commit it; returns the commit's id."""
        (work / name).write_bytes(content)
        await self("add", name, cwd=work)
        await self("commit", "--quiet", f"--message=Add {name}", cwd=work)
        return await self("rev-parse", "HEAD", cwd=work)

    async def store_uncompressed(self, work: Path) -> None:
        """Spare the time of compressing what does not compress."""
        await self("config", "core.compression", "0", cwd=work)
        await self("config", "core.bigFileThreshold", "1m", cwd=work)

    def sent_headers(self) -> list[str]:
        """Names of the headers that it sent, in lower case."""
        mark = "=> Send header: "
        lines = self.trace.read_text(encoding="utf-8", errors="replace").splitlines()
        return [line.split(mark)[1].partition(":")[0].lower() for line in lines if mark in line]
