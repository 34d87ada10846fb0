from __future__ import annotations

from base64 import b64encode

import pytest

from connectors.http.message import Headers
from connectors.objects.connector import ConnectorKey
from connectors.objects.reasons import Reason, RefusedError
from connectors.objects.user import User, service_account_user
from connectors.snapshot import Snapshot
from proxy.callers.identity import Approach, CallerIdentity, CallerReviewer, TokenSecrets
from proxy.callers.limiter import TooManyFailuresError, UnansweredError
from proxy.decision import Facts, Permission, Route
from tests.peers.manifests import caller_token, connector_class, secret
from tests.proxy.decisions import request, snapshot_of, tool

TOKEN = b"canary.caller.token"
BUILDER = service_account_user("team", "builder")


def route_in(snapshot: Snapshot, namespace: str = "team", host: ConnectorKey | None = None) -> Route:
    key = ConnectorKey(namespace, "tool")
    return Route(key, snapshot.plans.get(key), b"", b"", b"", b"/", b"", host_key=host)


async def gather(
    reviewer: CallerReviewer | None,
    headers: Headers,
    snapshot: Snapshot,
    namespace: str = "team",
    host: ConnectorKey | None = None,
) -> Facts:
    route = route_in(snapshot, namespace, host)
    return await CallerIdentity(reviewer).facts(request(b"/", headers), route, snapshot, "10.0.0.1")


def basic(userpass: bytes) -> bytes:
    return b"Basic " + b64encode(userpass)


SNAPSHOT = snapshot_of(
    tool(),
    caller_token("builder", TOKEN.decode(), namespace="team"),
    secret("opaque", {"token": "of another type"}, namespace="team"),
    caller_token("empty", "", namespace="team"),
)


@pytest.mark.parametrize(
    ("field", "caller"),
    [
        (b"Bearer " + TOKEN, BUILDER),
        (basic(b"x:" + TOKEN), BUILDER),
        (basic(TOKEN + b":"), BUILDER),
        (b"Bearer " + TOKEN[:-1], None),
        (b"Bearer " + TOKEN.upper(), None),
        (b"Bearer of another type", None),
        (b"Bearer ", None),
    ],
)
async def test_token_mode(field: bytes, caller: User | None) -> None:
    facts = await gather(TokenSecrets(), ((b"Authorization", field),), SNAPSHOT)
    assert facts.authenticated
    assert facts.caller == caller
    assert facts.permission.allowed is (caller is not None)


@pytest.mark.parametrize(
    ("namespace", "host", "allowed"),
    [
        ("team", None, True),
        ("team", ConnectorKey("team", "other"), True),
        ("else", None, False),
        ("team", ConnectorKey("else", "other"), False),
        ("else", ConnectorKey("team", "other"), False),
    ],
)
async def test_in_token_mode_the_namespace_decides_for_host_and_path(
    namespace: str, host: ConnectorKey | None, allowed: bool
) -> None:
    facts = await gather(TokenSecrets(), ((b"Authorization", b"Bearer " + TOKEN),), SNAPSHOT, namespace, host)
    assert facts.permission.allowed is allowed


async def test_nobody_is_asked_in_mode_none() -> None:
    assert await gather(None, ((b"Authorization", b"Bearer " + TOKEN),), SNAPSHOT) == Facts()


class Desk:
    """A reviewer that knows tokens beginning with `good`; `allowed` lists those that may. Odd tokens raise."""

    def __init__(self, *allowed: bytes) -> None:
        self.allowed = allowed
        self.asked: list[tuple[str, bytes, ConnectorKey]] = []

    async def review(self, token: bytes, approach: Approach) -> tuple[User | None, Permission]:
        assert approach.client == "10.0.0.1"
        if token == b"away":
            raise UnansweredError(away=True)
        if token == b"too many":
            raise TooManyFailuresError
        self.asked.append(("whose", token, approach.key))
        if not token.startswith(b"good"):
            return None, Permission()
        user = User(token.decode())
        self.asked.append(("may", token, approach.key))
        return user, Permission(token in self.allowed, f"{user} may not use {approach.key}")

    def evidence(self) -> None:
        return None


DECLARING = connector_class("gitlabs", proxy={"authExtractor": {"header": "PRIVATE-TOKEN"}})
OTHER = connector_class("others", proxy={"authExtractor": {"header": "X-Key"}})


def bearer(token: bytes) -> tuple[bytes, bytes]:
    return b"Authorization", b"Bearer " + token


def private(token: bytes) -> tuple[bytes, bytes]:
    return b"Private-Token", token


def key_field(token: bytes) -> tuple[bytes, bytes]:
    return b"X-Key", token


@pytest.mark.parametrize(
    ("headers", "caller", "misplaced"),
    [
        pytest.param((), None, False, id="nothing"),
        pytest.param((bearer(b"good"),), "good", False, id="the standard one"),
        pytest.param((private(b"good"),), "good", False, id="the class's"),
        pytest.param((bearer(b"good"), private(b"good2")), "good", False, id="both: the standard one"),
        pytest.param((bearer(b"bad"), private(b"good2")), "good2", False, id="both, the standard one is a dummy"),
        pytest.param((bearer(b"good"), private(b"bad")), "good", False, id="both, the class's is a dummy"),
        pytest.param((bearer(b"good no"), private(b"good2")), "good2", False, id="both, the standard one may not"),
        pytest.param((bearer(b"good no"), private(b"bad")), "good no", False, id="nobody may: the first who is valid"),
        pytest.param((key_field(b"good"),), "good", True, id="another class's"),
        pytest.param((key_field(b"good"), private(b"good2")), "good2", False, id="another class's, then its own"),
        pytest.param((key_field(b"good"), bearer(b"good no")), "good", True, id="who may counts before who may not"),
        pytest.param(((b"X-Unknown", b"good"),), None, False, id="nobody's"),
        pytest.param((private(b"good"), private(b"good")), None, False, id="twice"),
        pytest.param((bearer(b"away"), private(b"good")), "good", False, id="a dummy that nobody can be asked about"),
        pytest.param((bearer(b"too many"), private(b"good")), "good", False, id="a dummy too many"),
    ],
)
async def test_where_a_token_may_stand(headers: Headers, caller: str | None, misplaced: bool) -> None:
    snapshot = snapshot_of(DECLARING, OTHER, tool(class_name="gitlabs"))
    facts = await gather(Desk(b"good", b"good2"), headers, snapshot)
    assert (facts.caller.username if facts.caller else None, facts.misplaced) == (caller, misplaced)
    assert (facts.presented.token.decode() if facts.presented else None) == caller


async def test_of_two_misplaced_tokens_the_first_counts() -> None:
    snapshot = snapshot_of(DECLARING, OTHER, tool())
    facts = await gather(Desk(b"good", b"good2"), (key_field(b"good"), private(b"good2")), snapshot)
    assert facts.caller == User("good")
    assert facts.misplaced


async def test_where_there_is_no_connector_a_token_may_stand_in_any_field() -> None:
    facts = await gather(Desk(b"good"), (key_field(b"good"),), snapshot_of(DECLARING, OTHER))
    assert facts.permission.allowed
    assert not facts.misplaced


PROTOCOLS = b"Sec-WebSocket-Protocol", b"v4.channel.k8s.io, base64url.bearer.authorization.k8s.io.Z29vZA"


@pytest.mark.parametrize(("class_name", "misplaced"), [("k8s", False), ("generic", True), ("gitlabs", True)])
async def test_t39_a_token_among_websocket_protocols_counts_for_kubernetes_alone(
    class_name: str, misplaced: bool
) -> None:
    desk = Desk(b"good")
    facts = await gather(desk, (PROTOCOLS,), snapshot_of(DECLARING, tool(class_name=class_name)))
    assert (facts.caller, facts.misplaced) == (User("good"), misplaced)
    assert facts.presented is not None
    assert facts.presented.token == b"good"
    # As of any other field: how many questions it takes does not depend on the class.
    assert [question[:2] for question in desk.asked] == [("whose", b"good"), ("may", b"good")]


FIELDS = [
    (key_field(b"good"),),
    (private(b"good"),),
    (bearer(b"good"),),
    (bearer(b"bad"), key_field(b"good")),
    (private(b"good1"), key_field(b"good2")),
    (key_field(b"good1"), private(b"good2")),
    (private(b"good"), key_field(b"bad")),
]


@pytest.mark.parametrize("headers", FIELDS)
async def test_who_may_not_know_gets_one_answer_at_one_price_whatever_there_is(headers: Headers) -> None:
    """Else a header would tell whether there is such a Connector, and of which class."""
    outcomes = []
    for manifests in ((), (tool(class_name="gitlabs"),), (tool(class_name="others"),), (tool(class_name="generic"),)):
        desk = Desk()
        facts = await gather(desk, headers, snapshot_of(DECLARING, OTHER, *manifests))
        outcomes.append((facts.caller, facts.permission, desk.asked))
    assert outcomes == [outcomes[0]] * 4
    assert outcomes[0][0] is not None


async def test_who_may_not_know_learns_nothing_of_the_class_of_the_connector_that_host_names() -> None:
    """Only with a class that leaves the naming to the path another Connector than Host's is meant."""
    victim, named = ConnectorKey("team", "victim"), ConnectorKey("zz", "tool")
    snapshot = snapshot_of(tool())
    by_path = Route(named, None, b"", b"", b"", b"/", b"", host_key=victim)
    by_host = Route(victim, None, b"", b"", b"", b"/", b"", host_key=victim)
    outcomes = []
    for route in (by_path, by_host):
        desk = Desk()
        facts = await CallerIdentity(desk).facts(request(b"/", (bearer(b"good"),)), route, snapshot, "10.0.0.1")
        outcomes.append((facts.caller, facts.permission, desk.asked))
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][1].message == "good may not use team/victim"


async def test_who_may_use_hosts_connector_needs_a_right_on_the_paths_as_well() -> None:
    desk = Desk(b"good")
    await gather(desk, (bearer(b"good"),), SNAPSHOT, host=ConnectorKey("team", "other"))
    assert desk.asked == [
        (what, b"good", ConnectorKey("team", name)) for name in ("other", "tool") for what in ("whose", "may")
    ]


async def test_without_a_token_nobody_is_asked() -> None:
    desk = Desk()
    facts = await gather(desk, ((b"X-Other", b"good"),), SNAPSHOT)
    assert not desk.asked
    assert facts == Facts(authenticated=True)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ((bearer(b"away"),), Reason.AUTHENTICATION_UNAVAILABLE),
        ((bearer(b"too many"),), Reason.TOO_MANY_REQUESTS),
        ((bearer(b"away"), private(b"bad")), Reason.AUTHENTICATION_UNAVAILABLE),
        ((bearer(b"away"), private(b"good no")), Reason.AUTHENTICATION_UNAVAILABLE),
        ((bearer(b"too many"), private(b"away")), Reason.TOO_MANY_REQUESTS),
    ],
)
async def test_unknown_means_deny(headers: Headers, reason: Reason) -> None:
    with pytest.raises(RefusedError) as refused:
        await gather(Desk(), headers, snapshot_of(DECLARING, tool()))
    assert refused.value.refusal.reason is reason
