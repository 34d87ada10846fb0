"""The decision on one request: pure, and the one place that states the order of the steps (a test pins it).

In between lies I/O: `find` says which Connector is meant, proxy/identity.py gathers who asks for it, `decide` decides.
"""

from __future__ import annotations

from connectors.model.host_form import HostForm
from connectors.model.message import RequestHead
from connectors.model.refusal import RefusedError
from connectors.snapshot import Snapshot
from proxy.decision import Facts, Route, Verdict
from proxy.steps.authorize import authorize
from proxy.steps.method import check_method
from proxy.steps.resolve import resolve
from proxy.steps.target import check_loop, choose_target


def find(head: RequestHead, snapshot: Snapshot, hosts: HostForm) -> Route:
    """method -> resolve. Which Connector the request means, whether or not there is one.

    Raises:
        RefusedError: no Connector is named, or the request is none that any would take.
    """
    check_method(head.method)
    return resolve(head, snapshot, hosts)


def decide(head: RequestHead, route: Route, snapshot: Snapshot, facts: Facts) -> Verdict:
    """authorize -> target. Total: every request gets a Verdict, and what is unknown is refused."""
    try:
        plan = authorize(route, facts)
        forward = choose_target(route, plan, head)
        check_loop(forward.target, snapshot)
    except RefusedError as error:
        return Verdict(route.plan, refusal=error.refusal)
    return Verdict(plan, forward=forward._replace(spent=facts.presented))
