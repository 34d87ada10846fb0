"""The decision on one request: pure, and the one place that states the order of the steps (a test pins it).

In between lies I/O: `find` says which Connector is meant, proxy/callers/ gathers who asks for it, `decide` decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from connectors.http.isolation import IsolationPolicy
from connectors.http.message import RequestHead
from connectors.http.target import RequestTarget, request_target
from connectors.objects.addresses import AddressError, parse_address, same_address
from connectors.objects.connector import ConnectorKey
from connectors.objects.names import HostForm
from connectors.objects.reasons import Reason, Refusal, RefusedError
from connectors.plan import Plan, Target
from connectors.snapshot import Snapshot
from proxy.callers.guises import guises_of, without_token
from proxy.decision import Facts, Forward, Mount, PathRule, Route
from proxy.inject import wants_websocket

CHOOSER = b"x-openapi-address"


# Step: which of the Connector's addresses, and the request-target there (docs/operators.md: an address extension).
def choose_target(route: Route, plan: Plan, head: RequestHead) -> Forward:
    """The chosen address with its path prefix + the rest of path and query, byte for byte.

    Raises:
        RefusedError: AddressNotDeclared, RequestMalformed for two choices, or what the address is refused for.
    """
    target = _choose(route, plan, head.values(CHOOSER))
    if target.refusal:
        raise RefusedError(target.refusal)
    prefix = target.address.prefix
    base = prefix + route.tool_prefix
    bare = base + b"/" if route.tool_prefix else target.address.path
    rule = PathRule(base, len(route.client_prefix), bare or b"/")
    # Registries answer with paths with /v2 and without it: each has a mount of its own.
    mounts: tuple[Mount, ...] = (Mount(route.client_prefix, base),)
    if route.tool_prefix:
        mounts += (Mount(route.client_prefix.removeprefix(route.tool_prefix), prefix),)
    request_target = rule.target(route.client_prefix + route.rest, route.query)
    return Forward(plan, target, request_target, rule, route.authority, mounts)


def require_no_loop(target: Target, snapshot: Snapshot) -> None:
    """A Connector must not point at a Connector's own proxy address: requests would go round until something gives.

    Raises:
        RefusedError: LoopDetected.
    """
    if target.proxy_of is not None and target.proxy_of in snapshot.plans:
        whose = target.proxy_of
        message = f"the Connector's address is the proxy address of Connector {whose}; point it at the tool itself"
        raise RefusedError(Refusal(Reason.LOOP_DETECTED, message))


def _choose(route: Route, plan: Plan, chosen: Sequence[bytes]) -> Target:
    # Two readers could pick different ones (threat 2).
    if len(chosen) > 1:
        raise RefusedError(Refusal(Reason.REQUEST_MALFORMED, "X-Openapi-Address may stand only once"))
    by_path = _named(plan, route.extension)
    if not chosen:
        return by_path
    by_header = _by_header(plan, chosen[0].decode("latin-1"))
    if route.extension and by_header.address != by_path.address:
        message = "X-Openapi-Address and the path's @EXT choose different addresses; send one of them"
        raise RefusedError(Refusal(Reason.ADDRESS_NOT_DECLARED, message))
    return by_header


def _by_header(plan: Plan, choice: str) -> Target:
    if "://" not in choice:
        return _named(plan, choice)
    try:
        wanted = parse_address(choice)
    except AddressError:
        raise _not_declared(plan) from None
    # Declared addresses only: with any other URL, a caller would choose where the credential goes.
    for target in plan.targets.values():
        if same_address(target.address, wanted):
            return target
    raise _not_declared(plan)


def _named(plan: Plan, name: str) -> Target:
    target = plan.targets.get(name)
    if target is None:
        raise _not_declared(plan)
    return target


def _not_declared(plan: Plan) -> RefusedError:
    names = ", ".join(sorted(name for name in plan.targets if name)) or "none"
    message = f"the chosen address is not declared by the Connector; its extensions: {names}"
    return RefusedError(Refusal(Reason.ADDRESS_NOT_DECLARED, message))


_REGISTRY_ROOT = b"/v2"
# /namespaces/NS/connectors/NAME splits into an empty one and four more.
_PATH_SEGMENTS = 5


class _PathForm(NamedTuple):
    key: ConnectorKey
    extension: str
    client_prefix: bytes
    tool_prefix: bytes
    rest: bytes


# Step: which Connector a request means (docs/operators.md: "How a request names its Connector").
def resolve(head: RequestHead, snapshot: Snapshot, hosts: HostForm) -> Route:
    """The Connector named by Host or path. `plan` stays None if there is none of that name.

    Raises:
        RefusedError: RequestMalformed (a MessageError), or ConnectorNotFound if nothing names a Connector at all.
    """
    return _resolve(request_target(head), snapshot, hosts)


def _resolve(target: RequestTarget, snapshot: Snapshot, hosts: HostForm) -> Route:
    by_host = hosts.key(target.authority)
    by_path = _path_form(target.path)
    # Behind a host form the path is the tool's own, even if it looks like a path form of another Connector.
    if by_path and (by_host is None or by_path.key == by_host or _path_resolver(snapshot, by_host)):
        return Route(
            key=by_path.key,
            plan=snapshot.plans.get(by_path.key),
            authority=target.authority,
            client_prefix=by_path.client_prefix,
            tool_prefix=by_path.tool_prefix,
            rest=by_path.rest,
            query=target.query,
            extension=by_path.extension,
            host_key=by_host,
        )
    if by_host is None:
        message = "the request names no Connector: use host c-NAME.NAMESPACE or path /namespaces/NS/connectors/NAME"
        raise RefusedError(Refusal(Reason.CONNECTOR_NOT_FOUND, message))
    return _host_route(by_host, snapshot, target)


def _host_route(key: ConnectorKey, snapshot: Snapshot, target: RequestTarget) -> Route:
    return Route(key, snapshot.plans.get(key), target.authority, b"", b"", target.path, target.query, host_key=key)


def _path_resolver(snapshot: Snapshot, key: ConnectorKey) -> bool:
    """Whether the class of the Connector that Host names leaves the naming to the path."""
    plan = snapshot.plans.get(key)
    return plan is not None and plan.by_path


def _path_form(path: bytes) -> _PathForm | None:
    """Whole segments are compared, percent-decoded; what lies behind them stays as it was sent (threat 29)."""
    # "namespaces/" has an s before its slash: most paths are told apart without being cut and decoded.
    if b"s/" not in path and b"%" not in path:
        return None
    tool_prefix = _REGISTRY_ROOT if path.startswith(_REGISTRY_ROOT + b"/") else b""
    segments = path[len(tool_prefix) :].split(b"/", _PATH_SEGMENTS)[:_PATH_SEGMENTS]
    if len(segments) < _PATH_SEGMENTS:
        return None
    _, namespaces, namespace, connectors, name = (unquote_to_bytes(segment) for segment in segments)
    if namespaces != b"namespaces" or connectors != b"connectors" or not namespace or not name:
        return None
    client_prefix = tool_prefix + b"/".join(segments)
    name, _, extension = name.partition(b"@")
    # Latin-1 decodes every byte; a name outside ASCII is then just not found.
    key = ConnectorKey(namespace.decode("latin-1"), name.decode("latin-1"))
    return _PathForm(key, extension.decode("latin-1"), client_prefix, tool_prefix, path[len(client_prefix) :])


# Step: methods that no Connector takes.
_REFUSED = {
    b"TRACE": "TRACE is refused: a tool that answers it would show the injected credential",
    b"CONNECT": "CONNECT is refused: this is a reverse proxy; send the request itself",
}


def require_allowed_method(method: bytes) -> None:
    """TRACE reflects the request, the credential included (RFC 9110 section 9.3.8; threat 6); CONNECT tunnels past it.

    Raises:
        RefusedError: MethodNotAllowed.
    """
    if method in _REFUSED:
        raise RefusedError(Refusal(Reason.METHOD_NOT_ALLOWED, _REFUSED[method]))


# Step: may this caller use this Connector, and is it there to be used.
def authorize(route: Route, facts: Facts) -> Plan:
    """The Plan, for a caller who may use it. Unknown means deny; who may not know learns nothing of what exists.

    Raises:
        RefusedError: Unauthenticated, Forbidden, ConnectorNotFound, ConnectorInvalid or CredentialUnavailable.
    """
    if facts.authenticated:
        _require_permission(route, facts)
    plan = route.plan
    if plan is None or not plan.has_proxy:
        message = "there is no Connector of that name with a proxy in that namespace; see its list of Connectors"
        raise RefusedError(Refusal(Reason.CONNECTOR_NOT_FOUND, message))
    if plan.refusal:
        raise RefusedError(plan.refusal)
    return plan


def _require_permission(route: Route, facts: Facts) -> None:
    if facts.caller is None:
        message = facts.problem or "send a ServiceAccount token: as the password of Basic, or as Bearer"
        raise RefusedError(Refusal(Reason.UNAUTHENTICATED, message))
    if not facts.permission.allowed:
        raise RefusedError(Refusal(Reason.FORBIDDEN, facts.permission.message))
    # Behind the permission: before it, the answer would tell of which class the Connector is.
    if facts.misplaced:
        message = "the class of this Connector does not read a token in that header; send it as Basic or Bearer"
        raise RefusedError(Refusal(Reason.UNAUTHENTICATED, message))


def find(head: RequestHead, snapshot: Snapshot, hosts: HostForm, isolation: IsolationPolicy | None = None) -> Route:
    """method -> target -> isolation -> resolve. Which Connector the request means, whether or not there is one.

    `isolation` keeps web pages out; None where callers are asked for tokens.

    Raises:
        RefusedError: no Connector is named, or the request is none that any would take.
    """
    require_allowed_method(head.method)
    target = request_target(head)
    # Before it is known whether there is such a Connector: a page must not learn that either.
    if isolation is not None:
        isolation.require_own(head)
    return _resolve(target, snapshot, hosts)


def decide(head: RequestHead, route: Route, snapshot: Snapshot, facts: Facts) -> Forward:
    """authorize -> target. Total: what is unknown is refused.

    Raises:
        RefusedError: the caller may not, or the request has no target that it may go to.
    """
    plan = authorize(route, facts)
    forward = choose_target(route, plan, head)
    if forward.target.tunnel is not None and wants_websocket(head):
        forward = forward._replace(target=forward.target.tunnel)
    require_no_loop(forward.target, snapshot)
    guises = guises_of(facts.presented)
    if guises is None:
        return forward._replace(spent=facts.presented)
    return forward.asking(without_token(forward.request_target, guises), facts.presented)
