from __future__ import annotations

from base64 import b64encode

import pytest

from connectors.model.connector import ConnectorKey
from connectors.model.message import Headers
from connectors.model.reasons import Reason
from connectors.model.refusal import RefusedError
from connectors.model.user import User, service_account_user
from connectors.snapshot import Snapshot
from proxy.api_gate import TooManyFailuresError, UnansweredError
from proxy.approach import Approach
from proxy.decision import Facts, Permission, Route
from proxy.identity import Identity, TokenSecrets
from tests.peers.manifests import caller_token, connector_class, secret
from tests.proxy.decisions import request, snapshot_of, tool

TOKEN = b"canary.caller.token"
BUILDER = service_account_user("team", "builder")


def approach(snapshot: Snapshot, namespace: str = "team", host: ConnectorKey | None = None) -> Approach:
    key = ConnectorKey(namespace, "tool")
    return Approach(Route(key, snapshot.bindings.get(key), b"", b"", b"", b"/", b"", host_key=host), snapshot)


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
    head = request(b"/", ((b"Authorization", field),))
    facts = await Identity(TokenSecrets()).facts(head, approach(SNAPSHOT))
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
    head = request(b"/", ((b"Authorization", b"Bearer " + TOKEN),))
    facts = await Identity(TokenSecrets()).facts(head, approach(SNAPSHOT, namespace, host))
    assert facts.permission.allowed is allowed


async def test_nobody_is_asked_in_mode_none() -> None:
    head = request(b"/", ((b"Authorization", b"Bearer " + TOKEN),))
    assert await Identity(None).facts(head, approach(SNAPSHOT)) == Facts()


class Authority:
    """Knows the tokens `good` and `also`; whoever they are may do `allowed`. `failure` is raised instead."""

    def __init__(self, *, allowed: bool = True, failure: Exception | None = None) -> None:
        self.allowed, self.failure = allowed, failure
        self.reviewed: list[bytes] = []

    async def whose(self, token: bytes, approach: Approach) -> User | None:
        if self.failure:
            raise self.failure
        self.reviewed.append(token)
        return User(token.decode()) if token in {b"good", b"also"} else None

    async def may_use(self, user: User, token: bytes, approach: Approach) -> Permission:
        assert user.username == token.decode()
        return Permission(self.allowed)


DECLARING = connector_class("gitlabs", proxy={"authExtractor": {"header": "PRIVATE-TOKEN"}})
OTHER = connector_class("others", proxy={"authExtractor": {"header": "X-Key"}})
BEARER_GOOD, BEARER_BAD = (b"Authorization", b"Bearer good"), (b"Authorization", b"Bearer bad")
PRIVATE_GOOD, PRIVATE_ALSO = (b"Private-Token", b"good"), (b"Private-Token", b"also")
KEY_GOOD = (b"X-Key", b"good")


@pytest.mark.parametrize(
    ("headers", "caller", "misplaced"),
    [
        pytest.param((), None, False, id="nothing"),
        pytest.param((BEARER_GOOD,), "good", False, id="the standard one"),
        pytest.param((PRIVATE_GOOD,), "good", False, id="the class's"),
        pytest.param((BEARER_GOOD, PRIVATE_ALSO), "good", False, id="both: the standard one"),
        pytest.param((BEARER_BAD, PRIVATE_ALSO), "also", False, id="both, the standard one is a dummy"),
        pytest.param((BEARER_GOOD, (b"Private-Token", b"dummy")), "good", False, id="both, the class's is a dummy"),
        pytest.param((KEY_GOOD,), "good", True, id="another class's"),
        pytest.param((KEY_GOOD, PRIVATE_ALSO), "also", False, id="another class's, then its own"),
        pytest.param(((b"X-Unknown", b"good"),), None, False, id="nobody's"),
        pytest.param((PRIVATE_GOOD, PRIVATE_GOOD), None, False, id="twice"),
    ],
)
async def test_where_a_token_may_stand(headers: Headers, caller: str | None, misplaced: bool) -> None:
    snapshot = snapshot_of(DECLARING, OTHER, tool(class_name="gitlabs"))
    facts = await Identity(Authority()).facts(request(b"/", headers), approach(snapshot))
    assert (facts.caller.username if facts.caller else None, facts.misplaced) == (caller, misplaced)


@pytest.mark.parametrize("headers", [(KEY_GOOD,), (PRIVATE_GOOD,), (BEARER_GOOD,), (BEARER_BAD, KEY_GOOD)])
async def test_who_may_not_know_gets_one_answer_whatever_there_is(headers: Headers) -> None:
    """Else a header would tell whether there is such a Connector, and of which class."""
    identity = Identity(Authority(allowed=False))
    outcomes = []
    for manifests in ((), (tool(class_name="gitlabs"),), (tool(class_name="others"),), (tool(class_name="generic"),)):
        snapshot = snapshot_of(DECLARING, OTHER, *manifests)
        facts = await identity.facts(request(b"/", headers), approach(snapshot))
        outcomes.append((facts.caller, facts.permission))
    assert outcomes == [outcomes[0]] * 4
    assert outcomes[0][0] is not None


async def test_without_a_token_nobody_is_asked() -> None:
    authority = Authority()
    await Identity(authority).facts(request(b"/", ((b"X-Other", b"good"),)), approach(SNAPSHOT))
    assert not authority.reviewed


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (UnansweredError(unreachable=True), Reason.AUTHENTICATION_UNAVAILABLE),
        (UnansweredError(unreachable=False), Reason.AUTHENTICATION_UNAVAILABLE),
        (TooManyFailuresError(), Reason.TOO_MANY_REQUESTS),
    ],
)
async def test_unknown_means_deny(failure: Exception, reason: Reason) -> None:
    with pytest.raises(RefusedError) as refused:
        await Identity(Authority(failure=failure)).facts(request(b"/", (BEARER_GOOD,)), approach(SNAPSHOT))
    assert refused.value.refusal.reason is reason
