"""POST .../connectors/NAME/probe on the admin port: run a Connector's probes now. What `connectors probe` asks."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from aiohttp import web

from connectors.model.connector import ConnectorKey
from controller.probes.prober import Prober
from standalone.api import answer
from standalone.objects import BASE, Failure, not_found
from standalone.probe_report import report_of
from standalone.status import StatusBoard

JSON = "application/json"
UNSUPPORTED = Failure(
    message=f"send it as {JSON}",
    reason="UnsupportedMediaType",
    code=HTTPStatus.UNSUPPORTED_MEDIA_TYPE.value,
)


def probe_routes(prober: Prober, board: StatusBoard) -> list[web.RouteDef]:
    """The one route; one Connector at a time, so that nobody makes this process a hammer."""
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
