"""Step: may this caller use this Connector, and is it there to be used."""

from __future__ import annotations

from connectors.model.reasons import Reason
from connectors.model.refusal import Refusal, RefusedError
from connectors.snapshot import Binding
from proxy.decision import Facts, Route


def authorize(route: Route, facts: Facts) -> Binding:
    """The Binding, for a caller who may use it. Unknown means deny; who may not know learns nothing of what exists.

    Raises:
        RefusedError: Unauthenticated, Forbidden, ConnectorNotFound, ConnectorInvalid or CredentialUnavailable.
    """
    if facts.authenticated:
        _check_caller(route, facts)
    binding = route.binding
    if binding is None or not binding.has_proxy:
        message = "there is no Connector of that name with a proxy in that namespace; see its list of Connectors"
        raise RefusedError(Refusal(Reason.CONNECTOR_NOT_FOUND, message))
    if binding.refusal:
        raise RefusedError(binding.refusal)
    return binding


def _check_caller(route: Route, facts: Facts) -> None:
    caller = facts.caller
    if caller is None:
        message = "send a ServiceAccount token: as the password of Basic, or as Bearer"
        raise RefusedError(Refusal(Reason.UNAUTHENTICATED, message))
    # Of the Connector that Host names too: its class decided whether the path counts, and the answer would tell.
    if any(key is not None and key.namespace != caller.namespace for key in (route.key, route.host_key)):
        message = "this caller may use only Connectors of its own namespace"
        raise RefusedError(Refusal(Reason.FORBIDDEN, message))
