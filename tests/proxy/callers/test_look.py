from __future__ import annotations

from typing import Any

import pytest

from proxy.callers.jwks import Key
from proxy.callers.look import OVERALL, SAVED, SIGNATURES, LocalLook, Seen
from proxy.callers.signing_keys import SigningKeys
from proxy.callers.tokens import claims_of
from tests.peers.clock import FakeClock
from tests.peers.token_issuer import ISSUER, TokenIssuer, packed

URL = "http://c-tool.team.svc.cluster.local"
BURST = int(SIGNATURES * SAVED)


class Desk:
    def __init__(self, issuer: TokenIssuer) -> None:
        self.issuer = issuer
        self.keys = SigningKeys(issuer, FakeClock())
        self.look = LocalLook(self.keys)

    def tenant(self, token: bytes, *audiences: str, client: str = "c", now: float = 0.0) -> str:
        return self.look.tenant(Seen(token, claims_of(token), client), audiences, now)


@pytest.fixture(scope="module", params=[2048, 0], ids=["RS256", "ES256"])
def issuer(request: pytest.FixtureRequest) -> TokenIssuer:
    return TokenIssuer(request.param)


@pytest.fixture
async def desk(issuer: TokenIssuer) -> Desk:
    made = Desk(issuer)
    await made.keys.renew()
    return made


async def test_a_token_that_the_api_server_has_signed(desk: Desk) -> None:
    assert desk.tenant(desk.issuer.token()) == "team"
    assert desk.tenant(desk.issuer.token(aud=ISSUER)) == "team"
    assert desk.tenant(desk.issuer.token(aud=["other", URL]), URL) == "team"
    assert desk.tenant(desk.issuer.token(aud=["other", URL])) == ""


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://another"},
        {"iss": ""},
        {"iss": None},
        {"aud": ["other"]},
        {"aud": []},
        {"aud": [""]},
        {"exp": None},
        {"sub": "system:admin"},
        {"sub": "system:serviceaccount:"},
        {"sub": 7},
        {"deep": [[]]},
    ],
    ids=str,
)
async def test_what_does_not_fit_is_not_vouched_for(desk: Desk, claims: dict[str, Any]) -> None:
    assert desk.tenant(desk.issuer.token(**claims)) == ("team" if "deep" in claims else "")


@pytest.mark.parametrize(
    "header",
    [
        {"kid": "another"},
        {"kid": ""},
        {"kid": 7},
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "PS256"},
        {"x": "y" * 2000},
    ],
    ids=lambda header: str(header)[:20],
)
async def test_a_header_of_another_kind(desk: Desk, header: dict[str, Any]) -> None:
    assert desk.tenant(desk.issuer.token(header)) == ""


async def test_a_signature_of_another_key(desk: Desk) -> None:
    token = TokenIssuer().token({"alg": desk.issuer.algorithm})
    assert desk.tenant(token) == ""
    head, _, signature = desk.issuer.token().rpartition(b".")
    for odd in (b"", b"=", b"!" + signature, signature[:-3], b"\xff" + signature):
        assert desk.tenant(head + b"." + odd) == ""
    changed = packed(b'{"iss":"%s","aud":"%s","exp":9e9,"sub":"system:serviceaccount:x:y"}' % ((ISSUER.encode(),) * 2))
    assert desk.tenant(head.partition(b".")[0] + b"." + changed.encode() + b"." + signature) == ""


@pytest.mark.parametrize("token", [b"opaque", b"e30.e30.x", b"..", b"e30.eyJleHAiOjl9.x", b"a.b.c.d"])
async def test_what_is_no_token_of_that_kind(desk: Desk, token: bytes) -> None:
    assert desk.tenant(token) == ""


async def test_without_keys_nobody_is_vouched_for(issuer: TokenIssuer) -> None:
    assert Desk(issuer).tenant(issuer.token()) == ""


async def test_t33_signatures_are_looked_at_so_often_for_each_address_and_for_all(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = 0

    def has_signed(signed: bytes, signature: bytes) -> bool:
        nonlocal looked
        looked += 1
        return True

    monkeypatch.setattr(desk.keys, "find", lambda issuer, kid: Key(desk.issuer.algorithm, has_signed))
    token = desk.issuer.token()
    for _ in range(3 * BURST):
        desk.tenant(token)
    assert looked == BURST
    assert desk.tenant(token, client="another") == "team"
    assert desk.tenant(token, now=1.0) == "team"
    for number in range(3 * OVERALL):
        for _ in range(BURST):
            desk.tenant(token, client=str(number))
    assert looked <= OVERALL * (BURST + SIGNATURES)


async def test_t33_what_does_not_look_right_costs_no_signature(desk: Desk) -> None:
    for _ in range(2 * BURST):
        desk.tenant(desk.issuer.token(iss="https://another"))
    assert desk.tenant(desk.issuer.token()) == "team"


def test_t14_what_was_seen_does_not_show_itself() -> None:
    token = b"c4nary"
    assert "c4nary" not in repr(Seen(token, claims_of(token), "c"))
