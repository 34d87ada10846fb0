"""A Plan whose requests go through an upstream proxy."""

from __future__ import annotations

import pytest

from connectors.dial.upstream_proxy import UpstreamProxies, UpstreamProxy
from connectors.http.message import RequestHead
from connectors.inventory import Inventory
from connectors.objects.addresses import parse_address
from connectors.objects.connector import ConnectorKey
from connectors.objects.reasons import Reason
from connectors.objects.secret import SecretValue
from connectors.plan import Plan
from connectors.process.no_proxy import NoProxy
from connectors.snapshot import Changes, Objects, Snapshot, Wanted
from proxy.upstream import is_current, outdated_pools
from tests.builders import basic_class, connector, connector_class, secret

CORPORATE = UpstreamProxy("default", parse_address("http://proxy.example:3128"))
LAB = UpstreamProxy("lab", parse_address("http://lab.example:8080"), with_login=True)
PROXIES = UpstreamProxies({"default": CORPORATE, "lab": LAB}, NoProxy.parse(".svc"))
ANNOTATION = "connectors.cpaas.io/upstream-proxy"
KEY = ConnectorKey("default", "tool")
HTTP, HTTPS = "http://tool.example", "https://tool.example"
HEAD = RequestHead(b"GET", b"/x", ((b"Host", b"tool.example"),))


def chooses(choice: str | None) -> dict[str, dict[str, str]]:
    return {"annotations": {ANNOTATION: choice}} if choice is not None else {}


def inventory(address: str = HTTPS, own: str | None = None, of_class: str | None = None) -> Inventory:
    kind = connector_class(annotations=chooses(of_class).get("annotations"))
    made = Inventory(Wanted(proxies=PROXIES))
    made.take_all(Objects(connectors=(connector(address=address, metadata=chooses(own)),), classes=(kind,)))
    return made


def plan(snapshot: Snapshot) -> Plan:
    return snapshot.plans[KEY]


@pytest.mark.parametrize(
    ("address", "own", "of_class", "name"),
    [
        (HTTPS, None, None, "default"),
        (HTTPS, "lab", None, "lab"),
        (HTTPS, None, "lab", "lab"),
        (HTTPS, "default", "lab", "default"),
        (HTTPS, "none", "lab", None),
        (HTTPS, None, "none", None),
        ("https://tool.svc", "lab", None, None),
        ("http://127.0.0.1", "lab", None, None),
    ],
)
def test_t23_traffic_and_probes_choose_one_way(
    address: str, own: str | None, of_class: str | None, name: str | None
) -> None:
    snapshot = inventory(address, own, of_class).made()
    target = plan(snapshot).targets[""]
    assert (target.proxy.name if target.proxy else None) == name
    assert target.proxy is snapshot.judgements[KEY].egress.toward(target.address)
    assert bool(target.pool.proxy) == (name is not None)


@pytest.mark.parametrize("of_class", [False, True])
def test_an_unknown_name_refuses_and_its_status_says_why(of_class: bool) -> None:
    snapshot = inventory(own=None if of_class else "other", of_class="other" if of_class else None).made()
    refusal, (violation,) = plan(snapshot).refusal, snapshot.judgements[KEY].fatal
    assert refusal is not None
    assert refusal.reason is Reason.CONNECTOR_INVALID
    assert violation.path == ("spec.connectorClassName" if of_class else f"metadata.annotations[{ANNOTATION}]")
    sentence = "names no upstream proxy of this installation; write default, lab or none, or ask an operator"
    assert sentence in violation.message
    assert str(violation) in refusal.message
    assert not plan(snapshot).targets


def test_where_proxies_are_not_known_names_are_not_judged() -> None:
    made = Inventory()
    made.take_all(Objects(connectors=(connector(metadata=chooses("other")),), classes=(basic_class(),)))
    assert plan(made.made()).targets[""].proxy is None


def test_https_goes_through_a_tunnel_as_it_is() -> None:
    direct, through = (plan(inventory(own=own).made()).targets[""] for own in ("none", None))
    assert (through.mint, through.tunnel, through.injected) == (None, None, direct.injected)
    assert through.pool == direct.pool._replace(proxy=CORPORATE.label)


def test_http_is_asked_for_by_its_whole_url_and_switches_protocols_in_a_tunnel() -> None:
    made = inventory(HTTP, "lab")
    made.take(Changes(logins={"lab": SecretValue(b"u:p")}))
    target = plan(made.made()).targets[""]
    assert target.mint is not None
    assert target.tunnel is not None
    sent = target.mint(HEAD)
    assert sent.target == b"http://tool.example/x"
    assert sent.headers == (*HEAD.headers, (b"Proxy-Authorization", b"Basic dTpw"))
    assert (target.tunnel.mint, target.tunnel.proxy and target.tunnel.proxy.needs_tunnel(target.address)) == (
        None,
        True,
    )
    assert target.pool.proxy != target.tunnel.pool.proxy


def test_what_a_credential_adds_to_the_query_stands_in_the_url() -> None:
    generator = {"query": [{"name": "key", "value": "{{ .Secret.StringData.token }}"}]}
    kind = connector_class(auth={"types": [{"name": "keyed", "secretType": "Opaque", "generator": generator}]})
    item = connector(address=HTTP, auth={"name": "keyed", "secretRef": {"name": "login"}})
    made = Inventory(Wanted(proxies=PROXIES))
    made.take_all(Objects(connectors=(item,), classes=(kind,), secrets=(secret(token=b"t/1"),)))
    target = plan(made.made()).targets[""]
    assert target.mint is not None
    assert target.mint(HEAD).target == b"http://tool.example/x?key=t%2F1"
    assert target.tunnel is not None
    assert target.tunnel.mint is not None
    assert target.tunnel.mint(HEAD).target == b"/x?key=t%2F1"


def test_t13_no_two_ways_share_a_connection() -> None:
    made = inventory(HTTP, "lab")
    pools = [plan(made.made()).targets[""].pool]
    for login in (b"u:p", b"u:q"):
        made.take(Changes(logins={"lab": SecretValue(login)}))
        pools.append(plan(made.made()).targets[""].pool)
    pools += [plan(inventory(HTTP, own).made()).targets[""].pool for own in ("default", "none")]
    assert len(set(pools)) == len(pools)


def test_t13_pools_of_a_login_that_is_over_are_closed_those_of_tunnels_too() -> None:
    made = inventory(HTTP, "lab")
    before = made.made()
    target = plan(before).targets[""]
    assert target.tunnel is not None
    both = {target.pool, target.tunnel.pool}
    assert all(is_current(pool, before) for pool in both)
    made.take(Changes(logins={"lab": SecretValue(b"u:p")}))
    assert set(outdated_pools(plan(before), made.made())) == both


def test_a_login_that_stays_makes_nothing_again() -> None:
    made, login = inventory(own="lab"), SecretValue(b"u:p")
    made.take(Changes(logins={"lab": login}))
    before = made.made()
    made.take(Changes(logins={"lab": login}))
    after = made.made()
    assert plan(after) is plan(before)
    assert after.changed == ()


def test_t14_a_login_does_not_show_itself() -> None:
    made = inventory(HTTP, "lab")
    made.take(Changes(logins={"lab": SecretValue(b"u:canary")}))
    snapshot = made.made()
    assert "canary" not in repr(plan(snapshot)) + repr(snapshot.judgements[KEY]) + repr(snapshot.proxies)
