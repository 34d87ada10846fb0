from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.scrub import without_bearer

BASIC = b'Basic realm="x, y"'
EVIL = b'Bearer realm="https://evil.example/token",service="s",scope="a,b"'


@pytest.mark.parametrize(
    ("value", "left"),
    [
        pytest.param(EVIL, None, id="alone"),
        pytest.param(b"bEaReR", None, id="bare"),
        pytest.param(b"Bearer abc123==", None, id="token68"),
        pytest.param(BASIC, BASIC, id="Basic"),
        pytest.param(BASIC + b", " + EVIL, BASIC, id="behind Basic"),
        pytest.param(EVIL + b", " + BASIC, BASIC, id="before Basic"),
        pytest.param(b"Negotiate, " + EVIL + b", NTLM", b"Negotiate, NTLM", id="between"),
        pytest.param(EVIL + b"," + EVIL, None, id="twice"),
        pytest.param(b'Basic realm="Bearer of news"', b'Basic realm="Bearer of news"', id="quoted word"),
        pytest.param(b'Digest realm="a", nonce="b", ' + EVIL, b'Digest realm="a", nonce="b"', id="parameters stay"),
        pytest.param(b"", b"", id="empty"),
        pytest.param(b'Basic realm="\\"x"', b'Basic realm="\\"x"', id="escapes without Bearer"),
        pytest.param(b"\tBearer\trealm=x", None, id="tabs"),
        pytest.param(b",, Bearer realm=x ,,", None, id="empty members"),
    ],
)
def test_t05_bearer_goes_and_the_rest_stays(value: bytes, left: bytes | None) -> None:
    assert without_bearer(value) == left


HIDDEN = {
    "inside what some readers take for a quoted string": b'Basic realm="a\\", Bearer realm="https://evil", x="',
    "behind an unbalanced quote": b'Basic realm="a, Bearer realm=https://evil',
    "in a string that began in another field": b'", Bearer realm="https://evil"',
    "without a comma": b'Basic realm="x" Bearer realm="https://evil"',
    "behind a no-break space": b"\xa0Bearer realm=https://evil",
    "behind a semicolon": b"Basic; Bearer realm=https://evil",
    "with space around the sign": b"Bearer realm = https://evil",
    "as a parameter of another": b"Basic Bearer realm=https://evil",
    "among 4 KiB": b"Basic realm=x, " * 400 + b"Bearer realm=https://evil",
}


@pytest.mark.parametrize("value", HIDDEN.values(), ids=HIDDEN.keys())
def test_t05_a_hidden_bearer_is_not_passed_on(value: bytes) -> None:
    assert b"evil" not in (without_bearer(value) or b"")


ODD = st.text('Bearer basic ="\\,;\t', max_size=40).map(str.encode)


@given(
    st.one_of(st.binary(max_size=80), ODD, st.lists(st.sampled_from([BASIC, EVIL, b'"', b",", b"\\"])).map(b"".join))
)
def test_any_field_is_taken(value: bytes) -> None:
    left = without_bearer(value)
    if b"bearer" not in value.lower():
        assert left == value
    elif left is not None:
        assert len(left) < len(value) or left == value
        outside = b"".join(left.split(b'"')[::2])
        assert b"bearer" not in outside.lower()


@given(st.lists(st.sampled_from([BASIC, EVIL, b"Negotiate", b'Digest realm="a",nonce="b"']), min_size=1, max_size=6))
def test_t05_lists_of_challenges(challenges: list[bytes]) -> None:
    kept = [challenge for challenge in challenges if challenge != EVIL]
    left = without_bearer(b", ".join(challenges))
    assert (left or b"").replace(b" ", b"") == b",".join(kept).replace(b" ", b"")
