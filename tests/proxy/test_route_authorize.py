from __future__ import annotations

import pytest

from connectors.objects.connector import ConnectorKey
from connectors.objects.reasons import Reason, RefusedError
from proxy.decision import Facts, Permission, Route
from proxy.route import authorize
from tests.peers.manifests import Manifest, auth, connector_class
from tests.proxy.decisions import ANYBODY, NOBODY, OURS, STRANGER, plan_of, tool


def route_to(*manifests: Manifest) -> Route:
    plan = plan_of(*manifests) if manifests else None
    return Route(ConnectorKey("team", "tool"), plan, b"", b"", b"", b"/", b"")


SERVED = (tool(),)
NO_PROXY = (connector_class("plain", proxy=None), tool(class_name="plain"))
NO_CLASS = (tool(class_name="lost"),)
NO_SECRET = (tool(auth=auth("basicAuth", "lost")),)


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
    assert reason_of(route, ANYBODY) is reason
    assert reason_of(route, OURS) is reason


@pytest.mark.parametrize("manifests", [SERVED, (), NO_PROXY, NO_CLASS, NO_SECRET])
@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        pytest.param(NOBODY, Reason.UNAUTHENTICATED, id="nobody"),
        pytest.param(STRANGER, Reason.FORBIDDEN, id="stranger"),
        pytest.param(STRANGER._replace(misplaced=True), Reason.FORBIDDEN, id="stranger with a token of another class"),
        pytest.param(OURS._replace(permission=Permission()), Reason.FORBIDDEN, id="nobody has asked"),
    ],
)
def test_who_may_not_know_learns_nothing(manifests: tuple[Manifest, ...], facts: Facts, reason: Reason) -> None:
    assert reason_of(route_to(*manifests), facts) is reason


def test_a_refusal_says_what_is_lacking() -> None:
    with pytest.raises(RefusedError) as refused:
        authorize(route_to(*SERVED), STRANGER)
    assert refused.value.refusal.message == "it lacks a role"


def test_a_token_where_the_class_does_not_read_it_is_none() -> None:
    assert reason_of(route_to(*SERVED), OURS._replace(misplaced=True)) is Reason.UNAUTHENTICATED
