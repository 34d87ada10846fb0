"""The network of a test's own, its name server and its witnesses: one that leaks, or sees nothing, proves nothing."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from standalone.child import Child
from standalone.demo import CHECKOUT
from tests.peers.name_server import name_server
from tests.peers.namespace import Namespace
from tests.peers.witness import Deaf, Witness

ADDRESS = "203.0.113.10"
LOOK_UP = """
import json, socket, sys
for name in sys.argv[1:]:
    try:
        print(json.dumps(sorted({item[4][0] for item in socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)})))
    except socket.gaierror:
        print("[]")
"""


@pytest.fixture(scope="module")
def namespace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Namespace]:
    with Namespace(tmp_path_factory.mktemp("namespace"), [f"{ADDRESS}/32"]) as made:
        yield made


def addresses_here() -> str:
    return subprocess.run(["ip", "address"], capture_output=True, text=True, check=True).stdout


async def test_it_is_another_network_with_files_of_its_own(namespace: Namespace) -> None:
    child = await Child.start("cat", [*namespace.entered, "cat", "/etc/resolv.conf", "/proc/net/fib_trie"])
    assert await child.wait() == 0, child.log
    assert "nameserver 127.0.0.1" in child.log
    assert ADDRESS in child.log
    assert ADDRESS not in addresses_here()
    with namespace.bound(ADDRESS, 0) as bound:
        assert bound.getsockname()[0] == ADDRESS


async def test_it_ends_with_its_block(tmp_path: Path) -> None:
    with Namespace(tmp_path) as namespace:
        child = await Child.start("readlink", [*namespace.entered, "readlink", "/proc/self/ns/net"])
        assert await child.wait() == 0, child.log
        assert child.log != str(Path("/proc/self/ns/net").readlink())
    assert [path for path in Path("/proc").glob("[0-9]*/ns/net") if link(path) == child.log] == []


def link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:  # gone meanwhile, or somebody else's
        return ""


async def test_names_have_one_answer_after_the_other(namespace: Namespace) -> None:
    with namespace.bound("127.0.0.1", 53, socket.SOCK_DGRAM) as bound:
        async with name_server(bound) as names:
            names.says("turns.example", [ADDRESS, "2001:db8::1"], ["::ffff:169.254.169.254"], ["192.0.2.1"])
            asked = ["turns.example"] * 4 + ["missing.example"]
            command = [*namespace.entered, sys.executable, "-I", "-c", LOOK_UP, *asked]
            child = await Child.start("look up", command, cwd=CHECKOUT)
            assert await child.wait() == 0, child.log
            assert names.lookups("turns.example") == 4
    assert [json.loads(line) for line in child.log.splitlines()] == [
        ["2001:db8::1", ADDRESS], ["::ffff:169.254.169.254"], ["192.0.2.1"], ["192.0.2.1"], [],
    ]  # fmt: skip


async def test_a_witness_counts_who_says_nothing(namespace: Namespace) -> None:
    async with Witness(namespace, ADDRESS, 80) as tool:
        assert await tool.strangers() == 0
        with namespace.new_socket() as silent:
            silent.connect((ADDRESS, 80))  # the test's loop has no turn before the next line
            assert await tool.strangers() == 1
        assert tool.heads == []


async def test_the_deaf_one_neither_takes_nor_refuses(namespace: Namespace) -> None:
    with Deaf(namespace, ADDRESS, 80), namespace.new_socket() as caller:
        caller.setblocking(False)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await asyncio.get_running_loop().sock_connect(caller, (ADDRESS, 80))
