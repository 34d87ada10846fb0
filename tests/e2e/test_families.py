"""Both address families by default, or the one that there is: real processes in networks of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers.fixtures import StartProxy
from tests.peers.manifests import connector, write
from tests.peers.namespace import Namespace, family_of
from tests.peers.tools import LACKING

pytestmark = pytest.mark.e2e

FOUR, SIX = "127.0.0.1", "::1"
NOTHING = "true"
IPV6_OFF = "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6"
IPV4_AWAY = "ip address del 127.0.0.1/8 dev lo"


@pytest.fixture
def namespace(tmp_path: Path) -> Iterator[Namespace]:
    with Namespace(tmp_path) as made:
        yield made


async def status(namespace: Namespace, ip: str, port: int, target: str) -> str:
    """The status line of the answer; the error if there is no connection."""
    made = namespace.new_socket(family_of(ip))
    made.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(made, (ip, port))
    except OSError as error:
        made.close()
        return type(error).__name__
    reader, writer = await asyncio.open_connection(sock=made)
    writer.write(f"GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    line = (await reader.readline()).decode().strip()
    writer.close()
    await writer.wait_closed()
    return line


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize(
    ("network", "reached"),
    [(NOTHING, (FOUR, SIX)), (IPV6_OFF, (FOUR,)), (IPV4_AWAY, (SIX,))],
    ids=["both", "no IPv6", "IPv6 alone"],
)
async def test_it_listens_on_every_family_that_there_is(
    namespace: Namespace, start_proxy: StartProxy, tmp_path: Path, network: str, reached: tuple[str, ...], workers: str
) -> None:
    (tmp_path / "manifests").mkdir()
    write(tmp_path / "manifests", connector("tool", "http://192.0.2.1"))
    changed = await asyncio.create_subprocess_exec(*namespace.entered, "sh", "-c", network)
    if await changed.wait():
        pytest.skip(f"{LACKING} the right to change a network: run the tests as root")
    options = ("--listen", "[::]:8080", "--admin", "*:8081", "--client-auth", "none", "--workers", workers)
    proxy = await start_proxy(tmp_path / "manifests", *options, entered=namespace.entered)
    assert (proxy.url, proxy.admin) == ("http://[::]:8080", "http://[::]:8081")
    for ip in (FOUR, SIX):
        there = ip in reached
        assert (await status(namespace, ip, 8081, "/readyz") == "HTTP/1.1 200 OK") is there
        assert (await status(namespace, ip, 8080, "/") == "HTTP/1.1 404 Not Found") is there


async def test_t35_a_port_on_all_addresses_is_its_own_by_each_of_them(
    namespace: Namespace, start_proxy: StartProxy, tmp_path: Path
) -> None:
    (tmp_path / "manifests").mkdir()
    tools = {
        "four": "http://127.0.0.1:8080",
        "six": "http://[::1]:8081",
        "mapped": "http://[::ffff:127.0.0.1]:8081",
        "name": "http://localhost:8080",
    }
    write(tmp_path / "manifests", *(connector(name, address) for name, address in tools.items()))
    options = ("--listen", "*:8080", "--admin", "[::]:8081", "--client-auth", "none")
    await start_proxy(tmp_path / "manifests", *options, entered=namespace.entered)
    for name in tools:
        target = f"/namespaces/default/connectors/{name}/x"
        assert await status(namespace, FOUR, 8080, target) == "HTTP/1.1 508 Loop Detected"
