"""Step: which of the Connector's addresses, and the request-target there (contract: rule 4 and "Target")."""

from __future__ import annotations

from collections.abc import Sequence

from connectors.model.addresses import Address, AddressError, parse_address, same_address
from connectors.model.message import RequestHead
from connectors.model.reasons import Reason
from connectors.model.refusal import Refusal, RefusedError
from connectors.snapshot import Binding, Snapshot
from proxy.decision import Forward, Mount, Route
from proxy.host_form import HostForm

CHOOSER = b"x-openapi-address"


def choose_target(route: Route, binding: Binding, head: RequestHead) -> Forward:
    """The chosen address with its path prefix + the rest of path and query, byte for byte.

    Raises:
        RefusedError: AddressNotDeclared, RequestMalformed for two choices, or ConnectorInvalid for a client
            certificate that cannot be shown.
    """
    address = _choose(route, binding, head.values(CHOOSER))
    if binding.credential.certificate is not None and address.scheme != "https":
        # Checks of the Connector name its own addresses; a default of the class is found here.
        message = f"Connector {binding.connector.key} shows a client certificate, but the chosen address is not https"
        raise RefusedError(Refusal(Reason.CONNECTOR_INVALID, message))
    prefix = address.prefix
    path = prefix + route.tool_prefix + route.rest
    if not route.rest:
        path = prefix + route.tool_prefix + b"/" if route.tool_prefix else address.path
    mounts: tuple[Mount, ...] = (Mount(route.client_prefix, prefix + route.tool_prefix),)
    if route.tool_prefix:
        mounts += (Mount(route.client_prefix.removeprefix(route.tool_prefix), prefix),)
    return Forward(binding, address, (path or b"/") + route.query, route.authority, mounts)


def check_loop(address: Address, snapshot: Snapshot, hosts: HostForm) -> None:
    """A Connector must not point at a Connector's own proxy address: requests would go round until something gives.

    Raises:
        RefusedError: LoopDetected.
    """
    key = hosts.key(address.authority)
    if key is not None and key in snapshot.bindings:
        message = f"the Connector's address is the proxy address of Connector {key}; point it at the tool itself"
        raise RefusedError(Refusal(Reason.LOOP_DETECTED, message))


def _choose(route: Route, binding: Binding, chosen: Sequence[bytes]) -> Address:
    if len(chosen) > 1:
        raise RefusedError(Refusal(Reason.REQUEST_MALFORMED, "X-Openapi-Address may stand only once"))
    by_path = _named(binding, route.extension)
    if not chosen:
        return by_path
    by_header = _by_header(binding, chosen[0].decode("latin-1"))
    if route.extension and by_header != by_path:
        message = "X-Openapi-Address and the path's @EXT choose different addresses; send one of them"
        raise RefusedError(Refusal(Reason.ADDRESS_NOT_DECLARED, message))
    return by_header


def _by_header(binding: Binding, choice: str) -> Address:
    if "://" not in choice:
        return _named(binding, choice)
    try:
        wanted = parse_address(choice)
    except AddressError:
        raise _not_declared(binding) from None
    for address in binding.addresses.values():
        if same_address(address, wanted):
            return address
    raise _not_declared(binding)


def _named(binding: Binding, name: str) -> Address:
    address = binding.addresses.get(name)
    if address is None:
        raise _not_declared(binding)
    return address


def _not_declared(binding: Binding) -> RefusedError:
    names = ", ".join(sorted(name for name in binding.addresses if name)) or "none"
    message = f"the chosen address is not declared by the Connector; its extensions: {names}"
    return RefusedError(Refusal(Reason.ADDRESS_NOT_DECLARED, message))
