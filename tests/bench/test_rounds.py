"""One very short run of everything that a run is made of: tool, load, nginx, this proxy."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from bench.compare import quick_table
from bench.peers.nginx import NGINX
from bench.peers.ours import ours
from bench.peers.peer import Peer, Running, Site
from bench.rounds import Plan, run, token
from bench.scenarios import chosen
from proxy.callers.tokens import claims_of
from tests.peers.tools import program


@pytest.mark.nginx
async def test_nginx_and_this_proxy_side_by_side(tmp_path: Path) -> None:
    program("nginx")
    program("wrk")
    said: list[str] = []
    absent = Peer("absent", _start_nothing, lambda: None, "nowhere", lambda: "")
    wrong = Peer("wrong", _start_nothing, lambda: "", "nowhere", lambda: "")
    peers = [NGINX, absent, wrong, ours()]
    plan = Plan(chosen(["special"]), peers, 2, 1)
    results = await run(plan, tmp_path, said.append)
    assert results.missing == {"absent": "nowhere"}
    # Its requests go to the tool without the credential, and every answer is 401.
    assert list(results.failures) == ["wrong"]
    assert len(results.failures["wrong"]) == 1, "it is left out of the second round"
    assert "Non-2xx" in results.failures["wrong"][0]
    for name in ("nginx", "Connectors"):
        sample, _ = results.of("special", name)
        assert sample.cpu is not None
        assert 1e-6 < sample.cpu < 5e-3
        assert sample.rate > 100
    assert said[0] == "missing: absent (nowhere)"
    assert said[-1].startswith("  round 2 of 2: nginx ")
    table = quick_table(plan.scenarios, peers, results).splitlines()
    assert table[1].startswith("special ")


async def _start_nothing(_: AsyncExitStack, site: Site) -> Running:
    return Running(site.tool, None)


def test_a_callers_token_is_one_of_a_service_account() -> None:
    made = token().encode()
    assert claims_of(made).audiences == {"https://kubernetes.default.svc.cluster.local"}
    assert 700 < len(made) < 1300
