from __future__ import annotations

from dataclasses import replace

import pytest
import trustme

from connectors.credentials.credential import CredentialError
from connectors.judgement import judgement_of
from connectors.objects.reasons import ConditionReason
from connectors.objects.secret import TLS, Secret
from connectors.rules.examination import Inputs, examine
from controller.probes.asks import Asks, asks_of
from controller.probes.outcome import ProbeOutcome
from controller.probes.request import Ask, ProbeRequest
from tests.builders import secret_of
from tests.controller.probes.subjects import BEARER, http, judgement, probed, probing_class
from tests.peers.trust import trust

BOTH = probing_class(http("/live", httpHeaders=BEARER), http("/auth", httpHeaders=BEARER))


def targets(found: list[Ask | ProbeOutcome | None]) -> list[bytes | None]:
    return [item.request.target.reveal() if isinstance(item, Ask) else None for item in found]


def test_both() -> None:
    asks = asks_of(judgement(BOTH), None)
    assert targets([asks.liveness, asks.auth]) == [b"/live", b"/auth"]


def test_what_the_class_does_not_probe() -> None:
    live = asks_of(judgement(probing_class(http("/x"))), None)
    assert (live.liveness is None, live.auth is None) == (False, True)
    auth = asks_of(judgement(probing_class(auth=http("/x"))), None)
    assert (auth.liveness is None, auth.auth is None) == (True, False)


def test_an_empty_probe_asks_nothing() -> None:
    asks = asks_of(judgement(probing_class({}, {})), None)
    assert asks == asks_of(judgement(probing_class()), None)


def test_another_authentication_type_has_no_probe() -> None:
    types = [{"name": name, "secretType": "kubernetes.io/basic-auth", "optional": True} for name in ("auth", "other")]
    kind = probing_class(http("/live"), http("/auth"), types=types)
    asks = asks_of(judgement(kind, probed(auth={"name": "other"}, secret=False)), None)
    assert asks.auth is None
    assert isinstance(asks.liveness, Ask)


def test_without_a_usable_secret_the_tool_is_probed_and_the_credential_is_not() -> None:
    problem = CredentialError(ConditionReason.SECRET_NOT_FOUND, "gone")
    asks = asks_of(replace(judgement(BOTH), secret_problem=problem), None)
    assert asks.auth is None
    assert isinstance(asks.liveness, Ask)
    assert not asks.liveness.request.headers, "nothing of a Secret that cannot serve is sent"


@pytest.mark.parametrize("spec", [{"address": "nonsense"}, {"auth": {"name": "unknown"}}])
def test_what_breaks_a_rule_is_not_probed(spec: dict[str, object]) -> None:
    asks = asks_of(judgement(BOTH, probed(**spec)), None)  # type: ignore[arg-type]
    assert (asks.liveness, asks.auth) == (None, None)


def test_without_a_class_nothing_is_probed() -> None:
    asks = asks_of(judgement_of(examine(Inputs(probed()))), None)
    assert (asks.liveness, asks.auth) == (None, None)


TLS_TYPES = [{"name": "auth", "secretType": TLS, "optional": True}]
LEAF = trustme.CA().issue_cert("client.example")


def pair() -> Secret:
    data = {"tls.crt": LEAF.cert_chain_pems[0].bytes(), "tls.key": LEAF.private_key_pem.bytes()}
    return secret_of(data, TLS, namespace="team")


def requests(found: Asks) -> list[ProbeRequest]:
    return [ask.request for _, ask in found.items() if isinstance(ask, Ask)]


def test_t23_probes_trust_what_the_connectors_traffic_trusts() -> None:
    known = trust(trustme.CA())
    api = probing_class({"api": {"path": "/live"}}, http("/auth"), api={"uri": "https://api.example"})
    for kind in (BOTH, api):
        found = requests(asks_of(replace(judgement(kind), trust=known), None))
        assert [request.trust for request in found] == [known, known]


def test_the_client_certificate_is_shown_by_both_probes() -> None:
    bound = judgement(probing_class(http("/live"), http("/auth"), types=TLS_TYPES), secret=pair())
    found = requests(asks_of(bound, None))
    assert bound.credential.certificate is not None
    assert [request.certificate for request in found] == [bound.credential.certificate] * 2
    assert all(request.authenticates and not request.holds_secret for request in found)


def test_t25_the_client_certificate_goes_to_declared_origins_only() -> None:
    elsewhere = http("/x", host="other.example", scheme="https")
    asks = asks_of(judgement(probing_class(elsewhere, elsewhere, types=TLS_TYPES), secret=pair()), None)
    assert isinstance(asks.liveness, Ask)
    assert asks.liveness.request.certificate is None
    assert isinstance(asks.auth, ProbeOutcome)
    assert asks.auth.reason is ConditionReason.ADDRESS_NOT_DECLARED
    assert "the client certificate" in asks.auth.message


def test_t25_a_classs_own_api_sees_no_client_certificate() -> None:
    api = probing_class({"api": {"path": "/live"}}, api={"uri": "https://api.example"}, types=TLS_TYPES)
    (request,) = requests(asks_of(judgement(api, secret=pair()), None))
    assert request.certificate is None
