from __future__ import annotations

from dataclasses import replace as dataclass_replace

import pytest
import trustme
from cryptography.exceptions import InternalError
from msgspec.structs import replace

from connectors.credentials.credential import ANONYMOUS, CALLERS_OWN, Credential
from connectors.inventory import build
from connectors.judgement import Judgement
from connectors.objects.addresses import Origin
from connectors.objects.connector import Connector, ConnectorKey
from connectors.objects.connector_class import ConnectorClass
from connectors.objects.feature_flags import FeatureFlags
from connectors.objects.metadata import ObjectMeta
from connectors.objects.reasons import ConditionReason, Reason
from connectors.objects.secret import BASIC_AUTH, OPAQUE, SERVICE_ACCOUNT_TOKEN, TLS, Secret, SecretKey, SecretValue
from connectors.objects.violation import Violation, errors
from connectors.plan import Plan
from connectors.rules import examination
from connectors.snapshot import Objects, Snapshot, TokenOwner, Wanted
from connectors.tls.certificates import read_pem
from connectors.tls.pool import SYSTEM, SYSTEM_TRUST, ApiServer, ClientTls, Pool
from connectors.trust import NONE, OwnAuthority
from tests.builders import basic_class, connector, connector_class, secret, secret_of, successive
from tests.peers.trust import pem, pool

KEY = ConnectorKey("default", "tool")
AUTH = {"name": "basicAuth", "secretRef": {"name": "login"}}
LOGIN = secret(kind=BASIC_AUTH, username=b"u", password=b"p")
CLASS = basic_class()
BROKEN_CLASS = connector_class(
    auth={"types": [{"name": "a", "generator": {"headers": [{"name": "X-Key", "value": "{{ nope }}"}]}}]}
)


def only(objects: Objects) -> tuple[Plan, Judgement]:
    """What the one Connector among them comes to."""
    snapshot = build(objects)
    (plan,), (judgement,) = snapshot.plans.values(), snapshot.judgements.values()
    return plan, judgement


def kept(now: Snapshot, before: Snapshot) -> set[str]:
    """The Connectors that kept both."""
    same = [key for key in now.plans if now.plans[key] is before.plans.get(key)]
    assert same == [key for key in now.judgements if now.judgements[key] is before.judgements.get(key)]
    return {key.name for key in same}


def test_a_connector_is_bound_to_its_class_and_secret() -> None:
    plan, judgement = only(Objects((connector(auth=AUTH),), (CLASS,), (LOGIN,)))
    assert plan.refusal is None
    assert judgement.connector_class is CLASS
    assert judgement.secret is LOGIN
    assert str(judgement.addresses[""]) == "https://tool.example.com"
    assert judgement.credential.headers[0][1].reveal() == b"Basic dTpw"
    assert plan.has_proxy


def test_a_generator_sees_the_connector_and_its_class() -> None:
    value = "{{ .ConnectorClass.Name }}/{{ .Connector.Name }}/{{ .Secret.StringData.key }}"
    generator = {"headers": [{"name": "X-Key", "value": value}]}
    keyed = connector_class(auth={"types": [{"name": "a", "secretType": OPAQUE, "generator": generator}]})
    tool = connector(auth={"name": "a", "secretRef": {"name": "login"}})
    _, judgement = only(Objects((tool,), (keyed,), (secret(key=b"k"),)))
    assert [value.reveal() for _, value in judgement.credential.headers] == [b"demo/tool/k"]


def test_without_a_secret_it_is_anonymous_and_still_owns_the_names() -> None:
    plan, judgement = only(Objects((connector(),), (CLASS,)))
    assert plan.refusal is None
    assert judgement.credential is ANONYMOUS
    assert plan.owned.headers >= CALLERS_OWN.headers


def test_a_class_that_is_missing() -> None:
    plan, _ = only(Objects((connector(),)))
    assert plan.refusal is not None
    assert plan.refusal.reason is Reason.CONNECTOR_INVALID
    assert '"demo" not found' in plan.refusal.message


def test_a_rule_that_is_broken() -> None:
    plan, judgement = only(Objects((connector(address="ftp://x"),), (CLASS,)))
    assert plan.refusal is not None
    assert plan.refusal.reason is Reason.CONNECTOR_INVALID
    assert "default/tool is invalid: spec.address:" in plan.refusal.message
    assert judgement.addresses == {}
    assert judgement.credential is ANONYMOUS


def test_a_class_that_is_broken_says_so_on_its_connectors() -> None:
    snapshot = build(Objects((connector(),), (BROKEN_CLASS,)))
    plan, judgement = snapshot.plans[KEY], snapshot.judgements[KEY]
    assert plan.refusal is not None
    assert plan.refusal.reason is Reason.CONNECTOR_INVALID
    assert errors(judgement.violations)[0].path == "spec.connectorClassName"
    assert "spec.auth.types[0].generator.headers[0].value" in plan.refusal.message
    assert [violation.path for violation in snapshot.class_violations["demo"]] == [
        "spec.auth.types[0].generator.headers[0].value"
    ]


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ((), ConditionReason.SECRET_NOT_FOUND),
        ((secret(username=b"u", password=b"p"),), ConditionReason.SECRET_TYPE_MISMATCH),
        ((secret(kind=BASIC_AUTH, login=b"u"),), ConditionReason.SECRET_KEY_MISSING),
    ],
    ids=["missing", "of another type", "lacks a key"],
)
def test_a_secret_that_cannot_serve(found: tuple[Secret, ...], reason: ConditionReason) -> None:
    plan, judgement = only(Objects((connector(auth=AUTH),), (CLASS,), found))
    assert judgement.secret_problem is not None
    assert judgement.secret_problem.reason is reason
    assert plan.refusal is not None
    assert plan.refusal.reason is Reason.CREDENTIAL_UNAVAILABLE
    assert judgement.credential is ANONYMOUS


def test_t07_a_secret_of_another_namespace_is_never_read() -> None:
    other = secret(kind=BASIC_AUTH, namespace="kube-system", username=b"u", password=b"p")
    for reference in ({"name": "login"}, {"name": "login", "namespace": "kube-system"}):
        plan, judgement = only(
            Objects((connector(auth={"name": "basicAuth", "secretRef": reference}),), (CLASS,), (other,))
        )
        assert judgement.secret is None
        assert judgement.credential is ANONYMOUS
        assert plan.refusal is not None


def test_t21_the_header_that_may_hold_a_callers_token_is_owned() -> None:
    demo = connector_class(proxy={"authExtractor": {"header": "Private_Token"}})
    assert b"private-token" in only(Objects((connector(),), (demo,)))[0].owned.headers


def test_what_the_classes_say_of_callers_is_gathered() -> None:
    classes = (
        connector_class("a", proxy={"authExtractor": {"header": "Private-Token"}, "uri": "/prefix"}),
        connector_class("b", proxy={"authExtractor": {"header": "PRIVATE-TOKEN"}}),
        connector_class("c", proxy={"uri": "https://registry.example.com"}),
        connector_class("d", proxy=None),
        connector_class("e", proxy={"authExtractor": {"header": "Host"}}),
        connector_class("f", proxy={"authExtractor": {"header": "Authorization"}}),
    )
    snapshot = build(Objects(classes=classes))
    assert snapshot.caller_headers == {b"private-token"}
    assert snapshot.proxy_uris == {"/prefix", "https://registry.example.com"}


def test_a_class_without_a_proxy() -> None:
    without = replace(CLASS, spec=replace(CLASS.spec, proxy=None))
    assert not only(Objects((connector(),), (without,)))[0].has_proxy
    assert only(Objects((connector(),)))[0].has_proxy


def test_what_did_not_change_keeps_what_was_made_of_it() -> None:
    one, two = connector("one", auth=AUTH), connector("two")
    objects = Objects((one, two), (CLASS,), (LOGIN,))
    rotated = dataclass_replace(LOGIN, metadata=replace(LOGIN.metadata, resource_version="2"))
    first, again, third = successive(objects, objects, Objects((one, two), (CLASS,), (rotated,)))
    assert again.generation == first.generation + 1
    assert kept(again, first) == {"one", "two"}
    assert kept(third, again) == {"two"}


def test_a_class_that_is_mended_mends_its_connectors() -> None:
    one = connector()
    broken, mended = successive(Objects((one,), (BROKEN_CLASS,)), Objects((one,), (CLASS,)))
    assert broken.plans[KEY].refusal is not None
    assert mended.plans[KEY].refusal is None


def test_whose_token_it_is() -> None:
    metadata = ObjectMeta(name="t", namespace="team", annotations={"kubernetes.io/service-account.name": "builder"})
    token = Secret(metadata, SERVICE_ACCOUNT_TOKEN, {"token": SecretValue(b"tok")})
    opaque = secret("other", token=b"opaque")
    empty = Secret(ObjectMeta(name="e"), SERVICE_ACCOUNT_TOKEN, {"token": SecretValue(b"")})
    snapshot = build(Objects(secrets=(token, opaque, empty)))
    assert snapshot.owner_of(b"tok") == TokenOwner("team", "builder")
    assert snapshot.owner_of(b"opaque") is None
    assert snapshot.owner_of(b"") is None


def test_t14_no_repr_shows_a_secret() -> None:
    canary = secret(kind=BASIC_AUTH, username=b"canary", password=b"canary")
    snapshot = build(Objects((connector(auth=AUTH),), (CLASS,), (canary,)))
    assert "canary" not in repr(snapshot)
    assert "Y2FuYXJ5" not in repr(snapshot)


def test_what_the_api_server_holds_in_another_shape_serves_nobody_and_says_why() -> None:
    bare = Connector(metadata=ObjectMeta(name="bad", namespace="default"))
    wrong = Violation("spec.address", "must be a string")
    objects = Objects((connector(), bare), (CLASS,), malformed={bare.key: wrong})
    snapshot = build(objects)
    bad, said = snapshot.plans[bare.key], snapshot.judgements[bare.key]
    assert said.violations == (wrong,)
    assert bad.refusal is not None
    assert bad.refusal.reason is Reason.CONNECTOR_INVALID
    assert "spec.address: must be a string" in bad.refusal.message
    assert snapshot.plans[KEY].refusal is None
    assert kept(*successive(objects, objects)) == {"tool", "bad"}


def test_a_class_in_another_shape_keeps_its_connectors_from_serving() -> None:
    bare = ConnectorClass(metadata=ObjectMeta(name="demo"))
    wrong = Violation("spec.auth.types", "must be a list")
    snapshot = build(Objects((connector(),), (bare,), malformed={"demo": wrong}))
    assert snapshot.class_violations["demo"] == (wrong,)
    refusal = snapshot.plans[KEY].refusal
    assert refusal is not None
    assert "spec.auth.types" in refusal.message


def test_a_secret_that_was_not_read_yet_is_not_called_missing() -> None:
    objects = Objects((connector(auth=AUTH),), (CLASS,), unread={LOGIN.key: "it is being read"})
    snapshot = build(objects)
    pending, plan = snapshot.judgements[KEY], snapshot.plans[KEY]
    assert pending.secret_problem is not None
    assert pending.secret_problem.reason is ConditionReason.SECRET_PENDING
    assert plan.refusal is not None
    assert plan.refusal.reason is Reason.CREDENTIAL_UNAVAILABLE
    assert kept(*successive(objects, objects)) == {"tool"}
    missing = successive(objects, dataclass_replace(objects, unread={}))[1].judgements[KEY]
    assert missing.secret_problem is not None
    assert missing.secret_problem.reason is ConditionReason.SECRET_NOT_FOUND
    there = build(Objects((connector(auth=AUTH),), (CLASS,), (LOGIN,), unread={LOGIN.key: "late"})).plans[KEY]
    assert there.refusal is None


@pytest.mark.parametrize("auth", [None, {"name": "nosuch", "secretRef": {"name": "login"}}])
def test_an_unread_secret_matters_only_where_one_is_asked_for(auth: dict[str, object] | None) -> None:
    objects = Objects((connector(auth=auth) if auth else connector(),), (CLASS,), unread={LOGIN.key: "late"})
    plan, judgement = only(objects)
    assert judgement.unread == ""
    assert (plan.refusal is None) is (auth is None)


def test_a_class_name_of_any_length_makes_no_long_message() -> None:
    refusal = only(Objects((connector(connectorClassName="x" * 300_000),)))[0].refusal
    assert refusal is not None
    assert len(refusal.message) < 300


ONE, OTHER = trustme.CA(), trustme.CA()
ON = FeatureFlags(enable_custom_ca_certs=True)


def authority(name: str, known: trustme.CA, namespace: str = "default") -> Secret:
    return secret_of({"ca.crt": pem(known).encode()}, OPAQUE, name, namespace)


def trusting(flags: FeatureFlags = ON, shared: trustme.CA = ONE, own: trustme.CA = OTHER) -> Objects:
    """Two Connectors, one of them with a CA of its own, and one CA for all."""
    connectors = (connector("plain"), connector("own", caCertSecretRef={"name": "ca"}))
    shared_secret = authority("shared", shared, "connectors-system")
    return Objects(connectors, (CLASS,), (authority("ca", own), shared_secret), flags, authorities=(shared_secret,))


def trusted(snapshot: Snapshot) -> dict[str, Pool]:
    return {key.name: plan.trust.pool for key, plan in snapshot.plans.items()}


def test_layers_of_trust() -> None:
    snapshot = build(trusting())
    assert trusted(snapshot) == {"plain": pool(ONE), "own": pool(ONE, OTHER)}
    assert [bool(judgement.authority) for judgement in snapshot.judgements.values()] == [True, True]
    assert snapshot.authorities.trust.pool == pool(ONE)


def test_t22_with_the_flag_off_the_systems_store_is_trusted_and_nobody_else() -> None:
    server = ApiServer(frozenset({Origin("https", "tool.example.com", 443)}), read_pem(pem(ONE).encode()))
    snapshot = build(dataclass_replace(trusting(FeatureFlags()), api_server=server))
    assert trusted(snapshot) == {"plain": SYSTEM, "own": SYSTEM}
    assert {plan.trust for plan in snapshot.plans.values()} == {SYSTEM_TRUST}
    assert snapshot.authorities is NONE
    assert [judgement.authority for judgement in snapshot.judgements.values()] == [None, None]


def test_a_change_of_cas_makes_those_again_that_it_is_about() -> None:
    objects = trusting()
    first, same = successive(objects, objects)
    assert kept(same, first) == {"plain", "own"}
    own = trusting(own=trustme.CA())
    own_renewed = dataclass_replace(objects, secrets=(own.secrets[0], objects.secrets[1]))
    assert kept(*successive(objects, own_renewed)) == {"plain"}
    shared = trusting(shared=trustme.CA())
    assert kept(*successive(objects, dataclass_replace(objects, authorities=shared.authorities))) == set()
    off = successive(objects, dataclass_replace(objects, flags=FeatureFlags()))[1]
    assert trusted(off) == {"plain": SYSTEM, "own": SYSTEM}


def test_a_copy_of_the_same_ca_changes_nothing() -> None:
    objects = trusting()
    again = trusting()
    copied = dataclass_replace(objects, secrets=again.secrets, authorities=again.authorities)
    assert kept(*successive(objects, copied)) == {"plain", "own"}


def test_a_connector_that_cannot_be_read_is_trusted_to_have_none() -> None:
    item = Connector(metadata=ObjectMeta(name="plain", namespace="default"))
    objects = dataclass_replace(trusting(), connectors=(item,), malformed={item.key: Violation("spec", "is odd")})
    first = build(objects)
    assert first.judgements[item.key].authority is None
    assert kept(*successive(objects, objects)) == {"plain"}


def test_what_is_brought_to_handshakes() -> None:
    leaf = ONE.issue_cert("client.example")
    pair = {"tls.crt": leaf.cert_chain_pems[0].bytes(), "tls.key": leaf.private_key_pem.bytes()}
    kind = connector_class(auth={"types": [{"name": "cert", "secretType": TLS}]})
    item = connector(auth={"name": "cert", "secretRef": {"name": "login"}})
    snapshot = build(Objects((item,), (kind,), (secret_of(pair, TLS),)))
    certificate = snapshot.plans[item.key].credential.certificate
    assert certificate is not None
    assert snapshot.client_tls == {ClientTls(), ClientTls(SYSTEM, certificate)}
    gone = successive(Objects((item,), (kind,), (secret_of(pair, TLS),)), Objects((), (kind,)))[1]
    assert gone.client_tls == {ClientTls()}
    assert build(trusting()).client_tls == {ClientTls(pool(ONE)), ClientTls(pool(ONE, OTHER))}


def test_what_no_code_expected_of_a_secret_costs_its_connector_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that raises what it does not document has ended both processes of a cluster, again and again."""

    def broken(*_: object) -> Credential:
        raise InternalError("canary-66f1", [])

    monkeypatch.setattr(examination, "credential_of", broken)
    _, judgement = only(Objects((connector(auth=AUTH),), (CLASS,), (LOGIN,)))
    assert judgement.secret_problem is not None
    assert judgement.secret_problem.reason is ConditionReason.SECRET_KEY_INVALID
    assert "InternalError" in judgement.secret_problem.message
    assert "canary" not in judgement.secret_problem.message


def test_a_secret_that_is_not_read_yet_makes_nothing_again_where_something_else_is_wrong() -> None:
    for classes in ((), (BROKEN_CLASS,)):
        objects = Objects((connector(auth=AUTH),), classes, unread={LOGIN.key: "late"})
        assert kept(*successive(objects, objects)) == {"tool"}
    waiting = Objects((connector(auth=AUTH),), (CLASS,), unread={LOGIN.key: "late"})
    assert kept(*successive(waiting, waiting)) == {"tool"}
    assert kept(*successive(waiting, dataclass_replace(waiting, unread={}))) == set()


def test_what_is_said_of_a_ca_is_of_now() -> None:
    objects = Objects((connector(caCertSecretRef={"name": "ca"}),), (CLASS,), flags=ON)
    unread = dataclass_replace(objects, unread={SecretKey("default", "ca"): "late"})
    odd = dataclass_replace(objects, secrets=(secret_of({"ca.crt": b"junk"}, OPAQUE, "ca"),))
    late, lost, broken = successive(unread, objects, odd)
    assert lost.judgements[KEY].trust is late.judgements[KEY].trust
    assert (late.judgements[KEY].authority, lost.judgements[KEY].authority) == (
        OwnAuthority("ca", None, "late"),
        OwnAuthority("ca"),
    )
    assert broken.judgements[KEY].trust == lost.judgements[KEY].trust
    before, now = lost.judgements[KEY].authority, broken.judgements[KEY].authority
    assert before is not None
    assert now is not None
    assert (before.bundle is None, now.bundle is None) == (True, False)


def test_a_process_gets_what_it_has_a_use_for() -> None:
    objects = Objects((connector(),), (CLASS,))
    proxies, controllers = build(objects, wanted=Wanted(judgements=False)), build(objects, wanted=Wanted(plans=False))
    assert (set(proxies.plans), set(proxies.judgements)) == ({KEY}, set())
    assert (set(controllers.plans), set(controllers.judgements)) == (set(), {KEY})
