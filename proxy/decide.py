"""The decision on one request: pure, and the one place that states the order of the steps (a test pins it)."""

from __future__ import annotations

from connectors.model.message import RequestHead
from connectors.model.refusal import RefusedError
from connectors.snapshot import Snapshot
from proxy.decision import Facts, Verdict
from proxy.steps.authorize import authorize
from proxy.steps.method import check_method
from proxy.steps.resolve import resolve
from proxy.steps.target import check_loop, choose_target


def decide(head: RequestHead, snapshot: Snapshot, facts: Facts) -> Verdict:
    """resolve -> authorize -> target. Total: every request gets a Verdict, and what is unknown is refused."""
    binding = None
    try:
        check_method(head.method)
        route = resolve(head, snapshot, facts.hosts)
        binding = route.binding
        authorized = authorize(route, facts)
        forward = choose_target(route, authorized, head)
        check_loop(forward.address, snapshot, facts.hosts)
    except RefusedError as error:
        return Verdict(binding, refusal=error.refusal)
    return Verdict(authorized, forward=forward)
