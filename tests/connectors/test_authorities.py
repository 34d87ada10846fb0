from __future__ import annotations

from collections.abc import Mapping

import trustme

from connectors.authorities import LABEL, NONE, Given, OwnAuthority, ca_secret_key_of, gather, is_for_all
from connectors.model.addresses import Origin
from connectors.model.connector import CaCertSecretRef, Connector, ConnectorSpec
from connectors.model.metadata import ObjectMeta
from connectors.model.secret import OPAQUE, Secret, SecretKey
from connectors.tls.certificates import read_pem
from connectors.tls.pool import SYSTEM_TRUST, ApiServer
from tests.connectors.builders import secret_of
from tests.peers.trust import pem, pool

GLOBAL, SECOND, OWN, CLUSTER = (trustme.CA() for _ in range(4))
SYSTEM = "connectors-system"
TOOL = Origin("https", "tool.example", 443)


def secret(name: str, known: trustme.CA, namespace: str = "team") -> Secret:
    return secret_of({"ca.crt": pem(known).encode()}, OPAQUE, name, namespace)


def connector(ca: str = "", name: str = "tool") -> Connector:
    reference = CaCertSecretRef(name=ca) if ca else None
    metadata = ObjectMeta(name=name, namespace="team")
    return Connector(metadata=metadata, spec=ConnectorSpec(ca_cert_secret_ref=reference))


def keyed(*secrets: Secret) -> Mapping[SecretKey, Secret]:
    return {item.key: item for item in secrets}


def test_all_layers_are_added() -> None:
    shared = (secret("a", GLOBAL, namespace=SYSTEM), secret("b", SECOND, namespace=SYSTEM))
    plain, own = connector(), connector("own", "other")
    found = gather(Given(True, shared, keyed(secret("own", OWN))), [plain, own])
    assert found.trust.pool == pool(GLOBAL, SECOND)
    assert found.trust_of(plain) == found.trust
    assert found.trust_of(own).pool == pool(GLOBAL, SECOND, OWN)
    assert found.own_of(plain) == OwnAuthority()
    authority = found.own_of(own)
    assert authority is not None
    assert (authority.name, authority.bundle) == ("own", read_pem(pem(OWN).encode()))


def test_with_the_flag_off_there_is_the_systems_store_and_nothing_to_say() -> None:
    item = connector("own")
    server = ApiServer(frozenset({TOOL}), read_pem(pem(CLUSTER).encode()))
    given = Given(False, (secret("a", GLOBAL),), keyed(secret("own", OWN)), {}, server)
    found = gather(given, [item])
    assert found is NONE
    assert found.trust_of(item) == SYSTEM_TRUST
    assert found.own_of(item) is None


def test_a_secret_that_is_missing_or_holds_nothing_costs_its_own_layer_alone() -> None:
    lost, broken = connector("lost"), connector("broken", "other")
    junk = secret_of({"ca.crt": b"junk"}, OPAQUE, "broken", "team")
    found = gather(Given(True, (secret("a", GLOBAL),), keyed(junk)), [lost, broken])
    for item in (lost, broken):
        assert found.trust_of(item).pool == pool(GLOBAL)
    assert found.own_of(lost) == OwnAuthority("lost")
    authority = found.own_of(broken)
    assert authority is not None
    assert authority.bundle is not None
    assert authority.bundle.certificates == ()


def test_a_secret_that_nobody_could_read_yet_is_not_called_missing() -> None:
    item = connector("own")
    found = gather(Given(True, unread={SecretKey("team", "own"): "not read yet"}), [item])
    assert found.own_of(item) == OwnAuthority("own", None, "not read yet")


def test_t07_a_secret_of_another_namespace_is_never_read() -> None:
    item = connector("own")
    found = gather(Given(True, secrets=keyed(secret("own", OWN, namespace="other"))), [item])
    assert found.trust_of(item) == SYSTEM_TRUST
    assert ca_secret_key_of(item) == SecretKey("team", "own")
    assert ca_secret_key_of(connector()) is None


def test_the_clusters_own_ca_counts_toward_its_api_server() -> None:
    server = ApiServer(frozenset({TOOL}), read_pem(pem(CLUSTER).encode()))
    item = connector("own")
    found = gather(Given(True, (), keyed(secret("own", OWN)), {}, server), [item])
    assert found.trust_of(item).toward(TOOL) == pool(OWN, CLUSTER)
    assert found.trust_of(item).toward(Origin("https", "other.example", 443)) == pool(OWN)


def test_what_did_not_change_is_not_parsed_again() -> None:
    shared, own = secret("a", GLOBAL), secret("own", OWN)
    given = Given(True, (shared,), keyed(own))
    first = gather(given, [connector("own")])
    again = gather(given, [connector("own")], first)
    assert again.for_all[0] is first.for_all[0]
    assert again.own[own.key] is first.own[own.key]
    renewed = secret("own", SECOND)
    changed = gather(Given(True, (shared,), keyed(renewed)), [connector("own")], again)
    assert changed.for_all[0] is first.for_all[0]
    assert changed.trust_of(connector("own")).pool == pool(GLOBAL, SECOND)


def test_which_secrets_are_for_all() -> None:
    def labelled(namespace: str, **labels: str) -> bool:
        metadata = ObjectMeta(name="a", namespace=namespace, labels=labels)
        return is_for_all(Secret(metadata, OPAQUE, {}), SYSTEM)

    assert labelled(SYSTEM, **{LABEL: "true"})
    assert not labelled("team", **{LABEL: "true"})
    assert not labelled(SYSTEM, **{LABEL: "True"})
    assert not labelled(SYSTEM)
