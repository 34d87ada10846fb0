"""One request: gather -> decide -> forward -> audit. The only file that knows the order of I/O."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from connectors.model.host_form import HostForm
from connectors.model.message import Version
from connectors.model.reasons import Reason
from connectors.model.refusal import Refusal, RefusedError
from connectors.sources.store import SnapshotStore
from connectors.tls.pool import SYSTEM_TLS
from proxy.audit import Audit, Record
from proxy.client import After, ClientConnection
from proxy.decide import decide, find
from proxy.decision import Forward
from proxy.http1.framing import BodyKind
from proxy.http1.head import ParsedRequest, write_request
from proxy.identity import Identity
from proxy.inject import outgoing
from proxy.refusals import Answered, refusal_response
from proxy.relay import Progress, Relay, StaleConnectionError, Terms
from proxy.upstream import UpstreamConnection, Upstreams, target_now

IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"})
"""RFC 9110 section 9.2.2, without TRACE, which is refused."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What an exchange works with; proxy/wiring.py builds them."""

    store: SnapshotStore
    identity: Identity
    hosts: HostForm
    upstreams: Upstreams
    audit: Audit
    terms: Terms


class Exchange:
    """Runs requests of all connections; holds no state of any of them."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def handle(self, request: ParsedRequest, client: ClientConnection) -> After:
        """Serve one request to its end, and say what becomes of the connection."""
        record = self._parts.audit.begin(request)
        try:
            forward = await self._decide(request, client, record)
            record.let_through(forward)
            await self._forward(request, forward, client, record.progress)
            return _after(record.progress, client)
        except RefusedError as error:
            record.refusal = error.refusal
            return self._refuse(record, error.refusal, client)
        except asyncio.CancelledError:
            if client.left:
                record.progress.ending = record.progress.ending or "client closed"
            record.progress.ending = record.progress.ending or "shut down"
            raise
        except Exception:
            record.progress.ending = record.progress.ending or "internal error"
            raise
        finally:
            self._parts.audit.end(record)

    async def _decide(self, request: ParsedRequest, client: ClientConnection, record: Record) -> Forward:
        """Gather what the decision needs, then decide."""
        if client.draining:
            raise RefusedError(Refusal(Reason.SHUTTING_DOWN, "this proxy is shutting down; send the request again"))
        snapshot, hosts = self._parts.store.current, self._parts.hosts
        route = find(request.head, snapshot, hosts)
        record.plan = route.plan
        facts = await self._parts.identity.facts(request.head, route, snapshot, client.peer)
        record.caller = facts.caller
        verdict = decide(request.head, route, snapshot, facts)
        if verdict.forward is None:
            raise RefusedError(verdict.refusal or _UNDECIDED)
        return verdict.forward

    async def _forward(
        self, request: ParsedRequest, forward: Forward, client: ClientConnection, progress: Progress
    ) -> None:
        """Relay over a pooled connection, or a new one. One retry, and only of what may be sent twice (threat 30)."""
        upstreams = self._parts.upstreams
        head = write_request(outgoing(request.head, forward))
        key = target_now(forward, self._parts.store.current).pool
        repeatable = request.head.method in IDEMPOTENT and request.framing.kind is BodyKind.NONE
        terms = self._parts.terms

        async def relay(upstream: UpstreamConnection) -> None:
            try:
                await Relay(request, forward, client, upstream, terms, progress).run(head)
            finally:
                self._settle(upstream, progress)

        if pooled := upstreams.take(key, repeatable=repeatable):
            try:
                await relay(pooled)
            except StaleConnectionError:
                if not repeatable:
                    raise RefusedError(_NOT_TWICE) from None
            else:
                return
        await relay(await self._dial(forward))

    async def _dial(self, forward: Forward) -> UpstreamConnection:
        """With the CAs that count now: a pooled connection may have been tried in between, for as long as that took."""
        target = target_now(forward, self._parts.store.current)
        return await self._parts.upstreams.dial(target.pool, target.address, target.tls or SYSTEM_TLS)

    def _settle(self, upstream: UpstreamConnection, progress: Progress) -> None:
        """A connection is kept only after a response that ended well; any other is closed at once (threat 15)."""
        if progress.upstream_reusable:
            self._parts.upstreams.give_back(upstream, progress.upstream_keep_alive)
        elif progress.tunnelled:
            self._parts.upstreams.finish(upstream)
        else:
            upstream.abort()

    def _refuse(self, record: Record, refusal: Refusal, client: ClientConnection) -> After:
        request = record.request
        bodyless = request.framing.kind is BodyKind.NONE
        modern = request.head.version is Version.HTTP_1_1
        # Behind a request that is not what it seems nothing can be trusted (threats 2, 4 and 11).
        sound = refusal.reason is not Reason.REQUEST_MALFORMED
        keep = sound and bodyless and modern and request.keep_alive and not client.draining
        with_body = request.head.method != b"HEAD"
        answered = Answered(record.request_id, request.head.target, with_body, keep)
        client.write(refusal_response(refusal, time.time(), answered))
        if keep:
            return After.KEEP
        return After.CLOSE if bodyless else After.LINGER


def _after(progress: Progress, client: ClientConnection) -> After:
    if progress.client_reusable and not client.draining:
        return After.KEEP
    return After.CLOSE if progress.request_complete else After.LINGER


_UNDECIDED = Refusal(Reason.FORBIDDEN, "no decision could be made, and what is unknown is refused")
_NOT_TWICE = Refusal(
    Reason.UPSTREAM_UNREACHABLE,
    "the tool closed a kept connection before it answered, and this request may not be sent twice; send it again",
)
