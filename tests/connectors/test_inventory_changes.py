"""Any sequence of changes comes, step by step, to the same as a look at everything."""

from __future__ import annotations

from typing import Any

import trustme
from hypothesis import given
from hypothesis import strategies as st

from connectors.inventory import Inventory, build
from connectors.judgement import Judgement
from connectors.objects.connector import Connector, ConnectorKey
from connectors.objects.connector_class import ConnectorClass
from connectors.objects.feature_flags import FeatureFlags
from connectors.objects.metadata import ObjectMeta
from connectors.objects.secret import BASIC_AUTH, OPAQUE, SERVICE_ACCOUNT_TOKEN, TLS, Secret, SecretKey, SecretValue
from connectors.objects.violation import Violation
from connectors.plan import Plan
from connectors.snapshot import Changes, Objects, Snapshot
from tests.builders import connector, connector_class, secret_of
from tests.connectors.test_inventory import follow
from tests.peers.trust import pem

NAMES = ("a", "b", "c")
CA = {name: secret_of({"ca.crt": pem(trustme.CA()).encode()}, OPAQUE, name) for name in ("ca", "shared")}
LEAF = trustme.CA().issue_cert("client.example")
PAIR = {"tls.crt": LEAF.cert_chain_pems[0].bytes(), "tls.key": LEAF.private_key_pem.bytes()}


def a_secret(name: str, kind: str, value: bytes) -> Secret:
    if kind == TLS:
        return secret_of(PAIR, TLS, name)
    data = {"username": value, "password": value, "token": value}
    return Secret(ObjectMeta(name=name, namespace="default"), kind, {key: SecretValue(v) for key, v in data.items()})


def a_class(name: str, variant: int) -> ConnectorClass:
    types = [
        {"name": "basicAuth", "secretType": BASIC_AUTH, "optional": True},
        {"name": "cert", "secretType": TLS, "optional": True},
    ]
    broken = [{"name": "basicAuth", "generator": {"headers": [{"name": "X-Key", "value": "{{ nope }}"}]}}]
    proxies: list[Any] = [{}, {"authExtractor": {"header": "X-Token"}, "uri": "/p"}, None, {"uri": "https://p.example"}]
    return connector_class(name, auth={"types": broken if variant == 4 else types}, proxy=proxies[variant % 4])


@st.composite
def connectors(draw: st.DrawFn) -> Connector:
    spec: dict[str, Any] = {"connectorClassName": draw(st.sampled_from(("demo", "other", "lost")))}
    spec["address"] = draw(st.sampled_from(("https://a.example", "http://c-b.default", "ftp://x")))
    if draw(st.booleans()):
        auth = {
            "name": draw(st.sampled_from(("basicAuth", "cert"))),
            "secretRef": {"name": draw(st.sampled_from(NAMES))},
        }
        spec["auth"] = auth
    if draw(st.booleans()):
        spec["caCertSecretRef"] = {"name": draw(st.sampled_from(("ca", "a")))}
    return connector(draw(st.sampled_from(NAMES)), **spec)


def keyed(items: list[Any]) -> dict[Any, Any]:
    return {item.key: item for item in items}


@st.composite
def changes(draw: st.DrawFn) -> Changes:
    kinds = (BASIC_AUTH, TLS, SERVICE_ACCOUNT_TOKEN, OPAQUE)
    secrets: dict[SecretKey, Secret | None] = {}
    for name in draw(st.lists(st.sampled_from((*NAMES, "ca")), max_size=2)):
        made = (
            CA["ca"]
            if name == "ca"
            else a_secret(name, draw(st.sampled_from(kinds)), draw(st.sampled_from((b"x", b"y"))))
        )
        secrets[made.key] = draw(st.sampled_from((made, None)))
    classes = {
        name: draw(st.sampled_from((a_class(name, draw(st.integers(0, 4))), None)))
        for name in draw(st.lists(st.sampled_from(("demo", "other")), max_size=1))
    }
    came: dict[ConnectorKey, Connector | None] = keyed(draw(st.lists(connectors(), max_size=3)))
    for name in draw(st.lists(st.sampled_from(NAMES), max_size=1)):
        came[ConnectorKey("default", name)] = None
    of: st.SearchStrategy[ConnectorKey | str] = st.sampled_from(
        [*(ConnectorKey("default", name) for name in NAMES), "demo"]
    )
    odd = st.dictionaries(of, st.sampled_from((Violation("spec", "is odd"), None)), max_size=1)
    unread = st.dictionaries(
        st.builds(SecretKey, st.just("default"), st.sampled_from((*NAMES, "ca"))),
        st.sampled_from(("late", "")),
        max_size=1,
    )
    flags = st.sampled_from((None, FeatureFlags(), FeatureFlags(enable_custom_ca_certs=True)))
    for_all: tuple[Secret, ...] | None = draw(st.sampled_from((None, (), (CA["shared"],))))
    own = st.none() | st.frozensets(st.sampled_from((("10.0.0.1", 8081), ("fd00::1", 8081))))
    return Changes(came, classes, secrets, draw(flags), draw(odd), draw(unread), for_all, own_addresses=draw(own))


class Everything:
    """What a source has, change by change, in the plainest way."""

    def __init__(self) -> None:
        self.held: dict[str, dict[Any, Any]] = {
            name: {} for name in ("connectors", "classes", "secrets", "malformed", "unread")
        }
        self.flags, self.for_all = FeatureFlags(), tuple[Secret, ...]()
        self.own_addresses: frozenset[tuple[str, int]] = frozenset()

    def take(self, changes: Changes) -> Objects:
        for name, held in self.held.items():
            for key, value in getattr(changes, name).items():
                if value:
                    held[key] = value
                else:
                    held.pop(key, None)
        self.flags = changes.flags or self.flags
        self.for_all = self.for_all if changes.authorities is None else changes.authorities
        self.own_addresses = self.own_addresses if changes.own_addresses is None else changes.own_addresses
        held = self.held
        return Objects(
            tuple(held["connectors"].values()),
            tuple(held["classes"].values()),
            tuple(held["secrets"].values()),
            self.flags,
            dict(held["malformed"]),
            dict(held["unread"]),
            self.for_all,
            own_addresses=self.own_addresses,
        )


def made(value: Plan | Judgement) -> str:
    """All of it, secrets too."""
    secrets = [secret.reveal() for _, secret in (*value.credential.headers, *value.credential.query)]
    lines = [target.injected.reveal() for target in value.targets.values()] if isinstance(value, Plan) else []
    return f"{value!r} {secrets} {lines} {value.credential.certificate and value.credential.certificate.chain!r}"


def parts(snapshot: Snapshot) -> dict[str, object]:
    """What two snapshots of the same objects have in common."""
    authorities = snapshot.authorities
    return {
        "plans": {key: made(plan) for key, plan in snapshot.plans.items()},
        "judgements": {key: made(judgement) for key, judgement in snapshot.judgements.items()},
        "classes": (snapshot.classes, snapshot.class_violations, snapshot.caller_headers, snapshot.proxy_uris),
        "owners": (snapshot.token_owners, snapshot.flags),
        "authorities": (authorities.enabled, authorities.trust),
        "own addresses": snapshot.own_addresses,
        "own": {key: (judgement.trust, judgement.authority) for key, judgement in snapshot.judgements.items()},
        "bundles": {key: authority.bundle for key, authority in authorities.own.items()},
        "tls": {(tls.pool, tls.certificate and tls.certificate.chain) for tls in snapshot.client_tls},
    }


@given(st.lists(changes(), max_size=8))
def test_step_by_step_comes_to_the_same_as_the_long_way(steps: list[Changes]) -> None:
    inventory, everything, before = Inventory(), Everything(), build(Objects())
    for step in steps:
        _, now = follow(inventory, step)
        stepwise, long_way = parts(now), parts(build(everything.take(step)))
        for name, found in stepwise.items():
            assert found == long_way[name], name
        told = {key for key in {*before.plans, *now.plans} if before.plans.get(key) is not now.plans.get(key)}
        assert set(now.changed) == told
        assert not any(before.judgements.get(key) is now.judgements.get(key) for key in now.changed)
        before = now
