from __future__ import annotations

import trustme

from connectors.objects.addresses import Origin
from connectors.objects.secret import KeyPair, SecretValue
from connectors.tls.certificates import Bundle, read_pem
from connectors.tls.pool import SYSTEM, SYSTEM_TLS, SYSTEM_TRUST, ApiServer, ClientTls, pool_of, trust_of
from tests.peers.trust import pem

ONE, OTHER, THIRD = trustme.CA(), trustme.CA(), trustme.CA()
CLUSTER = Origin("https", "kubernetes.default.svc", 443)


def bundle(*authorities: trustme.CA) -> Bundle:
    return read_pem(pem(*authorities).encode())


def test_pools_of_the_same_certificates_are_equal_whatever_their_order() -> None:
    a, b = bundle(ONE, OTHER).certificates
    assert pool_of([a, b]) == pool_of([b, a, b])
    assert hash(pool_of([a, b])) == hash(pool_of([b, a]))
    assert pool_of([a, b]).certificates == pool_of([b, a]).certificates
    assert len({pool_of([a]).digest, pool_of([b]).digest, pool_of([a, b]).digest, SYSTEM.digest}) == 4


def test_no_certificates_are_the_systems_store() -> None:
    assert pool_of([]) is SYSTEM
    assert trust_of([], None) == SYSTEM_TRUST
    assert ClientTls() == SYSTEM_TLS


def test_the_cas_of_the_cluster_count_toward_its_api_server_and_nowhere_else() -> None:
    server = ApiServer(frozenset({CLUSTER}), bundle(THIRD))
    trust = trust_of(bundle(ONE).certificates, server)
    assert trust.toward(CLUSTER) == pool_of(bundle(ONE, THIRD).certificates)
    for origin in (
        Origin("https", "kubernetes.default.svc", 8443),
        Origin("https", "kubernetes.default.svc.evil.example", 443),
        Origin("https", "tool.example", 443),
    ):
        assert trust.toward(origin) == pool_of(bundle(ONE).certificates)


def test_whatever_is_new_shows_in_the_digests() -> None:
    def digests(own: list[trustme.CA], server: list[trustme.CA]) -> tuple[str, str]:
        return trust_of(bundle(*own).certificates, ApiServer(frozenset({CLUSTER}), bundle(*server))).digests

    assert digests([ONE], [THIRD]) == digests([ONE], [THIRD])
    assert len({digests([ONE], [THIRD]), digests([OTHER], [THIRD]), digests([ONE], [OTHER]), digests([], [])}) == 4


def test_certificates_to_show_are_told_apart_by_being_another() -> None:
    pair = KeyPair(b"chain", SecretValue(b"key"))
    assert ClientTls(SYSTEM, pair) == ClientTls(SYSTEM, pair)
    assert ClientTls(SYSTEM, pair) != ClientTls(SYSTEM, KeyPair(b"chain", SecretValue(b"key")))
    assert ClientTls(SYSTEM, pair) != SYSTEM_TLS


def test_nothing_of_a_certificate_is_shown() -> None:
    assert repr(pool_of(bundle(ONE).certificates)).count("digest") == 1
    assert "der" not in repr(pool_of(bundle(ONE).certificates))
