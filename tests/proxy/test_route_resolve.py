from __future__ import annotations

import pytest

from connectors.objects.connector import ConnectorKey
from connectors.objects.connector_class import RESOLVER_ANNOTATION
from connectors.objects.reasons import Reason, RefusedError
from connectors.snapshot import Snapshot
from proxy.decision import Route
from proxy.route import resolve
from tests.peers.manifests import connector, connector_class
from tests.proxy.decisions import HOSTS, request, snapshot_of, tool

TOOL = ConnectorKey("team", "tool")
OTHER = ConnectorKey("team", "other")


def route_of(target: bytes, host: bytes | None = b"proxy:8080", snapshot: Snapshot | None = None) -> Route:
    return resolve(request(target, host=host), snapshot or snapshot_of(tool()), HOSTS)


@pytest.mark.parametrize(
    ("target", "prefix", "rest", "query"),
    [
        (b"/namespaces/team/connectors/tool", b"/namespaces/team/connectors/tool", b"", b""),
        (b"/namespaces/team/connectors/tool/", b"/namespaces/team/connectors/tool", b"/", b""),
        (b"/namespaces/team/connectors/tool?a", b"/namespaces/team/connectors/tool", b"", b"?a"),
        (b"/namespaces/team/connectors/tool//x%2Fy;z?", b"/namespaces/team/connectors/tool", b"//x%2Fy;z", b"?"),
        (b"/%6eamespaces/te%61m/connectors/tool/x", b"/%6eamespaces/te%61m/connectors/tool", b"/x", b""),
        (b"/namespace%73/team/connector%73/tool/x", b"/namespace%73/team/connector%73/tool", b"/x", b""),
    ],
)
def test_path_form(target: bytes, prefix: bytes, rest: bytes, query: bytes) -> None:
    for host in (b"proxy:8080", None):
        route = route_of(target, host)
        assert (route.key, route.client_prefix, route.tool_prefix) == (TOOL, prefix, b"")
        assert (route.rest, route.query, route.extension) == (rest, query, "")
        assert route.plan is not None


@pytest.mark.parametrize("spelling", [b"tool@api", b"tool%40api", b"to%6fl@%61pi"])
def test_extension(spelling: bytes) -> None:
    route = route_of(b"/namespaces/team/connectors/" + spelling + b"/x")
    assert (route.key, route.extension, route.rest) == (TOOL, "api", b"/x")


def test_registry_form() -> None:
    route = route_of(b"/v2/namespaces/team/connectors/tool/library/x/tags/list?n=1")
    assert (route.key, route.tool_prefix, route.rest) == (TOOL, b"/v2", b"/library/x/tags/list")
    assert route.client_prefix == b"/v2/namespaces/team/connectors/tool"


@pytest.mark.parametrize(
    "target",
    [
        b"/",
        b"/namespaces",
        b"/namespaces/team",
        b"/namespaces/team/connectors",
        b"/namespaces/team/connectors/",
        b"/namespaces//connectors/tool",
        b"//namespaces/team/connectors/tool",
        b"/namespacesx/team/connectors/tool",
        b"/namespaces/team/connectorsx/tool",
        b"/Namespaces/team/connectors/tool",
        b"/v2namespaces/team/connectors/tool",
        b"/v3/namespaces/team/connectors/tool",
        b"/v2//namespaces/team/connectors/tool",
        b"/namespaces%2Fteam%2Fconnectors%2Ftool",
        b"/?/namespaces/team/connectors/tool",
    ],
)
def test_t29_nothing_else_names_a_connector(target: bytes) -> None:
    with pytest.raises(RefusedError) as refused:
        route_of(target)
    assert refused.value.refusal.reason is Reason.CONNECTOR_NOT_FOUND


@pytest.mark.parametrize("name", [b"tool2", b"too", b"tool%2fx", b"tool%00", b"TOOL", b"tool%20", b"%E4"])
def test_t29_whole_names_are_compared(name: bytes) -> None:
    assert route_of(b"/namespaces/team/connectors/" + name + b"/x").plan is None


def test_host_form_leaves_the_path_alone() -> None:
    route = route_of(b"//a/%2F?b", b"C-Tool.Team.svc.cluster.local.:80")
    assert (route.key, route.client_prefix, route.rest, route.query) == (TOOL, b"", b"//a/%2F", b"?b")


def test_host_wins_over_another_connectors_path() -> None:
    target = b"/namespaces/team/connectors/other/x"
    snapshot = snapshot_of(tool(), connector("other", "https://other.example", namespace="team"))
    route = route_of(target, b"c-tool.team", snapshot)
    assert (route.key, route.rest) == (TOOL, target)


def test_a_path_that_names_the_hosts_connector_is_taken_off() -> None:
    route = route_of(b"/namespaces/team/connectors/tool@api/x", b"c-tool.team.svc")
    assert (route.key, route.rest, route.extension) == (TOOL, b"/x", "api")


def test_a_path_resolver_leaves_the_naming_to_the_path() -> None:
    registry = connector_class("registry")
    registry["metadata"]["annotations"] = {RESOLVER_ANNOTATION: "path"}
    snapshot = snapshot_of(
        registry, tool(class_name="registry"), connector("other", "https://o.example", namespace="team")
    )
    route = route_of(b"/namespaces/team/connectors/other/x", b"c-tool.team", snapshot)
    assert (route.key, route.host_key) == (OTHER, TOOL)
    route = route_of(b"/x", b"c-tool.team", snapshot)
    assert (route.key, route.host_key) == (TOOL, TOOL)
    assert route_of(b"/namespaces/team/connectors/other/x", b"any", snapshot).host_key is None


def test_an_unknown_connector_is_a_route_without_binding() -> None:
    route = route_of(b"/", b"c-nobody.team")
    assert (route.key, route.plan) == (ConnectorKey("team", "nobody"), None)


@pytest.mark.parametrize("target", [b"*", b"/a/../b", b"http://other/x", b"/a#b"])
def test_what_the_target_refuses_is_malformed(target: bytes) -> None:
    with pytest.raises(RefusedError) as refused:
        route_of(target)
    assert refused.value.refusal.reason is Reason.REQUEST_MALFORMED
