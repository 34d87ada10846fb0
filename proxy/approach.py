"""One caller on the way to one Connector: what identity needs to know of a request besides its token. Pure."""

from __future__ import annotations

from typing import NamedTuple

from connectors.objects.connector import ConnectorKey
from connectors.snapshot import Snapshot
from proxy.evidence import Evidence


class Approach(NamedTuple):
    """`client` is the address that the connection came from, without its port; empty where it is not known.

    `evidence` hears of the answers that were used; None where it is not of use.
    """

    key: ConnectorKey
    snapshot: Snapshot
    client: str = ""
    evidence: Evidence | None = None
