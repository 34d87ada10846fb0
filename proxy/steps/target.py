"""Step: which of the Connector's addresses, and the request-target there (contract: rule 4 and "Target")."""

from __future__ import annotations

from collections.abc import Sequence

from connectors.model.addresses import AddressError, parse_address, same_address
from connectors.model.message import RequestHead
from connectors.model.reasons import Reason
from connectors.model.refusal import Refusal, RefusedError
from connectors.plan import Plan, Target
from connectors.snapshot import Snapshot
from proxy.decision import Forward, Mount, PathRule, Route

CHOOSER = b"x-openapi-address"


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
    mounts: tuple[Mount, ...] = (Mount(route.client_prefix, base),)
    if route.tool_prefix:
        mounts += (Mount(route.client_prefix.removeprefix(route.tool_prefix), prefix),)
    request_target = rule.target(route.client_prefix + route.rest, route.query)
    return Forward(plan, target, request_target, rule, route.authority, mounts)


def check_loop(target: Target, snapshot: Snapshot) -> None:
    """A Connector must not point at a Connector's own proxy address: requests would go round until something gives.

    Raises:
        RefusedError: LoopDetected.
    """
    if target.proxy_of is not None and target.proxy_of in snapshot.plans:
        whose = target.proxy_of
        message = f"the Connector's address is the proxy address of Connector {whose}; point it at the tool itself"
        raise RefusedError(Refusal(Reason.LOOP_DETECTED, message))


def _choose(route: Route, plan: Plan, chosen: Sequence[bytes]) -> Target:
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
