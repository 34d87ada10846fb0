from __future__ import annotations

import pytest

from connectors.model.connector import ConnectorKey
from connectors.model.reasons import Reason
from connectors.model.refusal import RefusedError
from proxy.decision import Caller, Facts, Route
from proxy.steps.authorize import authorize
from tests.peers.manifests import Manifest, auth, connector_class
from tests.proxy.decisions import HOSTS, binding_of, tool


def route_to(*manifests: Manifest) -> Route:
    binding = binding_of(*manifests) if manifests else None
    return Route(ConnectorKey("team", "tool"), binding, b"", b"", b"", b"/", b"")


SERVED = (tool(),)
NO_PROXY = (connector_class("plain", proxy=None), tool(class_name="plain"))
NO_CLASS = (tool(class_name="lost"),)
NO_SECRET = (tool(auth=auth("basicAuth", "lost")),)
OURS, STRANGER = Caller("team", "a"), Caller("else", "a")


def reason_of(route: Route, facts: Facts) -> Reason | None:
    try:
        authorize(route, facts)
    except RefusedError as error:
        return error.refusal.reason
    return None


@pytest.mark.parametrize(
    ("manifests", "reason"),
    [
        pytest.param(SERVED, None, id="served"),
        pytest.param((), Reason.CONNECTOR_NOT_FOUND, id="unknown"),
        pytest.param(NO_PROXY, Reason.CONNECTOR_NOT_FOUND, id="class without proxy"),
        pytest.param(NO_CLASS, Reason.CONNECTOR_INVALID, id="no class"),
        pytest.param(NO_SECRET, Reason.CREDENTIAL_UNAVAILABLE, id="no Secret"),
        pytest.param((tool("ftp://x"),), Reason.CONNECTOR_INVALID, id="broken rule"),
    ],
)
def test_what_there_is_to_use(manifests: tuple[Manifest, ...], reason: Reason | None) -> None:
    route = route_to(*manifests)
    assert reason_of(route, Facts(HOSTS)) is reason
    assert reason_of(route, Facts(HOSTS, authenticated=True, caller=OURS)) is reason


@pytest.mark.parametrize("caller", [OURS, STRANGER])
def test_host_and_path_of_two_namespaces_need_a_right_in_both(caller: Caller) -> None:
    route = route_to(*SERVED)._replace(host_key=ConnectorKey("else", "a"))
    assert reason_of(route, Facts(HOSTS, authenticated=True, caller=caller)) is Reason.FORBIDDEN
    assert reason_of(route, Facts(HOSTS)) is None


@pytest.mark.parametrize("manifests", [SERVED, (), NO_PROXY, NO_CLASS, NO_SECRET])
@pytest.mark.parametrize(
    ("caller", "reason"), [(None, Reason.UNAUTHENTICATED), (STRANGER, Reason.FORBIDDEN)], ids=["nobody", "stranger"]
)
def test_who_may_not_know_learns_nothing(
    manifests: tuple[Manifest, ...], caller: Caller | None, reason: Reason
) -> None:
    assert reason_of(route_to(*manifests), Facts(HOSTS, authenticated=True, caller=caller)) is reason
