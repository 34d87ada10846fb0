"""Callers in a cluster: the API server says whose a token is, and what its roles allow; answers are remembered."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Mapping
from hashlib import blake2b

from connectors.kube.access_review import Action, Api, may
from connectors.kube.resources import CONNECTORS
from connectors.objects.connector import ConnectorKey
from connectors.objects.names import namespace_problem, object_name_problem
from connectors.objects.user import User
from connectors.process.clock import Clock
from proxy.answers import MAX_REMEMBERED, Answers, Asked, Keeping, Source
from proxy.api_gate import ApiGate
from proxy.approach import Approach
from proxy.audiences import audiences_of
from proxy.decision import Permission
from proxy.evidence import Evidence
from proxy.failure_budget import FailureBudget
from proxy.settings import CallerSettings
from proxy.token_claims import Claims, claims_of
from proxy.token_review import whose

MAX_AUDIENCES = 8
"""Audiences of a token whose claims are kept in memory: the API server's and those of a few Connectors."""


class KubernetesAuthority:
    """Keeps keyed digests of tokens, never tokens: what is in memory tells nobody which token it was."""

    def __init__(self, api: Api, clock: Clock, settings: CallerSettings, cluster_domain: str) -> None:
        self._api = api
        self._clock = clock
        self._settings = settings
        self._cluster_domain = cluster_domain
        self._key = secrets.token_bytes(32)
        self._claims: dict[bytes, Claims] = {}
        gate = ApiGate(clock, FailureBudget(settings.failure_rate))
        keeping = Keeping(settings.cache_ttl, settings.stale_if_error)
        self._users: Answers[User] = Answers(clock, keeping, gate)
        self._permissions: Answers[bool] = Answers(clock, keeping, gate)

    def evidence(self) -> Evidence:
        """Where the answers about one request are gathered."""
        return Evidence(self._clock.monotonic, self._clock.epoch)

    @property
    def sources(self) -> Mapping[str, Counter[Source]]:
        """Where answers came from, by what was asked: `token` or `access`."""
        return {"token": self._users.sources, "access": self._permissions.sources}

    async def whose(self, token: bytes, approach: Approach) -> User | None:
        """Whose token it is: one for the API server, or one that was minted for this Connector's proxy URL.

        A TokenReview without audiences asks for the API server's own, whose name only that knows. So the proxy URL is
        named where the token claims it, and nothing where it does not; with --require-audience nobody is asked then.

        Raises:
            UnansweredError: nobody can tell now.
            TooManyFailuresError: too many tokens of this client's were refused.
        """
        digest, claims = self._known(token)
        audiences = self._audiences(claims, approach)
        if self._ended(claims):
            if approach.evidence:
                approach.evidence.lasting = False  # the wall clock may step back
            return None
        if self._settings.require_audience and not audiences:
            return None
        # What the API server says of a token without such an audience holds for every Connector.
        asked = Asked(
            self._digest(digest, *(approach.key if audiences else ())),
            claims.ends,
            approach.client,
            evidence=approach.evidence,
        )
        user = await self._users.get(asked, lambda: whose(self._api, token, audiences))
        if user is not None:
            self._remember(digest, claims)
        return user

    async def may_use(self, user: User, token: bytes, approach: Approach) -> Permission:
        """Whether the user's roles allow the use of the Connector, whether or not there is one.

        Raises:
            UnansweredError, TooManyFailuresError: see `whose`.
        """
        key, full = approach.key, approach.snapshot.flags.enable_connector_proxy_permissions
        # What can be no name costs no question: nothing has it, and a caller can make up any number of them.
        if _can_be(approach) and await self._permitted(user, token, approach, full=full):
            return Permission(allowed=True)
        return Permission(message=_lacking(user, key, full=full))

    async def _permitted(self, user: User, token: bytes, approach: Approach, *, full: bool) -> bool:
        key = approach.key
        actions = [Action("get", CONNECTORS, *key)]
        if full:
            actions.append(Action("*", CONNECTORS, *key, subresource="proxy"))

        async def question() -> bool | None:
            for action in actions:
                if not await may(self._api, user, action):
                    return None
            return True

        digest, claims = self._known(token)
        digest = self._digest(digest, *key, "proxy" if full else "")
        of_nothing = key not in approach.snapshot.plans
        asked = Asked(digest, claims.ends, approach.client, of_nothing, approach.evidence)
        return await self._permissions.get(asked, question) is True

    def _audiences(self, claims: Claims, approach: Approach) -> frozenset[str]:
        """Those of the token's that are this Connector's."""
        if not claims.audiences or not _can_be(approach):
            return frozenset()
        return claims.audiences & audiences_of(approach.key, approach.snapshot.proxy_uris, self._cluster_domain)

    def _known(self, token: bytes) -> tuple[bytes, Claims]:
        """The token's digest, and its claims."""
        digest = self._digest(token)
        return digest, self._claims.get(digest) or claims_of(token)

    def _ended(self, claims: Claims) -> bool:
        """By the token's own word, which only narrows: the API server takes one for a minute longer (its leeway)."""
        return claims.ends is not None and self._clock.now().timestamp() >= claims.ends

    def _remember(self, digest: bytes, claims: Claims) -> None:
        """To read claims each time would cost a third of the look. A token can have a thousand audiences."""
        if len(claims.audiences) > MAX_AUDIENCES:
            return
        if len(self._claims) >= MAX_REMEMBERED:
            self._claims.clear()
        self._claims[digest] = claims

    def _digest(self, start: bytes, *parts: str) -> bytes:
        """Of a token, or of its digest and names, which hold no line break: no two lists of them read the same."""
        return blake2b("\n".join(("", *parts)).encode() + start, key=self._key, digest_size=16).digest()


def _can_be(approach: Approach) -> bool:
    """Whether an object can have that name at all; one that is there can, and most are."""
    key = approach.key
    return key in approach.snapshot.plans or not (namespace_problem(key.namespace) or object_name_problem(key.name))


def _lacking(user: User, key: ConnectorKey, *, full: bool) -> str:
    needed = "verb get on connectors" + (" and verb * on connectors/proxy" if full else "")
    return f'{user} may not use connectors "{key.name}" in namespace "{key.namespace}": it needs a role with {needed}'
