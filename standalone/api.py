"""Read-only JSON of Connectors and classes on the admin port, at the API server's paths. Secrets are never served."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus

import msgspec
from aiohttp import web

from connectors.objects.connector import ConnectorKey
from controller.probes.prober import Prober
from standalone.objects import (
    BASE,
    ApiFailure,
    ConnectorClassList,
    ConnectorList,
    connector_class_list,
    connector_class_object,
    connector_list,
    connector_object,
    not_found,
)
from standalone.probe_report import report_of
from standalone.status import Board, StatusBoard

READS = ("GET", "HEAD")


def api_routes(current: Callable[[], Board]) -> list[web.RouteDef]:
    """Routes over the board that `current` returns; GET and HEAD, anything else is answered 405."""

    async def connectors(request: web.Request) -> web.Response:
        return answer(list_connectors(current(), request.match_info.get("namespace")))

    async def connector(request: web.Request) -> web.Response:
        key = ConnectorKey(request.match_info["namespace"], request.match_info["name"])
        entry = current().connectors.get(key)
        if entry is None:
            return answer(not_found("connectors", key.name))
        return answer(connector_object(entry.judgement.connector, entry.status))

    async def classes(_: web.Request) -> web.Response:
        return answer(list_classes(current()))

    async def connector_class(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        entry = current().classes.get(name)
        if entry is None:
            return answer(not_found("connectorclasses", name))
        return answer(connector_class_object(entry.connector_class, entry.status))

    return [
        web.get(f"{BASE}/connectors", connectors),
        web.get(f"{BASE}/namespaces/{{namespace}}/connectors", connectors),
        web.get(f"{BASE}/namespaces/{{namespace}}/connectors/{{name}}", connector),
        web.get(f"{BASE}/connectorclasses", classes),
        web.get(f"{BASE}/connectorclasses/{{name}}", connector_class),
        web.route("*", "/apis{rest:.*}", _anything_else),
    ]


def list_connectors(board: Board, namespace: str | None) -> ConnectorList:
    """The Connectors of one namespace; None: of all."""
    chosen = (entry for key, entry in board.connectors.items() if namespace in {None, key.namespace})
    return connector_list(
        (connector_object(entry.judgement.connector, entry.status) for entry in chosen), board.generation
    )


def list_classes(board: Board) -> ConnectorClassList:
    """All classes."""
    entries = board.classes.values()
    return connector_class_list(
        (connector_class_object(e.connector_class, e.status) for e in entries), board.generation
    )


async def _anything_else(request: web.Request) -> web.Response:
    if request.method in READS:
        message = (
            f"the server could not find the requested resource; it serves connectors and connectorclasses below {BASE}"
        )
        return answer(ApiFailure(message=message, reason="NotFound", code=HTTPStatus.NOT_FOUND.value))
    message = "this port is read-only; change the manifests instead"
    failure = ApiFailure(message=message, reason="MethodNotAllowed", code=HTTPStatus.METHOD_NOT_ALLOWED.value)
    return answer(failure, {"Allow": ", ".join(READS)})


def answer(body: msgspec.Struct, headers: dict[str, str] | None = None) -> web.Response:
    """An object, or a Failure with its status, as JSON."""
    status = body.code if isinstance(body, ApiFailure) else HTTPStatus.OK.value
    fields = {"Content-Type": "application/json", "Cache-Control": "no-store", **(headers or {})}
    return web.Response(status=status, body=msgspec.json.encode(body) + b"\n", headers=fields)


JSON = "application/json"
UNSUPPORTED = ApiFailure(
    message=f"send it as {JSON}",
    reason="UnsupportedMediaType",
    code=HTTPStatus.UNSUPPORTED_MEDIA_TYPE.value,
)


def probe_routes(prober: Prober, board: StatusBoard) -> list[web.RouteDef]:
    """POST .../connectors/NAME/probe, which `connectors probe` asks: run a Connector's probes now.

    One Connector at a time, so that no client can hammer tools by way of this process.
    """
    turn = asyncio.Lock()

    async def probe(request: web.Request) -> web.Response:
        key = ConnectorKey(request.match_info["namespace"], request.match_info["name"])
        if request.content_type != JSON:
            # Web pages can send a form to loopback, but not this without asking first, which is refused.
            return answer(UNSUPPORTED)
        async with turn:
            if key not in board.current.connectors:
                return answer(not_found("connectors", key.name))
            reports = await prober.probe_now(key)
            board.refresh(key)
        entry = board.current.connectors.get(key)
        return answer(report_of(key, entry.status, reports) if entry else not_found("connectors", key.name))

    return [web.post(f"{BASE}/namespaces/{{namespace}}/connectors/{{name}}/probe", probe)]
