"""Step: which Connector a request means (contract: "Which Connector a request means", rules 1-3)."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from connectors.model.connector import ConnectorKey
from connectors.model.host_form import HostForm
from connectors.model.message import RequestHead
from connectors.model.reasons import Reason
from connectors.model.refusal import Refusal, RefusedError
from connectors.snapshot import Snapshot
from proxy.decision import Route
from proxy.http1.errors import MessageError
from proxy.http1.target import RequestTarget, request_target

_REGISTRY_ROOT = b"/v2"
_PATH_SEGMENTS = 5
"""/namespaces/NS/connectors/NAME splits into an empty one and four more."""


class _PathForm(NamedTuple):
    key: ConnectorKey
    extension: str
    client_prefix: bytes
    tool_prefix: bytes
    rest: bytes


def resolve(head: RequestHead, snapshot: Snapshot, hosts: HostForm) -> Route:
    """The Connector named by Host or path. `plan` stays None where there is none of that name.

    Raises:
        RefusedError: RequestMalformed, or ConnectorNotFound where nothing names a Connector at all.
    """
    try:
        target = request_target(head)
    except MessageError as error:
        raise RefusedError(Refusal(error.reason, error.message)) from None
    by_host = hosts.key(target.authority)
    by_path = _path_form(target.path)
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
    key = ConnectorKey(namespace.decode("latin-1"), name.decode("latin-1"))
    return _PathForm(key, extension.decode("latin-1"), client_prefix, tool_prefix, path[len(client_prefix) :])
