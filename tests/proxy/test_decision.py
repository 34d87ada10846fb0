from __future__ import annotations

from proxy.decision import Facts
from proxy.route import resolve
from tests.proxy.decisions import HOSTS, judge, request, snapshot_of, tool


def test_what_nobody_has_gathered_is_no() -> None:
    assert not Facts().permission.allowed
    assert not Facts(authenticated=True).caller


def test_t27_no_value_of_a_decision_shows_the_query() -> None:
    snapshot, head = snapshot_of(tool()), request(b"/x?private_token=canary")
    route, verdict = resolve(head, snapshot, HOSTS), judge(head, snapshot)
    assert verdict.forward is not None
    for value in (route, verdict.forward, verdict):
        assert "canary" not in repr(value)
        assert "canary" not in f"{value}"
    assert repr(route) == "Route(team/tool)"
    assert repr(verdict.forward) == "Forward(team/tool, https://tool.example)"
