"""A shell as a user has it: lines are pasted into it, real clients run, and what stood in their arguments is kept."""

from __future__ import annotations

import functools
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from standalone.child import Child
from standalone.demo import search_path
from tests.peers.tools import LACKING, program

_BIND = 'mount --bind "$0" /etc/hosts && exec "$@"'


class ShellError(Exception):
    """A line ended with another exit code than 0; the message is the output."""


@dataclass(frozen=True, slots=True)
class Shell:
    """At home in `home`, where it starts. `programs` write their arguments down before they run."""

    home: Path
    programs: Sequence[str]
    hosts: Sequence[str] = ()
    """Names that are 127.0.0.1, for clients that do not know that of `*.localhost` by themselves."""
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.home / "bin").mkdir(parents=True)
        self._arguments.touch()
        for name in (*self.programs, "cat", "mktemp", "rm"):
            real = f"{sys.executable}' -m 'pip" if name == "pip" else program(name)
            shim = self.home / "bin" / name
            log = shlex.quote(str(self._arguments))
            shim.write_text(f'#!/bin/sh\nprintf \'%s\\n\' "$0" "$@" >>{log}\nexec \'{real}\' "$@"\n', encoding="utf-8")
            shim.chmod(0o700)

    async def __call__(self, *lines: str) -> str:
        """Run these lines, the first that fails is the last; returns the output, standard error included."""
        script = self.home / "pasted.sh"
        script.write_text("\n".join(["set -eu", *lines]) + "\n", encoding="utf-8")
        command = [*self._with_hosts(), "sh", str(script)]
        child = await Child.start("sh", command, env=self._environment(), cwd=self.home)
        try:
            if code := await child.wait():
                raise ShellError(f"exit code {code}\n{script.read_text(encoding='utf-8')}\n{child.log}")
        finally:
            await child.stop()
        return child.log

    @property
    def arguments(self) -> str:
        """The arguments of everything that has run so far, and what git says of its own processes."""
        trace = self.home / "git-trace"
        return self._arguments.read_text(encoding="utf-8") + (
            trace.read_text(encoding="utf-8") if trace.exists() else ""
        )

    @property
    def _arguments(self) -> Path:
        return self.home / "arguments"

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.pathsep.join([f"{self.home}/bin", search_path(), *self._folders()]),
            "HOME": str(self.home),
            "LC_ALL": "C.UTF-8",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_TRACE": str(self.home / "git-trace"),
            **{f"GIT_{who}_NAME": "Test" for who in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{who}_EMAIL": "test@example.com" for who in ("AUTHOR", "COMMITTER")},
            "PIP_CONFIG_FILE": "/dev/null",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_NO_CACHE_DIR": "1",
            "PIP_NO_INPUT": "1",
            "PIP_TARGET": str(self.home / "site"),
            "npm_config_audit": "false",
            "npm_config_fund": "false",
            "npm_config_update_notifier": "false",
            "REGISTRY_AUTH_FILE": str(self.home / "registry-logins.json"),
            **self.env,
        }

    def _folders(self) -> set[str]:
        """Where the programs are: npm asks for node, which stands beside it."""
        return {str(Path(program(name)).parent) for name in self.programs if name != "pip"}

    def _with_hosts(self) -> list[str]:
        if not self.hosts:
            return []
        file = self.home / "hosts"
        file.write_text("".join(f"127.0.0.1 {name}\n" for name in ("localhost", *self.hosts)), encoding="utf-8")
        return [*_mount_namespace(), "sh", "-c", _BIND, str(file)]


@functools.cache
def _mount_namespace() -> tuple[str, ...]:
    """A command that runs another with mounts of its own; skips the test where nobody may do that."""
    unshare = program("unshare")
    for command in ((unshare, "--mount"), (unshare, "--map-root-user", "--mount")):
        tried = subprocess.run([*command, "sh", "-c", _BIND, "/dev/null", "true"], capture_output=True, check=False)
        if tried.returncode == 0:
            return command
    return pytest.skip(f"{LACKING} a mount namespace (unshare --mount): run the tests as root")
