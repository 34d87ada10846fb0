from __future__ import annotations

from proxy.decide import decide
from proxy.decision import Caller, Facts
from proxy.steps.resolve import resolve
from tests.proxy.decisions import HOSTS, request, snapshot_of, tool


def test_a_caller_is_shown_as_namespace_and_name() -> None:
    assert str(Caller("team", "builder")) == "team/builder"


def test_t27_no_value_of_a_decision_shows_the_query() -> None:
    snapshot, head = snapshot_of(tool()), request(b"/x?private_token=canary")
    route, verdict = resolve(head, snapshot, HOSTS), decide(head, snapshot, Facts(HOSTS))
    assert verdict.forward is not None
    for value in (route, verdict.forward, verdict):
        assert "canary" not in repr(value)
        assert "canary" not in f"{value}"
    assert repr(route) == "Route(team/tool)"
    assert repr(verdict.forward) == "Forward(team/tool, https://tool.example)"
