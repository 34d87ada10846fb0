"""A change of CAs voids what was found, for Connectors and for classes' own APIs."""

from __future__ import annotations

import dataclasses

import trustme
from msgspec.structs import replace

from connectors.dial.egress_settings import EgressSettings, parse_upstream_proxies
from connectors.inventory import Inventory
from connectors.objects.connector import CaCertSecretRef, Connector, ConnectorKey, ConnectorSpec
from connectors.objects.feature_flags import FeatureFlags
from connectors.objects.secret import OPAQUE, Secret, SecretValue
from connectors.snapshot import Objects, Snapshot, Wanted
from connectors.tls.pool import SYSTEM_TRUST
from controller.destination import Platform
from tests.builders import secret_of
from tests.controller.probes.prober_scene import LIVE, Scene, scene
from tests.controller.probes.subjects import login, probed, probing_class
from tests.peers.trust import pem, trust

ONE, OTHER, THIRD = trustme.CA(), trustme.CA(), trustme.CA()
ON = FeatureFlags(enable_custom_ca_certs=True)
SHARED = ConnectorKey("team", "shared")
OWN = ConnectorKey("team", "own")
LOGIN = login()
API = probing_class(name="api", api={"uri": "https://api.example"})


def ca(known: trustme.CA, name: str = "ca", namespace: str = "team") -> Secret:
    return secret_of({"ca.crt": pem(known).encode()}, OPAQUE, name, namespace)


def with_ca(item: Connector) -> Connector:
    spec: ConnectorSpec = replace(item.spec, ca_cert_secret_ref=CaCertSecretRef(name="ca"))
    return replace(item, spec=spec)


CONNECTORS = (probed("shared"), with_ca(probed("own")))


def moment(inventory: Inventory, shared: Secret, own: Secret, flags: FeatureFlags = ON) -> Snapshot:
    objects = Objects(CONNECTORS, (LIVE, API), (LOGIN, own), flags, authorities=(shared,))
    return inventory.build(objects)


async def now_probed(it: Scene, snapshot: Snapshot) -> list[str]:
    """Which hosts are probed because of this snapshot: `tool.example` once for each Connector."""
    before = len(it.sender.sent)
    it.prober.follow(snapshot)
    await it.clock.advance(0)
    return sorted(request.address.host for request in it.sender.sent[before:])


async def test_who_is_concerned_is_probed_at_once_and_nobody_else() -> None:
    shared, own = ca(ONE, "shared", "connectors-system"), ca(ONE)
    async with scene(platform=Platform()) as it:
        inventory = Inventory()
        first = moment(inventory, shared, own)
        assert await now_probed(it, first) == ["api.example", "tool.example", "tool.example"]
        same = moment(inventory, ca(ONE, "shared", "connectors-system"), ca(ONE))
        assert await now_probed(it, same) == [], "the same certificates, written anew"
        changed = moment(inventory, shared, ca(OTHER))
        assert await now_probed(it, changed) == ["tool.example"]
        assert it.sender.sent[-1].trust == trust(ONE, OTHER)
        everybody = moment(inventory, ca(THIRD, "shared", "connectors-system"), ca(ONE))
        assert await now_probed(it, everybody) == ["api.example", "tool.example", "tool.example"]
        off = moment(inventory, shared, own, FeatureFlags())
        assert await now_probed(it, off) == ["api.example", "tool.example", "tool.example"]
        assert [request.trust for request in it.sender.sent[-3:]] == [SYSTEM_TRUST] * 3
        for_all = [request.trust for request in it.sender.sent if request.address.host == "api.example"]
        assert for_all == [trust(ONE), trust(THIRD), SYSTEM_TRUST]


async def test_an_answer_of_the_cas_before_does_not_count() -> None:
    shared, own = ca(ONE, "shared", "connectors-system"), ca(ONE)
    async with scene() as it:
        inventory = Inventory()
        first = moment(inventory, shared, own)
        await now_probed(it, first)
        assert it.known(OWN)[0] == "True"
        it.prober.follow(moment(inventory, shared, ca(OTHER)))
        assert it.known(OWN)[0] == "-"
        assert it.known(SHARED)[0] == "True"


async def test_t23_another_way_out_is_probed_at_once() -> None:
    proxies = EgressSettings(parse_upstream_proxies("http://proxy.example"), (("default", "/login"),)).compiled()
    async with scene(platform=Platform()) as it:
        inventory, everything = Inventory(Wanted(proxies=proxies)), ["api.example", "tool.example", "tool.example"]
        objects = Objects(CONNECTORS, (LIVE, API), (LOGIN,))
        user = SecretValue(b"u:p")
        for logins, expected in ((None, everything), ({"default": user}, everything), ({"default": user}, [])):
            assert await now_probed(it, inventory.build(dataclasses.replace(objects, logins=logins))) == expected
        sent = [request.egress.toward(request.address) for request in it.sender.sent[-3:]]
        assert [proxy.login if proxy else None for proxy in sent] == [user] * 3
