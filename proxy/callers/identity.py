"""Who is calling, and may it use this Connector: gathers the facts about the caller that a decision needs. Pure.

Modes: `none` asks for no proof, `token` knows the tokens of Secrets, `kubernetes` asks the API server. The waiting is
left to the CallerReviewer.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from connectors.http.message import RequestHead
from connectors.objects.connector import ConnectorKey
from connectors.objects.user import User, service_account_user
from connectors.plan import Plan
from connectors.snapshot import Snapshot
from proxy.callers.answers import Evidence
from proxy.callers.limiter import TooManyFailuresError, UnansweredError
from proxy.callers.tokens import AUTHORIZATION, WEBSOCKET_PROTOCOL, presented_tokens
from proxy.decision import Facts, Permission, Route


class Approach(NamedTuple):
    """One caller on the way to one Connector: what must be known of a request besides its token.

    `client` is the address that the connection came from, without its port; empty if it is not known. `evidence` hears
    of the answers that were used; None if it is not of use.
    """

    key: ConnectorKey
    snapshot: Snapshot
    client: str = ""
    evidence: Evidence | None = None


class CallerReviewer(Protocol):
    """Can tell whose a token is, and what its owner may do."""

    async def review(self, token: bytes, approach: Approach) -> tuple[User | None, Permission]:
        """Whose it is, None if it is not valid, and whether they may use the Connector, whether or not there is one.

        Of a token that is not valid the permission's message may say why, where the token itself does.

        Raises:
            UnansweredError: there is no answer now.
            TooManyFailuresError: too many tokens and permissions of this client's were refused.
        """

    def evidence(self) -> Evidence | None:
        """Gathers the answers about one request; None if the snapshot has them all, so that nothing is waited for."""


class TokenSecrets:
    """The reviewer of mode `token`: the Secrets of type kubernetes.io/service-account-token in the snapshot.

    A ServiceAccount may use the Connectors of its own namespace.
    """

    async def review(self, token: bytes, approach: Approach) -> tuple[User | None, Permission]:
        """See CallerReviewer."""
        owner = approach.snapshot.owner_of(token)
        if owner is None:
            return None, Permission()
        permission = Permission(message="this caller may use only Connectors of its own namespace")
        if owner.namespace == approach.key.namespace:
            permission = Permission(allowed=True)
        return service_account_user(owner.namespace, owner.name), permission

    def evidence(self) -> None:
        """See CallerReviewer."""
        return


class CallerIdentity:
    """Answers who is calling and what that caller may do, as far as the reviewer knows."""

    def __init__(self, reviewer: CallerReviewer | None) -> None:
        """`reviewer` None: callers need not prove anything."""
        self._reviewer = reviewer

    async def facts(self, head: RequestHead, route: Route, snapshot: Snapshot, client: str) -> Facts:
        """What is known of the caller, who comes from the address `client`.

        The first token counts whose owner may use the Connector, and that stands where its class reads it. What is
        asked until one is found does not depend on the class, nor on whether there is such a Connector: answers, and
        how many questions they take, would tell callers who may not know.

        Raises:
            UnansweredError, TooManyFailuresError: the API server cannot be asked now, or not by this client.
        """
        if self._reviewer is None:
            return _NO_FACTS
        evidence = self._reviewer.evidence()
        facts = await _gathered(self._reviewer, head, route, Approach(route.key, snapshot, client, evidence))
        return facts._replace(evidence=evidence)

    def facts_now(self, head: RequestHead, route: Route, snapshot: Snapshot) -> Facts | None:
        """The same, if the snapshot alone tells it; None if the API server has to be asked."""
        if self._reviewer is None:
            return _NO_FACTS
        if self._reviewer.evidence() is not None:
            return None
        # Such a reviewer waits for nothing, so the first step is the last one: no task is needed.
        gathering = _gathered(self._reviewer, head, route, Approach(route.key, snapshot))
        try:
            gathering.send(None)
        except StopIteration as done:
            facts: Facts = done.value
            return facts
        raise RuntimeError("a reviewer that needs no evidence has waited for something")


async def _gathered(reviewer: CallerReviewer, head: RequestHead, route: Route, approach: Approach) -> Facts:
    best, failure = Facts(authenticated=True), None
    for presented in presented_tokens(head, approach.snapshot.caller_headers):
        try:
            user, permission = await _judged(reviewer, presented.token, route, approach)
        except (UnansweredError, TooManyFailuresError) as error:
            failure = failure or error  # another token may do: clients send a dummy where they must send something
            continue
        # If there is no such Connector a token may stand anywhere: the answer would tell.
        misplaced = route.plan is not None and not _reads(route.plan, presented.header)
        facts = Facts(True, user, permission, misplaced, presented)
        if permission.allowed and not misplaced:
            return facts
        if user is None and best.caller is None and permission != _NO_PERMISSION:
            best = best._replace(problem=permission.message)
        if user and (best.caller is None or (permission.allowed and not best.permission.allowed)):
            best = facts
    if failure is None:
        return best
    try:
        raise failure
    finally:
        # Else it would hold this frame, and so itself, until the garbage collector comes: often, in a flood.
        del failure


def _reads(plan: Plan, header: bytes) -> bool:
    """Whether a token in this field counts for the Connector's class."""
    return header in (AUTHORIZATION, plan.caller_header) or (plan.bearer_protocol and header == WEBSOCKET_PROTOCOL)


async def _judged(
    reviewer: CallerReviewer, token: bytes, route: Route, approach: Approach
) -> tuple[User | None, Permission]:
    """Whose token it is, and whether they may use the Connector that Host names, then the one that the path names.

    Host's first: its class decides whether the path counts, and the answer would tell.
    """
    user, permission = None, Permission()
    for key in dict.fromkeys((route.host_key, route.key)):
        if key is None:
            continue
        user, permission = await reviewer.review(token, approach._replace(key=key))
        if not permission.allowed:
            break
    return user, permission


_NO_FACTS = Facts()
_NO_PERMISSION = Permission()
