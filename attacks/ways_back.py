"""Connectors that lead back to the installation itself (threats 34, 35)."""

from __future__ import annotations

import asyncio
import re
import sys

from attacks.attack import LOUD, Attack, Played, Scene, Setting
from attacks.crowd import STATUS, ask, hammer, told
from attacks.stage import serve_scene
from bench.peers.peer import CannotError
from standalone.child import Child
from standalone.demo import CHECKOUT
from tests.peers.manifests import connector, write

NAMED = 20
LOOP_DETECTED = "508"
BOUND = 64
"""Connections that 8 requests at once may make, each of them twice through the forwarder."""
CLIENTS = 8


async def loop_scene(attack: Attack, setting: Setting) -> Scene:
    """A Connector `back` leads through a forwarder to the proxy, and `admin` to its admin port.

    Raises:
        CannotError: they were not served in time.
    """
    scene = await serve_scene(attack, setting)
    command = [sys.executable, "-m", "bench.unread", str(scene.port)]
    forwarder = await Child.start("the forwarder", command, cwd=CHECKOUT)
    setting.exits.push_async_callback(forwarder.stop)
    port = (await forwarder.line(r"^listening on (\d+)$"))[1]
    back = connector("back", f"http://127.0.0.1:{port}/namespaces/{LOUD}/connectors/back", namespace=LOUD)
    write(scene.manifests, back, connector("admin", scene.admin, namespace=LOUD), file="back.yaml")
    for _ in range(NAMED * 10):
        if b"404" not in (await ask(scene, scene.request("/", "Connection: close", name="back"), 2.0))[: STATUS.stop]:
            return scene
        await asyncio.sleep(0.1)
    raise CannotError("the Connector that leads back was not served in time")


async def loop(scene: Scene) -> Played:
    """Requests that come back: each must end with 508, and hold few connections meanwhile."""
    playing = asyncio.create_task(hammer(scene, scene.request("/", "Connection: close", name="back"), CLIENTS))
    most = 0
    while not playing.done():
        most = max(most, (await scene.watching.state()).connections)
        await asyncio.wait({playing}, timeout=0.1)
    statuses = playing.result()
    faults = [] if set(statuses) - {""} == {LOOP_DETECTED} else [f"a loop ended with {told(statuses)}"]
    if most > BOUND:
        faults.append(f"{most} connections at once")
    return Played(f"{told(statuses)}; {most} connections at most", faults)


async def own_ports(scene: Scene) -> Played:
    """The admin port as a tool, in forms that mean it: none may show a metric."""
    shown = 0
    for path in ("/metrics", "/readyz", "/api/connectors", "//metrics"):
        got = await ask(scene, scene.request(path, "Connection: close", name="admin"), 2.0)
        shown += not re.match(rb"HTTP/1\.1 (4|5)\d\d ", got)
    statuses = await hammer(scene, scene.request("/metrics", "Connection: close", name="admin"), CLIENTS)
    return Played(told(statuses), [f"{shown} paths of the admin port were shown"] if shown else [])


ATTACKS = (
    Attack(
        "loop",
        34,
        "A Connector leads through a forwarder back to itself.",
        "600 connections of one request of 60 bytes",
        loop,
        stage=loop_scene,
    ),
    Attack(
        "own ports",
        35,
        "A Connector's address is the installation's own admin port.",
        "it named other tenants' Connectors",
        own_ports,
        stage=loop_scene,
    ),
)
