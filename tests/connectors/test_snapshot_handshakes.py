from __future__ import annotations

import trustme

from connectors.credentials.credential import Credential
from connectors.objects.connector import ConnectorKey
from connectors.objects.secret import KeyPair, SecretKey, SecretValue
from connectors.rules.connector_class import judge_class
from connectors.rules.examination import Examined, Inputs, examine
from connectors.snapshot import Handshakes
from connectors.tls.pool import SYSTEM_TRUST, ClientTls, Trust
from tests.builders import basic_class, connector
from tests.peers.trust import trust

ONE, OTHER = ConnectorKey("team", "tool"), ConnectorKey("team", "other")
PAIR = KeyPair(b"chain", SecretValue(b"key"))
KNOWN = trust(trustme.CA())


def showing(pair: KeyPair | None, whom: Trust = SYSTEM_TRUST) -> Examined:
    examined = examine(Inputs(connector(), judge_class(basic_class()), trust=whom))
    return examined._replace(credential=Credential(certificate=pair))


def test_what_is_used_twice_goes_with_the_last_of_them() -> None:
    used = Handshakes()
    used.of_connector(ONE, showing(PAIR))
    used.of_connector(OTHER, showing(PAIR))
    shown = ClientTls(certificate=PAIR)
    assert used.current() == {shown}
    used.of_connector(ONE, None)
    assert used.current() == {shown}
    used.of_connector(OTHER, showing(None))
    assert used.current() == frozenset()


def test_those_who_vouch_for_the_api_server_are_brought_too() -> None:
    used = Handshakes()
    server = trust(trustme.CA()).pool
    whom = Trust(KNOWN.pool, server)
    used.of_trust(None, whom)
    used.of_connector(ONE, showing(PAIR, whom))
    assert used.current() == {ClientTls(of, pair) for of in (KNOWN.pool, server) for pair in (None, PAIR)}


def test_cas_of_secrets_and_those_of_all() -> None:
    used = Handshakes()
    used.of_trust(None, SYSTEM_TRUST)
    used.of_trust(SecretKey(*ONE), KNOWN)
    used.of_connector(ONE, showing(PAIR, KNOWN))
    assert used.current() == {ClientTls(), ClientTls(KNOWN.pool), ClientTls(KNOWN.pool, PAIR)}
    used.of_trust(SecretKey(*ONE), None)
    assert used.current() == {ClientTls(), ClientTls(KNOWN.pool, PAIR)}
    before = used.current()
    used.of_trust(None, SYSTEM_TRUST)
    assert used.current() == before
