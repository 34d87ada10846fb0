"""The credentials of upstream proxies, from files and Secrets: what a process knows of them, kept current."""

from __future__ import annotations

import hmac
import logging
import os
import re
import stat
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from connectors.kube.cache import Cache
from connectors.kube.client import KubeClient, Selector
from connectors.kube.reflector import Reflector, Watched
from connectors.kube.resources import SECRETS
from connectors.objects.secret import BASIC_AUTH, Secret, SecretValue
from connectors.process.clock import Clock
from connectors.process.parsers import Named
from connectors.sources.api_objects import keyed_secret

logger = logging.getLogger("connectors.egress")

# Seconds between two looks at the files, as at a listener's certificate (connectors/tls/serving.py).
POLL = 2.0
# Bytes of a file: a field of a request has room for less.
MAX_BYTES = 8 * 1024
# A login with a line end in it would add fields of its own to the request.
_LOGIN = re.compile(rb"[^\x00-\x1f\x7f:]*:[^\x00-\x1f\x7f]*")


class UpstreamLogins:
    """All logins by the name of their proxy. A login that stays the same keeps its instance."""

    def __init__(self, files: Iterable[tuple[str, str]], clock: Clock) -> None:
        """`files`: paths, by the proxy's name. They are read at once, and then as long as `run` runs."""
        self._files = tuple((name, Path(path)) for name, path in files)
        self._clock = clock
        self._known: dict[str, SecretValue] = {}
        self._problems: dict[str, str] = {}
        self._told = False
        self._tell: list[Callable[[], object]] = []
        self.look()

    def subscribe(self, tell: Callable[[], object]) -> None:
        """Call `tell` whenever one has changed."""
        self._tell.append(tell)

    def taken(self) -> Mapping[str, SecretValue] | None:
        """All of them, if one has changed since the last call; else None."""
        if self._told:
            return None
        self._told = True
        return dict(self._known)

    def in_secret(self, name: str, secret: Secret | None) -> None:
        """The Secret with the login of the proxy of that name, None if there is none."""
        login = None
        if secret is not None and secret.type == BASIC_AUTH:
            login = _of_secret(secret.data.get("username"), secret.data.get("password"))
        if login is None:
            problem = f"it must be of type {BASIC_AUTH}, with a username without a colon and a password"
            self._failed(name, problem if secret else "it does not exist")
        self._put(name, login)

    def reflectors(self, client: KubeClient, namespace: str, secrets: Named) -> tuple[Reflector, ...]:
        """What follows the Secrets with logins, each by its proxy's name. To be run by the caller."""

        def of(name: str, secret: str) -> Reflector:
            cache = Cache(keyed_secret, lambda key: self.in_secret(name, cache.items.get(key)))
            selector = Selector(namespace, fields=f"metadata.name={secret}")
            return Reflector(client, Watched(SECRETS, selector), cache, self._clock)

        return tuple(of(name, secret) for name, secret in secrets)

    async def run(self) -> None:
        """Read the files when they change, until cancelled; without one it ends at once."""
        while self._files:
            await self._clock.sleep(POLL)
            self.look()

    def look(self) -> None:
        """Read every file. What cannot be used, as between two writes, leaves the login before in place."""
        for name, path in self._files:
            try:
                login = _of_file(_read(path))
            except OSError as error:
                self._failed(name, os.strerror(error.errno) if error.errno else "it is not a file")
                continue
            if login is None:
                self._failed(name, "it must hold user:password in one line, and nothing else")
            else:
                self._put(name, login)

    def _put(self, name: str, login: SecretValue | None) -> None:
        before = self._known.get(name)
        if login is None:
            self._known.pop(name, None)
        elif before is None or not hmac.compare_digest(before.reveal(), login.reveal()):
            self._known[name] = login
            self._problems.pop(name, None)
        if self._known.get(name) is before:
            return
        if before is not None:
            logger.info("upstream proxy %s has other credentials now", name)
        self._told = False
        for tell in self._tell:
            tell()

    def _failed(self, name: str, problem: str) -> None:
        """Log it once. Neither the path nor anything of its content: the name says which it is."""
        if self._problems.get(name) != problem:
            logger.error("the credentials of upstream proxy %s cannot be used: %s", name, problem)
        self._problems[name] = problem


def _of_file(text: SecretValue) -> SecretValue | None:
    """`user:password`, a line end behind it taken off; None if it is not that (RFC 7617 section 2)."""
    login = text.reveal().removesuffix(b"\n").removesuffix(b"\r")
    return SecretValue(login) if _LOGIN.fullmatch(login) else None


def _of_secret(user: SecretValue | None, password: SecretValue | None) -> SecretValue | None:
    """The login of a Secret of type kubernetes.io/basic-auth; None if it cannot be one."""
    if user is None or password is None or b":" in user.reveal():
        return None
    login = user.reveal() + b":" + password.reveal()
    return SecretValue(login) if _LOGIN.fullmatch(login) else None


def _read(path: Path) -> SecretValue:
    """Raises OSError: it cannot be read, or is not a file."""
    # A pipe does not tell when it ends, and everything would wait.
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:  # noqa: PTH123
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError
        raw = file.read(MAX_BYTES + 1)
    # Cut off it would be another login.
    return SecretValue(raw if len(raw) <= MAX_BYTES else b"")
