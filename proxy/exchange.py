"""One request: route -> callers -> request -> relay -> response -> audit. The only file that knows the order."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, NamedTuple

from connectors.http.head import HEAD_END, ParsedRequest
from connectors.http.isolation import IsolationPolicy
from connectors.http.plain import Plain, plain_head
from connectors.objects.ceilings import Ceiling
from connectors.objects.connector import ConnectorKey
from connectors.objects.names import HostForm
from connectors.objects.reasons import Reason, Refusal, RefusedError
from connectors.snapshot import Snapshot
from connectors.sources.store import SnapshotStore
from connectors.tls.pool import SYSTEM_TLS
from proxy.audit.audit import Audit, Record
from proxy.callers.identity import CallerIdentity
from proxy.client import DEFECT, After, ClientConnection
from proxy.decision import Facts, Route, target_now
from proxy.loops import Loops
from proxy.memory import Memory
from proxy.outbox import Outbox
from proxy.rates import Account, Rates
from proxy.refusals import Answered, refusal_response
from proxy.relay import Bounds, End, Relay, Terms
from proxy.request import Manners, Passage, manners_of, may_be_used_again
from proxy.route import decide, find
from proxy.slots import client_of
from proxy.upstream import Upstreams

_Work = Coroutine[Any, Any, None]

logger = logging.getLogger(__name__)

# Methods of requests that may go out a second time, without a body (threat 30; RFC 9110 section 9.2.2).
#
# TRACE is not among them: it is refused.
IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"})


@dataclass(frozen=True, slots=True)
class Parts:
    """What an exchange works with; proxy/wiring.py builds them."""

    store: SnapshotStore
    identity: CallerIdentity
    hosts: HostForm
    isolation: IsolationPolicy | None
    loops: Loops
    upstreams: Upstreams
    audit: Audit
    bounds: Bounds
    outbox: Outbox


class _Asked(NamedTuple):
    """A request that was parsed, while it is judged. `plain` is its head apart, where that came whole and plain."""

    request: ParsedRequest
    client: ClientConnection
    plain: Plain | None
    record: Record

    def __repr__(self) -> str:
        return f"_Asked({self.request.head})"


class Exchange:
    """Runs the requests of all connections. It holds what is remembered of them, and nothing of a single one."""

    def __init__(self, parts: Parts) -> None:
        self._store = parts.store
        self._identity = parts.identity
        self._hosts = parts.hosts
        self._isolation = parts.isolation
        self._loops = parts.loops
        self._upstreams = parts.upstreams
        self._audit = parts.audit
        self._most_head = parts.bounds.limits.head_bytes + len(HEAD_END)
        self._most_target = parts.bounds.limits.target_bytes
        self._rates = Rates()
        self._terms = Terms(parts.bounds, self._ended, parts.outbox)
        self._memory = Memory(None)

    def serve(self, snapshot: Snapshot) -> None:
        """A new snapshot serves: forget at once what was decided under the one before."""
        self._memory = Memory(snapshot, self._terms.bounds.side.dropped)

    # -- how a request begins

    def begin(self, data: bytes, client: ClientConnection) -> bool:
        """Begin the request that `data` begins with, if its block is known; whether it was."""
        began, memory = time.monotonic(), self._memory
        plain = plain_head(data)
        # Another snapshot may serve already, while `serve` has not been told: what was remembered must not count then.
        if plain is None or memory.snapshot is not self._store.serves:
            return False
        passage = memory.find(plain)
        if passage is None:
            return False
        path, query, end, now = plain.path, plain.query, plain.end, time.monotonic()
        if end > self._most_head or len(path) + len(query) > self._most_target:
            return False  # known in part, too long as a whole
        if len(query) >= passage.long_query:
            return False  # the caller's token may stand in it, which is known to the long way alone
        if passage.evidence is not None:
            passage.evidence.count()
        record = self._audit.begin(plain.method, path, began, passage.caller, passage.plan)
        prefix, strip, _ = rule = passage.path_rule
        # If no prefix falls away, the path is not empty: the short case of rule.target.
        target = rule.target(path, query) if strip else prefix + path + query
        relay = Relay(self._terms, record, passage, client, target)
        ahead = data[end:]
        try:
            unsent = self._go(relay, now, ahead)
        except RefusedError as error:
            client.put_back(ahead)
            self._refuse(record, error.refusal, client, passage.manners)
            return True
        except Exception:
            self._broke(record)
            raise
        if unsent:
            client.put_back(unsent)
        return True

    def handle(self, request: ParsedRequest, client: ClientConnection, plain: Plain | None) -> None:
        """Begin a request that was parsed: judge it. `plain` is its head, where that came whole and plain."""
        head = request.head
        record = self._audit.begin(head.method, head.target, time.monotonic())
        asked = _Asked(request, client, plain, record)
        try:
            # Before anything is asked about the caller: what is refused anyway must not hold up the end.
            if client.draining:
                raise RefusedError(Refusal(Reason.SHUTTING_DOWN, "this proxy is shutting down; send the request again"))
            snapshot = self._store.current
            route = find(head, snapshot, self._hosts, self._isolation)
            record.plan = route.plan
            facts = self._identity.facts_now(head, route, snapshot)
            if facts is None:
                self._wait(record, manners_of(request), client, self._identify(asked, route, snapshot))
            else:
                self._decide(asked, route, snapshot, facts)
        except RefusedError as error:
            self._refuse(record, error.refusal, client, manners_of(request))
        except Exception:
            self._broke(record)
            raise

    async def _identify(self, asked: _Asked, route: Route, snapshot: Snapshot) -> None:
        facts = await self._identity.facts(asked.request.head, route, snapshot, asked.client.peer)
        self._decide(asked, route, snapshot, facts)

    def _decide(self, asked: _Asked, route: Route, snapshot: Snapshot, facts: Facts) -> None:
        """Decide on what is known of the caller, and go on.

        Raises:
            RefusedError: it may not.
        """
        request, record = asked.request, asked.record
        record.caller = facts.caller
        forward = decide(request.head, route, snapshot, facts)
        forward = self._loops.require_none(request.head, forward)
        memory, plain = self._memory, asked.plain
        # Asked again: the decision may have waited for the API server while CAs, or the snapshot, have changed.
        pool = self._upstreams.pool(target_now(forward, self._store.current).pool)
        passage = Passage(request, forward, facts, pool, memory.lines_of(forward.plan.key))
        if memory.snapshot is snapshot and plain and may_be_used_again(passage, request, plain, forward):
            memory.learn(plain, passage)
        relay = Relay(self._terms, record, passage, asked.client, forward.request_target)
        relay.spent = forward.spent
        self._go(relay, time.monotonic())

    def _go(self, relay: Relay, now: float, ahead: bytes = b"") -> bytes:
        """Send what was let through: over a kept connection, now, or a new one, later.

        `ahead` came with the head. Returns what was not sent of it: it belongs to the next request, or has to wait.

        Raises:
            RefusedError: its Connector has as many in flight as it may, its caller asks too often, or what must be made
                for this very request cannot be.
        """
        record, passage = relay.record, relay.passage
        record.plan, record.forward, record.decided = passage.plan, passage.forward, now
        # Behind the decision: a stranger's request does not count for the Connector that it names.
        load = passage.pool.load
        if load.requests >= load.most_requests:
            raise RefusedError(_too_many(passage.plan.key, load.requests))
        # For one that was decided on before, too: each request takes a token.
        if load.rate and not self._rates.take(_account(relay), load.rate, now):
            raise RefusedError(_too_often(passage.plan.key, load.rate))
        load.requests += 1
        record.load = load
        if passage.as_it_is:
            relay.head = record.method + b" " + relay.target + passage.tail
        else:
            relay.head = passage.head(record.method, relay.target)
        relay.repeatable = not passage.once and record.method in IDEMPOTENT
        upstream = self._upstreams.take(passage.pool, now, repeatable=relay.repeatable)
        if upstream is None:
            self._wait(record, passage.manners, relay.client, self._dial(relay))
            return ahead
        return relay.start(upstream, now, ahead)

    async def _dial(self, relay: Relay, *, again: bool = False) -> None:
        """Dial, if its Connector may have one more connection. `again`: a kept one was dead, and another could be."""
        upstream = await self._upstreams.turn(relay.passage.pool, fresh=again)
        if upstream is None:
            # The CAs that count now: they may have changed while it waited, or a pooled connection was tried.
            target = target_now(relay.passage.forward, self._store.current)
            upstream = await self._upstreams.dial(target.pool, target.address, target.tls or SYSTEM_TLS, target.proxy)
        relay.start(upstream, time.monotonic())

    # -- what has to be waited for

    def _wait(self, record: Record, manners: Manners, client: ClientConnection, work: _Work) -> None:
        """Let a task do `work`; it is cancelled where the client leaves."""

        def ended(waiting: asyncio.Task[None]) -> None:
            if waiting.cancelled():
                work.close()
                self._left(record, client)

        waiting = client.loop.create_task(self._waited(record, manners, client, work))
        # A callback, not a `finally` in the task: nothing runs of a task that is cancelled before its first turn.
        waiting.add_done_callback(ended)
        client.wait_for(waiting)

    async def _waited(self, record: Record, manners: Manners, client: ClientConnection, work: _Work) -> None:
        """The root of the task that `_wait` makes."""
        try:
            await work
        except RefusedError as error:
            self._refuse(record, error.refusal, client, manners)
        except Exception:
            logger.exception(DEFECT)
            self._broke(record)
            client.abort()

    # -- how a request ends

    def _ended(self, relay: Relay) -> None:
        """A relay is over: its connections go on or end, and what it came to is told."""
        upstream, record, client, now = relay.upstream, relay.record, relay.client, time.monotonic()
        # From now on whatever the tool sends was not asked for, and ends the connection.
        upstream.receiver = None
        if relay.held_upstream:
            upstream.pause_reading(False)
        # Given back only after a response that ended well; any other connection is closed at once (threat 15).
        if relay.upstream_reusable:
            self._upstreams.give_back(upstream, now, relay.upstream_keep_alive)
        elif relay.tunnelled:
            # In order: a tunnel may end at any time, and the tool may still read what was sent last.
            self._upstreams.finish(upstream)
        else:
            upstream.abort()
        if relay.end is _DONE:
            self._audit.end(record, now)
            client.over(_KEEP if relay.client_reusable and not client.draining else _after(relay), now)
        elif relay.end is End.REFUSED and relay.refusal:
            self._refuse(record, relay.refusal, client, relay.passage.manners)
        elif relay.end is End.STALE:
            self._again(relay)
        else:
            self._left(record, client)

    def _again(self, relay: Relay) -> None:
        """The kept connection was dead already. One retry, and only of what may be sent twice (threat 30)."""
        record, passage, client = relay.record, relay.passage, relay.client
        if not relay.repeatable:
            self._refuse(record, _NOT_TWICE, client, passage.manners)
            return
        self._wait(record, passage.manners, client, self._dial(relay.another(), again=True))

    def _refuse(self, record: Record, refusal: Refusal, client: ClientConnection, manners: Manners) -> None:
        record.refusal = refusal
        # What follows a malformed request may be a smuggled one (threats 2, 4 and 11): the connection ends.
        sound = refusal.reason is not Reason.REQUEST_MALFORMED
        keep = sound and not manners.has_body and not manners.old and manners.keep_alive and not client.draining
        answered = Answered(self._audit.request_id(record), record.target, record.method != b"HEAD", keep, manners.page)
        client.write(refusal_response(refusal, time.time(), answered))
        now = time.monotonic()
        self._audit.end(record, now)
        client.over(After.KEEP if keep else After.LINGER if manners.has_body else After.CLOSE, now)

    def _left(self, record: Record, client: ClientConnection) -> None:
        # Whatever has set it first knows best: a body that broke off may make the client leave.
        if client.left:
            record.ending = record.ending or "client closed"
        record.ending = record.ending or "shut down"
        self._audit.end(record, time.monotonic())

    def _broke(self, record: Record) -> None:
        record.ending = record.ending or "internal error"
        self._audit.end(record, time.monotonic())


def _after(relay: Relay) -> After:
    """How to end a client's connection that cannot stay."""
    return After.CLOSE if relay.request_complete else After.LINGER


def _too_many(connector: ConnectorKey, requests: int) -> Refusal:
    message = f"Connector {connector} has {requests} requests in flight, as many as one may have; try again later"
    return Refusal(Reason.TOO_MANY_REQUESTS, message, Ceiling.REQUESTS)


def _account(relay: Relay) -> Account:
    """Whose tokens a request takes. Callers are all known or all unknown, so a name is never taken for an address."""
    caller = relay.passage.caller
    return relay.passage.plan.key, client_of(relay.client.peer) if caller is None else caller.username


def _too_often(connector: ConnectorKey, rate: int) -> Refusal:
    message = f"one caller may send {rate} requests a second to Connector {connector}; send fewer, or try again later"
    return Refusal(Reason.TOO_MANY_REQUESTS, message, Ceiling.RATE)


_KEEP, _DONE = After.KEEP, End.DONE

_NOT_TWICE = Refusal(
    Reason.UPSTREAM_UNREACHABLE,
    "the tool closed a kept connection before it answered, and this request may not be sent twice; send it again",
)
