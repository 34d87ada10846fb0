"""Step: may this caller use this Connector, and is it there to be used."""

from __future__ import annotations

from connectors.model.reasons import Reason
from connectors.model.refusal import Refusal, RefusedError
from connectors.plan import Plan
from proxy.decision import Facts, Route


def authorize(route: Route, facts: Facts) -> Plan:
    """The Plan, for a caller who may use it. Unknown means deny; who may not know learns nothing of what exists.

    Raises:
        RefusedError: Unauthenticated, Forbidden, ConnectorNotFound, ConnectorInvalid or CredentialUnavailable.
    """
    if facts.authenticated:
        _check_caller(route, facts)
    plan = route.plan
    if plan is None or not plan.has_proxy:
        message = "there is no Connector of that name with a proxy in that namespace; see its list of Connectors"
        raise RefusedError(Refusal(Reason.CONNECTOR_NOT_FOUND, message))
    if plan.refusal:
        raise RefusedError(plan.refusal)
    return plan


def _check_caller(route: Route, facts: Facts) -> None:
    if facts.caller is None:
        message = "send a ServiceAccount token: as the password of Basic, or as Bearer"
        raise RefusedError(Refusal(Reason.UNAUTHENTICATED, message))
    if not facts.permission.allowed:
        raise RefusedError(Refusal(Reason.FORBIDDEN, facts.permission.message))
    # Behind the permission: before it, the answer would tell of which class the Connector is.
    if facts.misplaced:
        message = "the class of this Connector does not read a token in that header; send it as Basic or Bearer"
        raise RefusedError(Refusal(Reason.UNAUTHENTICATED, message))
