from __future__ import annotations

from dataclasses import replace

import trustme

from connectors.plan import trusting
from connectors.tls.pool import ClientTls
from proxy.decision import Facts, target_now, trust_now
from proxy.route import resolve
from proxy.upstream import is_current
from tests.peers.manifests import auth, bearer_token
from tests.peers.trust import trust
from tests.proxy.decisions import HOSTS, forward_of, judge, request, snapshot_of, tool


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


def test_a_request_that_has_waited_believes_whom_one_that_begins_now_would() -> None:
    team, login = tool(auth=auth("bearerAuth", "s")), bearer_token("s", "1", namespace="team")
    forward, known = forward_of(request(), team, login), trust(trustme.CA())
    before, key = forward.plan, forward.plan.key
    renewed = {name: trusting(target, known) for name, target in before.targets.items()}
    now = replace(snapshot_of(team), plans={key: replace(before, trust=known, targets=renewed)})
    assert trust_now(before, now) == known
    target = target_now(forward, now)
    assert is_current(target.pool, now)
    assert target.tls == ClientTls(known.pool)
    assert trust_now(before, replace(now, plans={})) == before.trust
    assert target_now(forward, replace(now, plans={})) is forward.target
    another = replace(now, plans={key: replace(before, uid="another", trust=known)})
    assert trust_now(before, another) == before.trust
