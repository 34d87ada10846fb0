"""Who is calling, and may it use this Connector: gathers the facts about the caller that a decision needs.

Modes: `none` asks nobody, `token` knows the tokens of Secrets, `kubernetes` asks the API server.
"""

from __future__ import annotations

from typing import Protocol

from connectors.http.message import RequestHead
from connectors.objects.reasons import Reason, Refusal, RefusedError
from connectors.objects.user import User, service_account_user
from connectors.snapshot import Snapshot
from proxy.api_gate import TooManyFailuresError, UnansweredError
from proxy.approach import Approach
from proxy.decision import Facts, Permission, Route
from proxy.evidence import Evidence
from proxy.presented import AUTHORIZATION, presented_tokens


class Authority(Protocol):
    """Who can tell whose a token is, and what its owner may do. Raises UnansweredError and TooManyFailuresError."""

    async def whose(self, token: bytes, approach: Approach) -> User | None:
        """Whose it is, None where it is not valid."""

    async def may_use(self, user: User, token: bytes, approach: Approach) -> Permission:
        """Whether the user may use the Connector, whether or not there is one."""

    def evidence(self) -> Evidence | None:
        """Where the answers about one request are gathered; None where the snapshot has them all."""


class TokenSecrets:
    """The authority of mode `token`: the Secrets of type kubernetes.io/service-account-token in the snapshot.

    A ServiceAccount may use the Connectors of its own namespace.
    """

    async def whose(self, token: bytes, approach: Approach) -> User | None:
        """See Authority."""
        owner = approach.snapshot.owner_of(token)
        return service_account_user(owner.namespace, owner.name) if owner else None

    async def may_use(self, user: User, token: bytes, approach: Approach) -> Permission:
        """See Authority."""
        account = user.service_account
        if account is None or approach.key.namespace != account.namespace:
            return Permission(message="this caller may use only Connectors of its own namespace")
        return Permission(allowed=True)

    def evidence(self) -> None:
        """See Authority."""
        return


class Identity:
    """Answers who is calling and what that caller may do, as far as the authority knows."""

    def __init__(self, authority: Authority | None) -> None:
        """`authority` None: callers need not prove anything."""
        self._authority = authority

    async def facts(self, head: RequestHead, route: Route, snapshot: Snapshot, client: str) -> Facts:
        """What is known of the caller, who comes from the address `client`.

        The first token counts whose owner may use the Connector, and that stands where its class reads it. What is
        asked until one is found does not depend on the class, nor on whether there is such a Connector: answers, and
        how many questions they take, would tell callers who may not know.

        Raises:
            RefusedError: AuthenticationUnavailable, since nobody can tell now whose the token is (no 401: clients drop
                their stored login at one), or TooManyRequests.
        """
        if self._authority is None:
            return Facts()
        evidence = self._authority.evidence()
        try:
            approach = Approach(route.key, snapshot, client, evidence)
            facts = await self._gathered(self._authority, head, route, approach)
            return facts._replace(evidence=evidence)
        except UnansweredError:
            raise RefusedError(_UNANSWERED) from None
        except TooManyFailuresError:
            raise RefusedError(_TOO_MANY) from None

    def facts_now(self, head: RequestHead, route: Route, snapshot: Snapshot) -> Facts | None:
        """The same, where the snapshot alone tells it; None where others have to be asked."""
        if self._authority is None:
            return _NO_FACTS
        if self._authority.evidence() is not None:
            return None
        gathering = self._gathered(self._authority, head, route, Approach(route.key, snapshot))
        try:
            gathering.send(None)
        except StopIteration as done:
            facts: Facts = done.value
            return facts
        raise RuntimeError("an authority that needs no evidence has waited for something")

    async def _gathered(self, authority: Authority, head: RequestHead, route: Route, approach: Approach) -> Facts:
        read = _fields_read(route, approach.snapshot)
        best, failure = Facts(authenticated=True), None
        for presented in presented_tokens(head, approach.snapshot.caller_headers):
            try:
                user, permission = await _judged(authority, presented.token, route, approach)
            except (UnansweredError, TooManyFailuresError) as error:
                failure = failure or error  # another token may do: clients send a dummy where they must send something
                continue
            facts = Facts(True, user, permission, presented.header not in read, presented)
            if permission.allowed and not facts.misplaced:
                return facts
            if user and (best.caller is None or (permission.allowed and not best.permission.allowed)):
                best = facts
        if failure:
            raise failure
        return best


async def _judged(
    authority: Authority, token: bytes, route: Route, approach: Approach
) -> tuple[User | None, Permission]:
    """Whose token it is, and whether they may use the Connector that Host names, then the one that the path names.

    Host's first: its class decides whether the path counts, and the answer would tell.
    """
    user, permission = None, Permission()
    for key in dict.fromkeys((route.host_key, route.key)):
        if key is None:
            continue
        here = approach._replace(key=key)
        user = await authority.whose(token, here)
        permission = await authority.may_use(user, token, here) if user else Permission()
        if not permission.allowed:
            break
    return user, permission


def _fields_read(route: Route, snapshot: Snapshot) -> frozenset[bytes]:
    """Where a token may stand for this Connector; anywhere, where there is none."""
    if route.plan is None:
        return snapshot.caller_headers | {AUTHORIZATION}
    return frozenset({AUTHORIZATION, route.plan.caller_header})


_NO_FACTS = Facts()
_UNANSWERED = Refusal(
    Reason.AUTHENTICATION_UNAVAILABLE,
    "the API server cannot be asked now whose this token is and what it allows; send the request again later",
)
_TOO_MANY = Refusal(
    Reason.TOO_MANY_REQUESTS,
    "too many tokens from this address were refused; correct the token, then send the request again",
)
