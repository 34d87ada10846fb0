"""Builders of what the pure parts of proxy/ take: snapshots, heads and the Forward that a request comes to."""

from __future__ import annotations

from typing import Any, NamedTuple

from connectors.http.message import Headers, RequestHead, ResponseHead, Version
from connectors.inventory import build
from connectors.objects.names import HostForm
from connectors.objects.reasons import Refusal, RefusedError
from connectors.objects.user import service_account_user
from connectors.plan import Plan, PoolKey
from connectors.snapshot import Snapshot
from proxy.decision import Facts, Forward, Permission
from proxy.route import decide, find
from tests.peers.manifests import Manifest, auth, connector, connector_class, secret
from tests.peers.objects import objects_of

HOSTS = HostForm(localhost=True)
TOOL = "https://tool.example"
OWN_HOST = b"c-tool.team.localhost"


def snapshot_of(*manifests: Manifest) -> Snapshot:
    """The snapshot of these manifests and the built-in classes."""
    return build(objects_of(*manifests))


def plan_of(*manifests: Manifest) -> Plan:
    """The Plan of the one Connector among them."""
    (plan,) = snapshot_of(*manifests).plans.values()
    return plan


def pool_key(plan: Plan) -> PoolKey:
    """The pool of requests to its spec.address."""
    return plan.targets[""].pool


def tool(address: str = TOOL, class_name: str = "generic", **spec: Any) -> Manifest:
    """The Connector team/tool."""
    return connector("tool", address, class_name, namespace="team", **spec)


def request(
    target: bytes = b"/", headers: Headers = (), *, host: bytes | None = OWN_HOST, method: bytes = b"GET"
) -> RequestHead:
    """A request; `host` None leaves the field out, as HTTP/1.0 may."""
    version = Version.HTTP_1_1 if host is not None else Version.HTTP_1_0
    own = ((b"Host", host),) if host is not None else ()
    return RequestHead(method, target, own + headers, version)


def response(*headers: tuple[bytes, bytes], status: int = 200) -> ResponseHead:
    """A response of the tool's."""
    return ResponseHead(status, b"OK", headers)


def keyed(value: bytes, target: bytes = b"/x") -> Forward:
    """The Forward of a request to a tool that takes its credential, `value`, as the query parameter `key`."""
    generator = {"query": [{"name": "key", "value": "{{ .Secret.StringData.token }}"}]}
    kind = connector_class("keyed", [{"name": "key", "secretType": "Opaque", "generator": generator}])
    token = secret("s", {"token": value.decode()}, namespace="team")
    return forward_of(request(target), kind, token, tool(class_name="keyed", auth=auth("key", "s")))


class Verdict(NamedTuple):
    """Exactly one of `forward` and `refusal`; `plan` is the named Connector's, if there is one."""

    plan: Plan | None = None
    forward: Forward | None = None
    refusal: Refusal | None = None


ANYBODY = Facts()
"""Nobody must prove anything."""
NOBODY = Facts(authenticated=True)
OURS = Facts(True, service_account_user("team", "a"), Permission(allowed=True))
"""Who may use what the request names."""
STRANGER = Facts(True, service_account_user("else", "a"), Permission(message="it lacks a role"))
"""Who proved who it is, and may not."""


def judge(head: RequestHead, snapshot: Snapshot, facts: Facts = ANYBODY) -> Verdict:
    """What is decided on `head`, as proxy/exchange.py puts the parts together."""
    route = None
    try:
        route = find(head, snapshot, HOSTS)
        return Verdict(route.plan, decide(head, route, snapshot, facts))
    except RefusedError as error:
        return Verdict(route.plan if route else None, refusal=error.refusal)


def verdict_of(head: RequestHead, *manifests: Manifest, facts: Facts = ANYBODY) -> Verdict:
    """What is decided on `head`."""
    return judge(head, snapshot_of(*manifests), facts)


def forward_of(head: RequestHead, *manifests: Manifest) -> Forward:
    """The Forward of a request that must not be refused."""
    verdict = verdict_of(head, *(manifests or (tool(),)))
    assert verdict.forward is not None, verdict.refusal
    return verdict.forward
