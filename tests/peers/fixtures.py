"""Fixtures that start peers and end them with the test."""

from __future__ import annotations

import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trustme

from tests.peers import git_server as git
from tests.peers import nginx as web
from tests.peers import proxy_process as proxy
from tests.peers.raw_upstream import RawUpstream

StartNginx = Callable[..., Awaitable[web.Nginx]]
"""(server directives, *, http="", tls=None, name="nginx") -> Nginx"""
StartGitServer = Callable[..., Awaitable[git.GitServer]]
"""(prefix="/tools/git") -> GitServer"""
StartProxy = Callable[..., Awaitable[proxy.ProxyProcess]]
"""(manifests, *options, env=None, python=..., entered=()) -> ProxyProcess"""


@pytest.fixture
async def exits() -> AsyncIterator[AsyncExitStack]:
    """What a test pushes here is undone when it ends."""
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
async def raw_upstream() -> AsyncIterator[RawUpstream]:
    """A tool of raw sockets without a script."""
    async with RawUpstream() as upstream:
        yield upstream


@pytest.fixture
def start_nginx(exits: AsyncExitStack, tmp_path: Path) -> StartNginx:
    """Start nginx below the test's own folder."""

    async def start(
        server: str, *, http: str = "", tls: trustme.LeafCert | None = None, name: str = "nginx"
    ) -> web.Nginx:
        started = await web.start_nginx(tmp_path / name, server, http=http, tls=tls)
        exits.push_async_callback(started.child.stop)
        return started

    return start


@pytest.fixture
def start_git_server(exits: AsyncExitStack, tmp_path: Path) -> StartGitServer:
    """Start the example git server below the test's own folder."""

    async def start(prefix: str = "/tools/git") -> git.GitServer:
        started = await git.start_git_server(tmp_path / "git", prefix)
        exits.push_async_callback(started.child.stop)
        return started

    return start


@pytest.fixture
def start_proxy(exits: AsyncExitStack) -> StartProxy:
    """Start `connectors serve` on a folder of manifests."""

    async def start(
        manifests: Path,
        *options: str,
        env: Mapping[str, str] | None = None,
        python: str = sys.executable,
        entered: Sequence[str] = (),
    ) -> proxy.ProxyProcess:
        started = await proxy.start_proxy(manifests, *options, env=env, python=python, entered=entered)
        exits.push_async_callback(started.child.stop)
        return started

    return start


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """A certificate authority that no system trusts."""
    return trustme.CA()


@pytest.fixture(scope="session")
def authority_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its certificate as a file, for SSL_CERT_FILE."""
    path = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture(scope="session")
def localhost_certificate(authority: trustme.CA) -> trustme.LeafCert:
    """A certificate for localhost and 127.0.0.1 of that authority."""
    return authority.issue_cert("localhost", "127.0.0.1")


@pytest.fixture
def server_tls(localhost_certificate: trustme.LeafCert) -> ssl.SSLContext:
    """A server's context with that certificate, for RawUpstream."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    localhost_certificate.configure_cert(context)
    return context
