from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.model.message import Headers, RequestHead
from connectors.model.reasons import Reason
from connectors.model.refusal import RefusedError
from proxy.decision import Caller, UnreviewedError
from proxy.identity import Identity, presented_token
from proxy.settings import ClientAuth
from tests.peers.manifests import caller_token, secret
from tests.proxy.decisions import request, snapshot_of, tool

TOKEN = b"canary.caller.token"


def basic(userpass: bytes) -> bytes:
    return b"Basic " + b64encode(userpass)


def head_with(*fields: bytes) -> RequestHead:
    headers: Headers = tuple((b"Authorization", field) for field in fields)
    return request(b"/", headers)


@pytest.mark.parametrize(
    ("field", "token"),
    [
        (b"Bearer abc", b"abc"),
        (b"bEARER  abc ", b"abc"),
        (b"Bearer", None),
        (b"Bearer ", None),
        (b"Bearerabc", None),
        (basic(b"user:abc"), b"abc"),
        (basic(b":abc"), b"abc"),
        (basic(b"abc:"), b"abc"),
        (basic(b"user:a:b"), b"a:b"),
        (basic(b":"), None),
        (basic(b"abc"), None),
        (basic(b""), None),
        (b"basic " + b64encode(b"u:p"), b"p"),
        (b"Basic dTp w", None),
        (b"Basic \xff\xff", None),
        (b"Basic", None),
        (b"Digest abc", None),
        (b"", None),
        (b"abc", None),
    ],
)
def test_presented_token(field: bytes, token: bytes | None) -> None:
    assert presented_token(head_with(field)) == token


def test_none_and_two_are_no_token() -> None:
    assert presented_token(head_with()) is None
    assert presented_token(head_with(b"Bearer a", b"Bearer a")) is None


@given(st.one_of(st.binary(max_size=40), st.binary(max_size=20).map(lambda raw: b"Basic " + raw)))
def test_any_field_is_taken(field: bytes) -> None:
    token = presented_token(head_with(field))
    assert token is None or token


SNAPSHOT = snapshot_of(
    tool(),
    caller_token("builder", TOKEN.decode(), namespace="team"),
    secret("opaque", {"token": "of another type"}, namespace="team"),
    caller_token("empty", "", namespace="team"),
)


@pytest.mark.parametrize(
    ("field", "caller"),
    [
        (b"Bearer " + TOKEN, Caller("team", "builder")),
        (basic(b"x:" + TOKEN), Caller("team", "builder")),
        (basic(TOKEN + b":"), Caller("team", "builder")),
        (b"Bearer " + TOKEN[:-1], None),
        (b"Bearer " + TOKEN.upper(), None),
        (b"Bearer of another type", None),
        (b"Bearer ", None),
    ],
)
async def test_token_mode(field: bytes, caller: Caller | None) -> None:
    identity = Identity(ClientAuth.TOKEN)
    assert identity.required
    assert await identity.caller(head_with(field), SNAPSHOT) == caller


async def test_nobody_is_asked_in_mode_none() -> None:
    identity = Identity(ClientAuth.NONE)
    assert not identity.required
    assert await identity.caller(head_with(b"Bearer " + TOKEN), SNAPSHOT) is None


class Reviewer:
    """Knows TOKEN; `away` says that nobody can tell."""

    away = False

    async def review(self, token: bytes) -> Caller | None:
        if self.away:
            raise UnreviewedError
        return Caller("team", "builder") if token == TOKEN else None


async def test_in_a_cluster_the_api_server_is_asked() -> None:
    identity = Identity(ClientAuth.KUBERNETES, Reviewer())
    assert identity.required
    snapshot = snapshot_of(tool())
    assert await identity.caller(head_with(b"Bearer " + TOKEN), snapshot) == Caller("team", "builder")
    assert await identity.caller(head_with(b"Bearer other"), snapshot) is None
    assert await identity.caller(head_with(), snapshot) is None


async def test_unknown_means_deny() -> None:
    reviewer = Reviewer()
    reviewer.away = True
    with pytest.raises(RefusedError) as refused:
        await Identity(ClientAuth.KUBERNETES, reviewer).caller(head_with(b"Bearer " + TOKEN), snapshot_of(tool()))
    assert refused.value.refusal.reason is Reason.AUTHENTICATION_UNAVAILABLE
    assert await Identity(ClientAuth.KUBERNETES).caller(head_with(b"Bearer " + TOKEN), snapshot_of(tool())) is None
