from __future__ import annotations

from collections.abc import Mapping

import pytest
import trustme

from connectors.objects.addresses import Origin
from connectors.objects.connector import Connector
from connectors.objects.metadata import ObjectMeta
from connectors.objects.secret import OPAQUE, Secret, SecretKey
from connectors.tls.certificates import read_pem
from connectors.tls.pool import SYSTEM_TRUST, ApiServer, Trust
from connectors.trust import LABEL, Layers, OwnAuthority, ca_secret_key_of, is_for_all
from tests.builders import ca_secret, connector, secret_of
from tests.peers.trust import pem, pool

GLOBAL, SECOND, OWN, CLUSTER = (trustme.CA() for _ in range(4))
SYSTEM = "connectors-system"
TOOL = Origin("https", "tool.example", 443)


def certificates_in(name: str, known: trustme.CA, namespace: str = "team") -> Secret:
    return ca_secret(pem(known).encode(), name, namespace=namespace)


def trusting(ca: str = "", name: str = "tool") -> Connector:
    return connector(name, namespace="team", **({"caCertSecretRef": {"name": ca}} if ca else {}))


def keyed(*secrets: Secret) -> Mapping[SecretKey, Secret]:
    return {item.key: item for item in secrets}


class Gathered:
    """The layers of a few Connectors."""

    def __init__(self, *for_all: Secret, server: ApiServer | None = None) -> None:
        self.layers = Layers()
        self.layers.for_all(for_all, server)

    def give(self, *secrets: Secret, unread: str = "", connectors: tuple[Connector, ...]) -> Gathered:
        held = keyed(*secrets)
        for item in connectors:
            if (key := ca_secret_key_of(item)) is not None:
                self.layers.own(key, held.get(key), unread)
        return self

    def trust_of(self, item: Connector) -> Trust:
        return self.layers.trust_of(ca_secret_key_of(item))

    def own_of(self, item: Connector) -> OwnAuthority:
        return self.layers.state_of(ca_secret_key_of(item))


def test_all_layers_are_added() -> None:
    shared = (certificates_in("a", GLOBAL, namespace=SYSTEM), certificates_in("b", SECOND, namespace=SYSTEM))
    plain, own = trusting(), trusting("own", "other")
    found = Gathered(*shared).give(certificates_in("own", OWN), connectors=(plain, own))
    assert found.layers.current().trust.pool == pool(GLOBAL, SECOND)
    assert found.trust_of(plain) is found.layers.current().trust
    assert found.trust_of(own).pool == pool(GLOBAL, SECOND, OWN)
    assert found.own_of(plain) == OwnAuthority()
    authority = found.own_of(own)
    assert (authority.name, authority.bundle) == ("own", read_pem(pem(OWN).encode()))


def test_a_secret_that_is_missing_or_holds_nothing_costs_its_own_layer_alone() -> None:
    lost, broken = trusting("lost"), trusting("broken", "other")
    junk = secret_of({"ca.crt": b"junk"}, OPAQUE, "broken", "team")
    found = Gathered(certificates_in("a", GLOBAL)).give(junk, connectors=(lost, broken))
    for item in (lost, broken):
        assert found.trust_of(item).pool == pool(GLOBAL)
    assert found.own_of(lost) == OwnAuthority("lost")
    authority = found.own_of(broken)
    assert authority.bundle is not None
    assert authority.bundle.certificates == ()


def test_a_secret_that_nobody_could_read_yet_is_not_called_missing() -> None:
    item = trusting("own")
    found = Gathered().give(unread="not read yet", connectors=(item,))
    assert found.own_of(item) == OwnAuthority("own", None, "not read yet")


def test_t07_a_secret_of_another_namespace_is_never_read() -> None:
    item = trusting("own")
    found = Gathered().give(certificates_in("own", OWN, namespace="other"), connectors=(item,))
    assert found.trust_of(item) == SYSTEM_TRUST
    assert ca_secret_key_of(item) == SecretKey("team", "own")
    assert ca_secret_key_of(trusting()) is None


def test_the_clusters_own_ca_counts_toward_its_api_server() -> None:
    server = ApiServer(frozenset({TOOL}), read_pem(pem(CLUSTER).encode()))
    item = trusting("own")
    found = Gathered(server=server).give(certificates_in("own", OWN), connectors=(item,))
    assert found.trust_of(item).toward(TOOL) == pool(OWN, CLUSTER)
    assert found.trust_of(item).toward(Origin("https", "other.example", 443)) == pool(OWN)


def test_what_did_not_change_is_not_parsed_again() -> None:
    shared, own, item = certificates_in("a", GLOBAL), certificates_in("own", OWN), trusting("own")
    found = Gathered(shared).give(own, connectors=(item,))
    first, trusted = found.layers.current(), found.trust_of(item)
    assert not found.layers.for_all((shared,), None)
    assert not found.layers.own(own.key, own, "")
    again = found.layers.current()
    assert again.for_all[0] is first.for_all[0]
    assert again.own[own.key] is first.own[own.key]
    assert found.layers.own(own.key, certificates_in("own", SECOND), "")
    changed = found.layers.current()
    assert changed.for_all[0] is first.for_all[0]
    assert found.trust_of(item).pool == pool(GLOBAL, SECOND)
    assert first.own[own.key].secret is own, "a value that was handed out stays"
    assert trusted.pool == pool(GLOBAL, OWN)


def test_what_nobody_refers_to_any_more_goes() -> None:
    own, item = certificates_in("own", OWN), trusting("own")
    found = Gathered(certificates_in("a", GLOBAL)).give(own, connectors=(item,))
    found.layers.disown(own.key)
    assert found.layers.current().own == {}
    with pytest.raises(KeyError):
        found.own_of(item)
    assert found.trust_of(item).pool == pool(GLOBAL)


def test_which_secrets_are_for_all() -> None:
    def labelled(namespace: str, **labels: str) -> bool:
        metadata = ObjectMeta(name="a", namespace=namespace, labels=labels)
        return is_for_all(Secret(metadata, OPAQUE, {}), SYSTEM)

    assert labelled(SYSTEM, **{LABEL: "true"})
    assert not labelled("team", **{LABEL: "true"})
    assert not labelled(SYSTEM, **{LABEL: "True"})
    assert not labelled(SYSTEM)
