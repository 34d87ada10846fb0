"""What one Connector uses at once: one count, whichever of its addresses, Secrets or CAs a request has."""

from __future__ import annotations

import gc

from connectors.objects.addresses import Origin
from connectors.objects.connector import ConnectorKey
from proxy.settings import Timeouts
from proxy.upstream import Upstreams
from proxy.watchdog import Watchdog
from tests.peers.trust import dialer
from tests.proxy.decisions import plan_of, pool_key, tool

KEY = pool_key(plan_of(tool()))


def test_t33_all_of_a_connector_counts_together_and_no_other() -> None:
    upstreams = Upstreams(Timeouts(), Watchdog(1.0), dialer(), lambda *_: False)
    own = upstreams.pool(KEY)
    others = (
        KEY._replace(secret="another"),
        KEY._replace(trust="another"),
        KEY._replace(origin=Origin("https", "api.tool.example", 443)),
        KEY._replace(uid="made-again"),
    )
    pools = [upstreams.pool(key) for key in others]
    assert all(pool is not own and pool.load is own.load for pool in pools)
    neighbour = upstreams.pool(KEY._replace(connector=ConnectorKey(KEY.connector.namespace, "neighbour")))
    assert neighbour.load is not own.load
    assert upstreams.pool(KEY._replace(connector=ConnectorKey("elsewhere", KEY.connector.name))).load is not own.load


def test_t33_a_change_of_the_secret_gives_no_second_share_while_requests_run() -> None:
    upstreams = Upstreams(Timeouts(), Watchdog(1.0), dialer(), lambda *_: False)
    load = upstreams.pool(KEY).load  # as the record of a request that runs holds it
    load.requests = 1
    upstreams.close_idle([KEY])
    gc.collect()
    assert upstreams.pool(KEY._replace(secret="another")).load.requests == 1
