"""Who is calling, and may it use this Connector: gathers the facts about the caller that a decision needs.

Modes: `none` asks nobody, `token` knows the tokens of Secrets, `kubernetes` asks the API server.
"""

from __future__ import annotations

from typing import Protocol

from connectors.model.message import RequestHead
from connectors.model.reasons import Reason
from connectors.model.refusal import Refusal, RefusedError
from connectors.model.user import User, service_account_user
from proxy.api_gate import TooManyFailuresError, UnansweredError
from proxy.approach import Approach
from proxy.decision import Facts, Permission
from proxy.presented import AUTHORIZATION, Presented, presented_tokens


class Authority(Protocol):
    """Who can tell whose a token is, and what its owner may do. Raises UnansweredError and TooManyFailuresError."""

    async def whose(self, token: bytes, approach: Approach) -> User | None:
        """Whose it is, None where it is not valid."""

    async def may_use(self, user: User, token: bytes, approach: Approach) -> Permission:
        """Whether the user may use what the route names."""


class TokenSecrets:
    """The authority of mode `token`: the Secrets of type kubernetes.io/service-account-token in the snapshot.

    A ServiceAccount may use the Connectors of its own namespace.
    """

    async def whose(self, token: bytes, approach: Approach) -> User | None:
        """See Authority."""
        owner = approach.snapshot.owner_of(token)
        return service_account_user(owner.namespace, owner.name) if owner else None

    async def may_use(self, user: User, token: bytes, approach: Approach) -> Permission:
        """See Authority. Of the Connector that Host names too: see KubernetesAuthority."""
        account = user.service_account
        for key in (approach.route.key, approach.route.host_key):
            if key is not None and (account is None or key.namespace != account.namespace):
                return Permission(message="this caller may use only Connectors of its own namespace")
        return Permission(allowed=True)


class Identity:
    """Answers who is calling and what that caller may do, as far as the authority knows."""

    def __init__(self, authority: Authority | None) -> None:
        """`authority` None: callers need not prove anything."""
        self._authority = authority

    async def facts(self, head: RequestHead, approach: Approach) -> Facts:
        """What is known of the caller.

        The first token counts that is valid and stands where the Connector's class reads it. A valid one in a field
        that only other classes read is looked at all the same: an answer that depended on the class would tell callers,
        who may not know, that there is such a Connector.

        Raises:
            RefusedError: AuthenticationUnavailable, since nobody can tell now whose the token is (no 401: clients drop
                their stored login at one), or TooManyRequests.
        """
        if self._authority is None:
            return Facts()
        try:
            return await self._asked(self._authority, head, approach)
        except UnansweredError:
            raise RefusedError(_UNANSWERED) from None
        except TooManyFailuresError:
            raise RefusedError(_TOO_MANY) from None

    async def _asked(self, authority: Authority, head: RequestHead, approach: Approach) -> Facts:
        read = _fields_read(approach)
        best: tuple[User, Presented] | None = None
        for presented in presented_tokens(head, approach.snapshot.caller_headers):
            user = await authority.whose(presented.token, approach)
            if user is None:
                continue
            if presented.header in read:
                best = user, presented
                break
            best = best or (user, presented)
        if best is None:
            return Facts(authenticated=True)
        user, presented = best
        permission = await authority.may_use(user, presented.token, approach)
        return Facts(authenticated=True, caller=user, permission=permission, misplaced=presented.header not in read)


def _fields_read(approach: Approach) -> frozenset[bytes]:
    """Where a token may stand for this Connector; anywhere, where there is none."""
    binding = approach.route.binding
    if binding is None:
        return approach.snapshot.caller_headers | {AUTHORIZATION}
    own = binding.connector_class.caller_header if binding.connector_class else b""
    return frozenset({AUTHORIZATION, own})


_UNANSWERED = Refusal(
    Reason.AUTHENTICATION_UNAVAILABLE,
    "the API server cannot be asked now whose this token is and what it allows; send the request again later",
)
_TOO_MANY = Refusal(
    Reason.TOO_MANY_REQUESTS,
    "too many tokens from this address were refused; correct the token, then send the request again",
)
