"""Keeps web pages from the admin port, which asks callers for nothing."""

from __future__ import annotations

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from connectors.http.isolation import IsolationPolicy, names_this_machine
from connectors.http.message import RequestHead
from connectors.objects.reasons import Refusal, RefusedError
from connectors.process.parsers import HostPort


def admin_isolation(listen: HostPort, allow_hosts: frozenset[str] = frozenset()) -> Middleware:
    """What an application on `listen` lets pass; `allow_hosts`: further hosts by which clients reach it.

    Host is not looked at where other machines reach the port: kubelets and Prometheus name a pod by its address.
    """

    def own_host(host: str) -> bool:
        return names_this_machine(host) or host in allow_hosts

    policy = IsolationPolicy("http", own_host if listen.loopback else None)

    @web.middleware
    async def isolated(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            policy.require_own(RequestHead(request.method.encode(), b"", request.raw_headers))
        except RefusedError as error:
            return _answer(error.refusal)
        return await handler(request)

    return isolated


def _answer(refusal: Refusal) -> web.Response:
    """As API servers say it: kubectl and `connectors get` show the sentence."""
    body = msgspec.json.encode(refusal.as_status())
    fields = {"Content-Type": "application/json", "Cache-Control": "no-store"}
    return web.Response(status=refusal.status.value, body=body + b"\n", headers=fields)
