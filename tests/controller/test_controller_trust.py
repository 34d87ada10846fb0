"""CAs for all, with the whole controller against an API server: what is broken about one is told on itself."""

from __future__ import annotations

import base64

from connectors.kube.resources import SECRETS
from connectors.trust import LABEL
from tests.controller.world import SYSTEM, World
from tests.peers.api_objects import Manifest

FLAG: Manifest = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "connectors-config", "namespace": SYSTEM},
    "data": {"enable-custom-ca-certs": "true"},
}
WARNED = ("Warning", "InvalidCACert", 1)


def broken(name: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": SYSTEM, "labels": {LABEL: "true"}},
        "data": {"ca.crt": base64.b64encode(b"junk").decode()},
    }


async def test_a_secret_that_is_broken_from_the_start_and_one_that_comes_later(world: World) -> None:
    world.server.put(FLAG)
    world.server.put(broken("first"))
    await world.start()
    await world.settled()
    assert world.events(SYSTEM) == [WARNED]
    world.server.put(broken("second"))
    await world.settled()
    assert world.events(SYSTEM) == [WARNED, WARNED]
    world.server.remove(SECRETS, "second", SYSTEM)
    await world.settled()
    assert len(world.events(SYSTEM)) == 2


async def test_with_the_flag_off_nobody_looks(world: World) -> None:
    world.server.put(broken("first"))
    await world.start()
    await world.settled()
    assert world.events(SYSTEM) == []
