"""One caller on the way to one Connector: what identity needs to know of a request besides its token. Pure."""

from __future__ import annotations

from typing import NamedTuple

from connectors.snapshot import Snapshot
from proxy.decision import Route


class Approach(NamedTuple):
    """`client` is the address that the connection came from, without its port; empty where it is not known."""

    route: Route
    snapshot: Snapshot
    client: str = ""
