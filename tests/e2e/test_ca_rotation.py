"""CAs and the tool's certificate are exchanged under load, and nobody notices."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import aiohttp
import pytest
import trustme

from tests.peers.fixtures import StartNginx, StartProxy
from tests.peers.manifests import Manifest, connector, secret, write
from tests.peers.nginx import Nginx
from tests.peers.proxy_process import ProxyProcess
from tests.peers.trust import pem

pytestmark = [pytest.mark.e2e, pytest.mark.nginx, pytest.mark.slow]

OBJECT = "/apis/connectors.alauda.io/v1alpha1/namespaces/default/connectors/tool"
RATE = 200
"""Requests a second."""
SECONDS = 30.0
ROTATIONS = 3
IN_EFFECT = 2.0
"""Seconds in which a change of CAs is in effect, and connections of the CAs before are gone."""
GRACE = 0.5
"""Seconds between two steps: a request that has begun is bound to the CAs that it began with."""
GONE = "exited with code 0"
SLOW_BYTES = 3_000_000
HTTP = "log_format by_connection '$connection $uri';"
SERVER = """
    access_log {folder}/connections.log by_connection;
    location = /slow {{ limit_rate 1m; alias {folder}/slow; }}
    location / {{ return 200 "fine"; }}
"""


def manifests(address: str, *known: trustme.CA) -> list[Manifest]:
    metadata = {"name": "connectors-config", "namespace": "connectors-system"}
    flags = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"enable-custom-ca-certs": "true"}}
    return [flags, secret("ca", {"ca.crt": pem(*known)}), connector("tool", address, caCertSecretRef={"name": "ca"})]


@dataclass
class Load:
    """RATE requests a second, whatever becomes of them."""

    url: str
    outcomes: Counter[str] = field(default_factory=Counter)
    stopped: bool = False

    async def run(self) -> None:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as tasks:
            begun, sent = time.monotonic(), 0
            while not self.stopped:
                tasks.create_task(self._ask(session))
                sent += 1
                await asyncio.sleep(max(0.0, begun + sent / RATE - time.monotonic()))

    async def _ask(self, session: aiohttp.ClientSession) -> None:
        try:
            async with session.get(self.url) as answer:
                text = await answer.text()
                self.outcomes["fine" if (answer.status, text) == (200, "fine") else text] += 1
        except aiohttp.ClientError as error:
            self.outcomes[repr(error)] += 1


async def until(true: Callable[[], Awaitable[bool]], seconds: float) -> float:
    """Seconds until it is so."""
    begun = time.monotonic()
    while not await true():
        assert time.monotonic() - begun < seconds, true
        await asyncio.sleep(0.02)
    return time.monotonic() - begun


async def show(nginx: Nginx, leaf: trustme.LeafCert, issuer: trustme.CA) -> None:
    """Have the tool show another certificate, to everybody: the process that showed the old one has gone."""
    gone = nginx.child.log.count(GONE)
    leaf.private_key_pem.write_to_path(str(nginx.folder / "key.pem"))
    chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
    (nginx.folder / "chain.pem").write_bytes(chain)
    os.kill(nginx.child.pid, signal.SIGHUP)
    context = ssl.create_default_context()
    issuer.configure_trust(context)

    async def shown() -> bool:
        try:
            _, writer = await asyncio.open_connection("localhost", nginx.port, ssl=context)
        except ssl.SSLError:
            return False
        writer.close()
        return True

    async def alone() -> bool:
        return nginx.child.log.count(GONE) > gone

    await until(shown, 10)
    await until(alone, 10)


def connections(nginx: Nginx) -> list[int]:
    """nginx's number of each connection, request by request; they are counted up. What was slow is left out."""
    lines = (nginx.folder / "connections.log").read_text(encoding="ascii").splitlines()
    return [int(number) for number, uri in map(str.split, lines) if uri == "/"]


@dataclass(frozen=True, slots=True)
class Rotation:
    folder: Path
    nginx: Nginx
    proxy: ProxyProcess

    async def known(self, *authorities: trustme.CA) -> float:
        """Have the Connector trust these, another number than before; seconds until it does."""
        write(self.folder, *manifests(self.nginx.address, *authorities))
        told_of = "CA certificate loaded" if len(authorities) == 1 else f"{len(authorities)} CA certificates loaded"

        async def told() -> bool:
            async with aiohttp.ClientSession() as session, session.get(self.proxy.admin + OBJECT) as answer:
                return f'"{told_of}' in await answer.text()

        return await until(told, 5 * IN_EFFECT)  # a busy machine; bench.trust measures

    async def rotate(self, old: trustme.CA, new: trustme.CA) -> None:
        await self.known(old, new)
        await asyncio.sleep(GRACE)
        await show(self.nginx, new.issue_cert("localhost"), new)
        slow = asyncio.create_task(self._slow())
        await asyncio.sleep(0.2)  # so that it runs while its CA goes
        before = max(connections(self.nginx))
        await self.known(new)
        await asyncio.sleep(IN_EFFECT)
        count = len(connections(self.nginx))
        await until(lambda: _more(self.nginx, count + RATE // 2), 5)
        late = [number for number in connections(self.nginx)[count:] if number <= before]
        assert not late, "a connection that was made with the CAs before is used"
        assert await slow == SLOW_BYTES, "a request in flight finishes"

    async def _slow(self) -> int:
        async with aiohttp.ClientSession() as session, session.get(self.proxy.path_form("tool") + "/slow") as answer:
            return len(await answer.read())


async def _more(nginx: Nginx, lines: int) -> bool:
    return len(connections(nginx)) >= lines


@pytest.mark.timeout(120)
async def test_three_rotations_under_load_lose_no_request(
    tmp_path: Path, start_nginx: StartNginx, start_proxy: StartProxy
) -> None:
    authorities = [trustme.CA() for _ in range(ROTATIONS + 1)]
    place = tmp_path / "nginx"
    place.mkdir()
    (place / "slow").write_bytes(b"x" * SLOW_BYTES)
    nginx = await start_nginx(SERVER.format(folder=place), http=HTTP, tls=authorities[0].issue_cert("localhost"))
    folder = write(tmp_path / "manifests", *manifests(nginx.address, authorities[0]))
    proxy = await start_proxy(folder, "--access-log", "off")
    load = Load(proxy.path_form("tool"))
    begun = time.monotonic()
    running = asyncio.create_task(load.run())
    rotation = Rotation(folder, nginx, proxy)
    for old, new in pairwise(authorities):
        await rotation.rotate(old, new)
    await asyncio.sleep(max(0.0, begun + SECONDS - time.monotonic()))
    load.stopped = True
    await running
    assert set(load.outcomes) == {"fine"}, load.outcomes
    assert load.outcomes["fine"] >= RATE * SECONDS * 0.95, "the load was what it says"
    assert "Traceback" not in proxy.child.log
