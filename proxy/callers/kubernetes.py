"""Callers in a cluster: the API server says whose a token is (TokenReview) and what it allows (SubjectAccessReview)."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from hashlib import blake2b

import msgspec
from msgspec import Struct

from connectors.kube.access_review import Api, ResourceAction, ask, may
from connectors.kube.resources import CONNECTORS, TOKEN_REVIEWS
from connectors.objects.connector import ConnectorKey
from connectors.objects.names import namespace_problem, object_name_problem
from connectors.objects.user import User
from connectors.process.clock import Clock, rfc3339
from proxy.callers.answers import MAX_REMEMBERED, AnswerSource, Evidence
from proxy.callers.identity import Approach
from proxy.callers.limiter import Asker, Limiter, Share
from proxy.callers.look import LocalLook, Seen
from proxy.callers.reviews import Inquiry, Reviews
from proxy.callers.signing_keys import SigningKeys
from proxy.callers.tokens import Claims, audiences_of, claims_of
from proxy.decision import Permission
from proxy.settings import CallerSettings
from proxy.slots import client_of

# Audiences of a token whose claims are kept in memory: the API server's and those of a few Connectors.
MAX_AUDIENCES = 8


class KubernetesReviewer:
    """The reviewer of mode `kubernetes`. It keeps keyed digests of tokens: memory tells no one which token it was."""

    def __init__(
        self, api: Api, clock: Clock, settings: CallerSettings, cluster_domain: str, keys: SigningKeys | None = None
    ) -> None:
        """`keys`: those of the API server; None if it is not asked for them."""
        self._look = LocalLook(keys) if keys else None
        # By which names the API server calls itself, as far as it has said so: its issuer need not be one of them.
        self._names: frozenset[str] = frozenset()
        self._api = api
        self._clock = clock
        self._settings = settings
        self._cluster_domain = cluster_domain
        self._key = secrets.token_bytes(32)
        self._claims: dict[bytes, Claims] = {}
        limiter = Limiter(settings.failure_rate, settings.questions_at_once)
        self._users: Reviews[User] = Reviews(clock, settings, limiter)
        self._permissions: Reviews[bool] = Reviews(clock, settings, limiter)

    def evidence(self) -> Evidence:
        """Gathers the answers about one request."""
        return Evidence(self._clock.monotonic, self._clock.epoch)

    @property
    def sources(self) -> Mapping[str, Counter[AnswerSource]]:
        """Where answers came from, by what was asked: `token` or `access`."""
        return {"token": self._users.sources, "access": self._permissions.sources}

    async def review(self, token: bytes, approach: Approach) -> tuple[User | None, Permission]:
        """See CallerReviewer."""
        digest = self._digest(token)
        claims = self._claims.get(digest) or claims_of(token)
        # By the token's own word, which only narrows: the API server takes one for a minute longer (its leeway).
        if claims.ends is not None and self._clock.epoch() >= claims.ends:
            if approach.evidence:
                approach.evidence.lasting = False  # the wall clock may step back
            return None, Permission(message=_ended(claims.ends))
        user = await self._owner(token, digest, claims, approach)
        if user is None:
            return None, Permission()
        self._remember(digest, claims)
        return user, await self._permission(user, digest, claims, approach)

    async def _owner(self, token: bytes, digest: bytes, claims: Claims, approach: Approach) -> User | None:
        """Whose token it is: one for the API server, or one that was minted for this Connector's proxy URL.

        A TokenReview without audiences asks for the API server's own, whose name only that knows. So the proxy URL is
        named if the token claims it, and nothing if it does not; with --require-audience the API server is not asked
        then.
        """
        audiences: frozenset[str] = frozenset()
        if claims.audiences and _can_be(approach):
            ours = audiences_of(approach.key, approach.snapshot.proxy_uris, self._cluster_domain)
            audiences = claims.audiences & ours
        if self._settings.require_audience and not audiences:
            return None

        # Not a partial: that would show the token when it is printed.
        async def put() -> User | None:
            return await review_token(self._api, token, audiences, None if audiences else self._learn)

        # What the API server says of a token without such an audience holds for every Connector.
        key = self._digest(digest, *(approach.key if audiences else ()))

        def asker(known: bool) -> Asker:
            client = client_of(approach.client)
            if known or self._look is None:
                return Asker(Share.KNOWN if known else Share.OTHERS, client)
            seen, names = Seen(token, claims, client), audiences or self._names
            tenant = self._look.tenant(seen, names, self._clock.monotonic())
            return Asker(Share.VOUCHED, _account(tenant, client)) if tenant else Asker(Share.OTHERS, client)

        return await self._users.get(Inquiry(key, put, claims.ends, asker, approach.evidence))

    async def _permission(self, user: User, digest: bytes, claims: Claims, approach: Approach) -> Permission:
        """Whether the user's roles allow the use of the Connector, whether or not there is one."""
        name, full = approach.key, approach.snapshot.flags.enable_connector_proxy_permissions

        async def put() -> bool | None:
            allowed = await may(self._api, user, ResourceAction("get", CONNECTORS, *name))
            if allowed and full:
                allowed = await may(self._api, user, ResourceAction("*", CONNECTORS, *name, subresource="proxy"))
            return allowed or None

        def asker(known: bool) -> Asker:
            return Asker(Share.KNOWN if known else Share.VOUCHED, _account(_tenant(user), client_of(approach.client)))

        # An impossible name costs no question: no object has it, and a caller can make up any number of them.
        if _can_be(approach):
            key = self._digest(digest, *name, "proxy" if full else "")
            of_nothing = name not in approach.snapshot.plans
            inquiry = Inquiry(key, put, claims.ends, asker, approach.evidence, of_nothing)
            if await self._permissions.get(inquiry):
                return Permission(allowed=True)
        return Permission(message=_lacking(user, name, full=full))

    def _learn(self, audiences: Collection[str]) -> None:
        if not self._names.issuperset(audiences):
            self._names = frozenset(sorted(self._names.union(audiences))[:MAX_AUDIENCES])

    def _remember(self, digest: bytes, claims: Claims) -> None:
        """Keep a token's claims: reading them each time would cost a third of the look-up. A few are too long."""
        if len(claims.audiences) > MAX_AUDIENCES:
            return
        if len(self._claims) >= MAX_REMEMBERED:
            self._claims.clear()
        self._claims[digest] = claims

    def _digest(self, start: bytes, *parts: str) -> bytes:
        """A digest of a token, or of its digest and names. Names hold no line break, so no two lists read the same."""
        return blake2b("\n".join(("", *parts)).encode() + start, key=self._key, digest_size=16).digest()


def _can_be(approach: Approach) -> bool:
    """Whether an object can have that name. Most names are a Connector's, and need no look at the rules."""
    key = approach.key
    return key in approach.snapshot.plans or not (namespace_problem(key.namespace) or object_name_problem(key.name))


def _ended(ends: float) -> str:
    """What a caller hears of a token that ended then, in seconds since the epoch; anybody can write any number."""
    moment = datetime.fromtimestamp(max(ends, 0.0), UTC)
    return f"the token expired at {rfc3339(moment)}; send one that is still good"


def _tenant(user: User) -> str:
    """Who answers for what this user does: the namespace of a ServiceAccount, in which tenants make any number."""
    return account.namespace if (account := user.service_account) else user.username


def _account(tenant: str, client: str) -> str:
    """A tenant's at one address: its failures there are neither another tenant's, nor its own elsewhere."""
    return f"{tenant} {client}"


def _lacking(user: User, key: ConnectorKey, *, full: bool) -> str:
    needed = "verb get on connectors" + (" and verb * on connectors/proxy" if full else "")
    return f'{user} may not use connectors "{key.name}" in namespace "{key.namespace}": it needs a role with {needed}'


class _TokenReviewStatus(Struct, frozen=True):
    authenticated: bool = False
    user: User = User()
    audiences: tuple[str, ...] | None = ()


class _TokenReview(Struct, frozen=True):
    status: _TokenReviewStatus = _TokenReviewStatus()


_TOKEN_REVIEW = msgspec.json.Decoder(_TokenReview)


async def review_token(
    api: Api, token: bytes, audiences: Collection[str], learn: Callable[[Collection[str]], None] | None = None
) -> User | None:
    """Whose token it is, None if the API server does not accept it (authentication.k8s.io/v1). `token` is ASCII.

    `audiences`: of which it must have one; none means the API server's own, whatever that is called. `learn` hears of
    which audience an accepted token is, where the API server says so.

    Raises:
        KubeError: there is no answer: UnavailableError if one may come later, else this program may not ask.
    """
    spec = {"token": token.decode("ascii")} | ({"audiences": sorted(audiences)} if audiences else {})
    body = {"apiVersion": TOKEN_REVIEWS.api_version, "kind": TOKEN_REVIEWS.kind, "spec": spec}
    status = (await ask(api, TOKEN_REVIEWS, body, _TOKEN_REVIEW)).status
    # An authenticator that knows no audiences leaves them out, and has then not looked at them (threat 8;
    # Kubernetes API reference, TokenReviewStatus.audiences).
    confirmed = not audiences or not set(audiences).isdisjoint(status.audiences or ())
    if not (status.authenticated and confirmed and status.user.username):
        return None
    if learn and status.audiences:
        learn(status.audiences)
    return status.user
