"""`kubectl get` and `connectors get` print the same facts of the same Connectors."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import AsyncExitStack

import pytest

from standalone.child import Child
from standalone.demo import CHECKOUT
from tests.cluster.conftest import Running
from tests.cluster.test_traffic import without_namespace
from tests.peers.manifests import auth, basic_auth, connector

pytestmark = pytest.mark.apiserver


def cells(output: str) -> list[list[str]]:
    """A table of kubectl's: columns are told by where their titles begin, since cells may be empty."""
    head, *rows = output.rstrip("\n").split("\n")
    starts = [i for i, letter in enumerate(head) if letter != " " and (i == 0 or head[i - 1] == " ")]
    ends = [*starts[1:], None]
    return [[line[start:end].strip() for start, end in zip(starts, ends, strict=True)] for line in (head, *rows)]


async def connectors_get(server: str, *words: str) -> str:
    command = [sys.executable, "-m", "standalone", "get", *words, "--server", server]
    child = await Child.start("connectors get", command, env={"PATH": os.defpath}, cwd=CHECKOUT)
    try:
        assert await child.wait() == 0, child.log
    finally:
        await child.stop()
    return child.log


async def test_the_same_table(running: Running, exits: AsyncExitStack) -> None:
    cluster = running.cluster
    await cluster.apply(
        without_namespace(connector("plain", "https://a.example", "git")),
        without_namespace(connector("login", "https://b.example", "git", auth=auth("basicAuth", "login"))),
        without_namespace(connector("lost", "https://c.example", "nosuch")),
        without_namespace(basic_auth("login", "robot", "one")),
    )
    await asyncio.gather(
        cluster.until_ready("plain"), cluster.until_ready("login"), cluster.until_ready("lost", "False")
    )
    command = [cluster.kubectl.path, "proxy", "--port=0", "--kubeconfig", str(cluster.server.kubeconfig)]
    env = {"PATH": os.defpath, "HOME": str(cluster.kubectl.folder)}
    proxy = await Child.start("kubectl proxy", command, env=env)
    exits.push_async_callback(proxy.stop)
    server = "http://" + (await proxy.line(r"serve on (\S+)"))[1]
    for resource in ("connectors", "connectorclasses"):
        words = (resource, "-n", cluster.namespace)
        ours = cells(await connectors_get(server, *words))
        theirs = cells((await asyncio.to_thread(cluster.kubectl.run, "get", *words)).stdout)
        age = theirs[0].index("AGE")
        assert [row[:age] for row in ours] == [row[:age] for row in theirs]
        assert len(ours) > 3
    facts = {row[0]: row[1:] for row in cells(await connectors_get(server, "-n", cluster.namespace))}
    url = f"http://c-login.{cluster.namespace}.svc.cluster.local"
    assert facts["login"][:5] == ["git", "https://b.example", "True", "", url]
    assert facts["lost"][:5] == ["nosuch", "https://c.example", "False", "ConnectorClassNotFound", ""]
