from __future__ import annotations

import pickle

import pytest
import trustme
from msgspec.structs import replace

from connectors.credentials.credential import Credential
from connectors.http.message import HOP_BY_HOP, RequestHead
from connectors.objects.connector import Connector, ConnectorKey
from connectors.objects.connector_class import ConnectorClass
from connectors.objects.metadata import ObjectMeta
from connectors.objects.names import HostForm
from connectors.objects.reasons import Reason
from connectors.objects.secret import BASIC_AUTH, OPAQUE, TLS, KeyPair, Secret, SecretValue
from connectors.plan import PATH_OVERRIDES, Plan, PoolKey, compile_plan, trusting
from connectors.rules.connector_class import judge_class
from connectors.rules.examination import Inputs, examine
from connectors.tls.pool import ClientTls
from tests.builders import basic_class, connector, connector_class, secret, secret_of
from tests.peers.manifests import auth, bearer_token
from tests.peers.trust import trust
from tests.proxy.decisions import TOOL, plan_of, pool_key, tool

HOSTS = HostForm(localhost=True)
AUTH = {"name": "basicAuth", "secretRef": {"name": "login"}}
LOGIN = secret(kind=BASIC_AUTH, username=b"u", password=b"p")
KEYED = connector_class(
    auth={
        "types": [
            {
                "name": "a",
                "secretType": OPAQUE,
                "optional": True,
                "generator": {
                    "headers": [{"name": "X-Key", "value": "{{ .Secret.StringData.key }}"}],
                    "query": [{"name": "Api_Key", "value": "{{ .Secret.StringData.key }}"}],
                },
            }
        ]
    }
)


def planned(item: Connector, kind: ConnectorClass | None, held: Secret | None = None) -> Plan:
    return compile_plan(examine(Inputs(item, judge_class(kind) if kind else None, secret=held)), HOSTS)


def test_what_a_request_needs_is_worked_out() -> None:
    plan = planned(connector(address="https://tool.example.com:8443/git/", auth=AUTH), basic_class(), LOGIN)
    target = plan.targets[""]
    assert (plan.key, plan.class_name, plan.refusal) == (ConnectorKey("default", "tool"), "demo", None)
    assert (plan.has_proxy, plan.by_path, plan.caller_header) == (True, False, b"")
    assert (plan.secret_name, plan.secret_version) == ("login", LOGIN.metadata.resource_version)
    assert (target.address.prefix, target.address.authority) == (b"/git", b"tool.example.com:8443")
    assert target.dropped == HOP_BY_HOP | plan.owned.headers | PATH_OVERRIDES
    assert target.injected.reveal() == b"Authorization: Basic dTpw\r\n"
    assert (target.query, target.mint, target.refusal, target.proxy_of) == (None, None, None, None)
    assert target.pool == PoolKey(plan.key, "", "", target.address.origin, "", False)
    assert target.tls == ClientTls()


def test_t37_where_there_is_no_prefix_no_path_is_outside() -> None:
    target = planned(connector(address="https://tool.example.com/"), basic_class()).targets[""]
    assert not target.dropped & PATH_OVERRIDES


@pytest.mark.parametrize(("name", "reads"), [("k8s", True), ("demo", False), ("k8s-copy", False)])
def test_t39_whose_callers_may_show_a_token_as_a_websocket_protocol(name: str, reads: bool) -> None:
    named = replace(basic_class(), metadata=ObjectMeta(name=name))
    assert planned(connector(), named).bearer_protocol is reads


def test_without_tls_there_is_nothing_to_bring_to_a_handshake() -> None:
    target = planned(connector(address="http://tool"), basic_class()).targets[""]
    assert target.tls is None
    assert trusting(target, trust(trustme.CA())) is target


def test_with_other_cas_it_is_another_pool() -> None:
    target, known = planned(connector(), basic_class()).targets[""], trust(trustme.CA())
    renewed = trusting(target, known)
    assert renewed.pool == target.pool._replace(trust=known.pool.digest) != target.pool
    assert renewed.tls == ClientTls(known.pool)


def test_whom_it_believes_is_part_of_its_pool_where_there_is_tls() -> None:
    known = trust(trustme.CA())
    for address, digest in (("https://tool", known.pool.digest), ("http://tool", "")):
        examined = examine(Inputs(connector(address=address), judge_class(basic_class()), trust=known))
        plan = compile_plan(examined, HOSTS)
        assert plan.trust is known
        assert plan.targets[""].pool.trust == digest


def test_each_address_has_its_target() -> None:
    kind = connector_class(addressExtensions=[{"name": "api", "default": "https://api.example"}])
    targets = planned(connector(), kind).targets
    assert [str(targets[name].address) for name in ("", "api")] == ["https://tool.example.com", "https://api.example"]
    assert targets[""].pool != targets["api"].pool


def test_what_depends_on_the_request_is_a_function() -> None:
    item = connector(auth={"name": "a", "secretRef": {"name": "login"}})
    target = planned(item, KEYED, secret(key=b"k&1")).targets[""]
    assert target.injected.reveal() == b"X-Key: k&1\r\n"
    assert target.query is not None
    assert (target.query.owned, target.query.injected[0][0]) == (frozenset({b"api_key"}), b"Api_Key")
    assert target.mint is not None
    head = RequestHead(b"GET", b"/a?b", ((b"Host", b"h"),))
    assert target.mint(head) == RequestHead(b"GET", b"/a?b&Api_Key=k%261", head.headers)


def test_the_names_are_owned_without_a_credential_too() -> None:
    target = planned(connector(auth={"name": "a"}), KEYED).targets[""]
    assert target.query is not None
    assert (target.query.owned, target.query.injected) == (frozenset({b"api_key"}), ())
    assert (target.mint, target.injected.reveal()) == (None, b"")


@pytest.mark.parametrize(
    ("item", "kind"),
    [
        (connector(), None),
        (connector(address="ftp://x"), basic_class()),
        (connector(auth=AUTH), basic_class()),
    ],
    ids=["no class", "a rule is broken", "no Secret"],
)
def test_a_refusal_is_all_that_there_is(item: Connector, kind: ConnectorClass | None) -> None:
    plan = planned(item, kind)
    assert plan.refusal is not None
    assert plan.targets == {}


def test_a_client_certificate_is_refused_where_it_cannot_be_shown() -> None:
    leaf = trustme.CA().issue_cert("client.example")
    pair = {"tls.crt": leaf.cert_chain_pems[0].bytes(), "tls.key": leaf.private_key_pem.bytes()}
    extension = {"name": "api", "default": "http://api.example"}
    kind = connector_class(auth={"types": [{"name": "cert", "secretType": TLS}]}, addressExtensions=[extension])
    item = connector(auth={"name": "cert", "secretRef": {"name": "login"}})
    targets = planned(item, kind, secret_of(pair, TLS)).targets
    assert targets[""].refusal is None
    assert targets[""].tls is not None
    assert targets[""].tls.certificate is not None
    assert targets[""].pool.certificate
    refusal = targets["api"].refusal
    assert refusal is not None
    assert refusal.reason is Reason.CONNECTOR_INVALID
    assert targets["api"].tls is None


def test_an_address_that_is_a_proxy_address_is_known_as_one() -> None:
    target = planned(connector(address="http://c-other.team.svc.cluster.local:8080/x"), basic_class()).targets[""]
    assert target.proxy_of == ConnectorKey("team", "other")


def test_t14_a_plan_shows_no_secret() -> None:
    canary = secret(key=b"canary-71aa")
    plan = planned(connector(auth={"name": "a", "secretRef": {"name": "login"}}), KEYED, canary)
    assert plan.refusal is None
    target = plan.targets[""]
    assert "canary" not in f"{plan!r}{plan}{target!r}{target.injected!r}{target.mint!r}{target.query!r}"
    with pytest.raises(TypeError):
        pickle.dumps(plan)


TEAM = tool(auth=auth("bearerAuth", "s"))


def with_token(address: str = TOOL, *, uid: str = "", version: str = "1", secret: bool = True) -> Plan:
    manifests = [tool(address, auth=auth("bearerAuth", "s" if secret else None))]
    manifests[0]["metadata"]["uid"] = uid
    manifests += [bearer_token("s", version, namespace="team")] if secret else []
    return plan_of(*manifests)


def pool_with(authority: trustme.CA, address: str = TOOL) -> PoolKey:
    """The pool of a Connector that trusts this CA."""
    return trusting(with_token(address).targets[""], trust(authority)).pool


BASE = pool_key(with_token("https://tool.example/a"))
ELSEWHERE = {**TEAM, "metadata": {"name": "tool", "namespace": "else"}}


def test_t13_the_same_connector_origin_secret_and_trust_share_a_pool() -> None:
    assert pool_key(with_token("https://TOOL.example:443/b")) == BASE


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(pool_key(with_token(uid="other")), id="Connector created anew"),
        pytest.param(pool_key(with_token(version="2")), id="Secret changed"),
        pytest.param(pool_key(with_token(secret=False)), id="Secret gone"),
        pytest.param(pool_key(with_token("https://api.example")), id="host"),
        pytest.param(pool_key(with_token("https://tool.example:8443")), id="port"),
        pytest.param(pool_key(with_token("http://tool.example:443")), id="scheme"),
        pytest.param(pool_with(trustme.CA()), id="trust"),
        pytest.param(pool_key(plan_of(ELSEWHERE, bearer_token("s", "1", namespace="else"))), id="ns"),
    ],
)
def test_t13_whatever_differs_has_its_own_pool(key: PoolKey) -> None:
    assert key != BASE


def test_t13_whether_a_certificate_is_shown_makes_two_pools() -> None:
    """Of one Secret two authentication types may make two things."""
    examined = examine(Inputs(connector(), judge_class(basic_class())))
    shown = examined._replace(credential=Credential(certificate=KeyPair(b"chain", SecretValue(b"key"))))
    pools = [pool_key(compile_plan(each, HOSTS)) for each in (examined, shown)]
    assert pools[0] == pools[1]._replace(certificate=False) != pools[1]


def test_cas_are_nothing_to_a_connection_without_tls() -> None:
    assert pool_with(trustme.CA(), "http://tool.example") == pool_key(with_token("http://tool.example"))
