"""A network of a test's own, with a name server of its own: processes run in it, and the test's sockets are in it.

Addresses that exist nowhere, or that must not be reached, are on its loopback interface; nothing leaves it, and nothing
of the machine is changed. Its ports are free, 53, 80 and 443 too.
"""

from __future__ import annotations

import functools
import ipaddress
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from standalone.demo import CHECKOUT
from tests.peers import namespace_holder
from tests.peers.tools import LACKING, program

SECONDS = 10.0
"""How long a busy machine may take to set it up, or to make a socket; some 100 ms are usual."""
_TRIAL = "ip link set lo up && ip address add 2001:db8::1/128 dev lo && mount --bind /dev/null /etc/resolv.conf"


class Namespace:
    """Use as `with Namespace(folder, addresses) as network:`; skips the test where nobody may make one.

    `addresses` (`203.0.113.10/32`) are this machine's own in it, beside 127.0.0.1 and ::1.
    """

    def __init__(self, folder: Path, addresses: Sequence[str] = ()) -> None:
        self._folder = folder
        self._addresses = addresses
        self._entered: tuple[str, ...] = ()
        self._holder: subprocess.Popen[bytes] | None = None
        self._link: socket.socket | None = None

    def __enter__(self) -> Self:
        unshare = _unshare()
        self._link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._link.settimeout(SECONDS)
        with theirs:
            script = [sys.executable, "-I", namespace_holder.__file__, str(theirs.fileno()), str(self._folder)]
            self._holder = subprocess.Popen(
                [*unshare, *script, *self._addresses], pass_fds=(theirs.fileno(),), cwd=CHECKOUT
            )
        try:
            said = self._link.recv(100)
            assert said == b"ready", "the namespace was not set up; standard error says why"
        except BaseException:
            self.close()
            raise
        owner = ("--user", "--preserve-credentials") if "--map-root-user" in unshare else ()
        # The working directory is the holder's, which is the checkout as the namespace mounts it.
        self._entered = (
            program("nsenter"), "--target", str(self._holder.pid), *owner, "--net", "--mount", "--wd", "--",
        )  # fmt: skip
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of it: it is gone with the last process and the last socket in it."""
        if self._link:
            self._link.close()
        if self._holder:
            try:
                self._holder.wait(SECONDS)
            except subprocess.TimeoutExpired:
                self._holder.kill()
                self._holder.wait()

    @property
    def entered(self) -> tuple[str, ...]:
        """What stands before a command so that it runs in here, in the checkout; the process stays the same."""
        return self._entered

    def new_socket(self, family: int = socket.AF_INET, kind: int = socket.SOCK_STREAM) -> socket.socket:
        """A socket that is in here, whoever uses it."""
        assert self._link is not None, "not entered"
        self._link.send(b"%d %d" % (family, kind))
        _, (descriptor,), _, _ = socket.recv_fds(self._link, 100, 1)
        return socket.socket(fileno=descriptor)

    def bound(self, ip: str, port: int, kind: int = socket.SOCK_STREAM) -> socket.socket:
        """A socket at an address of in here; port 0 is one of the kernel's choice."""
        made = self.new_socket(family_of(ip), kind)
        if kind == socket.SOCK_STREAM and port:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((ip, port))
        return made


def family_of(ip: str) -> int:
    """The family of sockets that reach this address."""
    return socket.AF_INET6 if ipaddress.ip_address(ip).version == 6 else socket.AF_INET


@functools.cache
def _unshare() -> tuple[str, ...]:
    """The command that makes one; skips the test where a program is lacking, or nobody may."""
    program("ip")
    for options in (("--net", "--mount"), ("--map-root-user", "--net", "--mount")):
        command = (program("unshare"), *options, "--")
        if subprocess.run([*command, "sh", "-c", _TRIAL], capture_output=True, check=False).returncode == 0:
            return command
    return pytest.skip(f"{LACKING} a network namespace with IPv6 (unshare --net --mount): run the tests as root")
