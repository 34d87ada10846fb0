from __future__ import annotations

from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Callable
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.callers.guises import UNMISTAKABLE, Guises, guises_of, without_token
from proxy.callers.tokens import Presented

TOKEN = b"c4ller.t0ken-of_some.length"
GUISES = Guises(TOKEN)


def quoted(text: bytes) -> bytes:
    return quote_from_bytes(text, safe="").encode()


def every_byte_quoted(text: bytes) -> bytes:
    return b"".join(b"%%%02x" % byte for byte in text)


CODINGS: list[Callable[[bytes], bytes]] = [
    bytes,
    b64encode,
    urlsafe_b64encode,
    lambda text: b64encode(text).rstrip(b"="),
    quoted,
    every_byte_quoted,
    lambda text: quoted(b64encode(text)),
    lambda text: quoted(quoted(b64encode(text))),
    lambda text: b64encode(b64encode(text)),
    lambda text: urlsafe_b64encode(urlsafe_b64encode(text)).rstrip(b"="),
    lambda text: b64encode(urlsafe_b64encode(text)),
    lambda text: quoted(b64encode(b'{"auth":"' + b64encode(b"user:" + text) + b'"}')),
]
ANYTHING = st.binary(max_size=40)


@given(st.binary(min_size=UNMISTAKABLE, max_size=90), ANYTHING, ANYTHING, st.sampled_from(CODINGS), ANYTHING, ANYTHING)
def test_t39_a_token_is_seen_in_any_guise_within_anything(
    token: bytes, before: bytes, behind: bytes, coding: Callable[[bytes], bytes], left: bytes, right: bytes
) -> None:
    # What stands around is of other alphabets, so that it does not become a part of the encoded text.
    text = left + b" " + coding(before + token + behind) + b" " + right
    assert Guises(token).in_text(text)
    # A query that is shorter than the token need not be looked at (proxy/request.py).
    assert len(coding(before + token + behind)) >= len(token)


@given(st.binary(max_size=200).filter(lambda text: TOKEN not in text))
def test_nothing_else_is_taken_for_it(text: bytes) -> None:
    assert not GUISES.in_text(text)
    assert not GUISES.in_text(b64encode(text))


@pytest.mark.parametrize("text", [TOKEN[:-1], TOKEN[1:], b64encode(TOKEN[:-1] + b"X"), b64encode(b"X" + TOKEN[1:])])
def test_a_text_that_differs_in_one_byte_is_another(text: bytes) -> None:
    assert not GUISES.in_text(b"x" * len(TOKEN) + text)


@pytest.mark.parametrize(
    ("query", "left"),
    [
        (b"?access_token=" + TOKEN, b""),
        (b"?a=1&access_token=" + TOKEN + b"&b=%20", b"?a=1&b=%20"),
        (b"?a=1&" + TOKEN + b"=x", b"?a=1"),
        (b"?t=" + every_byte_quoted(TOKEN) + b"&c", b"?c"),
        (b"?t=" + b64encode(b"user:" + TOKEN) + b"&c", b"?c"),
        (b"?t=" + quoted(b64encode(TOKEN)) + b"&c", b"?c"),
        (b"?a=1;t=" + TOKEN + b";b&c", b"?a=1;b&c"),
        (b"?t=" + TOKEN + b";t=" + TOKEN + b"&c", b"?c"),
        (b"?&&a&" + TOKEN, b"?&&a"),
        (b"?a=" + TOKEN[:-1], b"?a=" + TOKEN[:-1]),
        (b"?", b"?"),
        (b"", b""),
    ],
)
def test_t39_a_query_parameter_that_holds_it_goes(query: bytes, left: bytes) -> None:
    assert without_token(b"/p%2Fq" + query, GUISES) == b"/p%2Fq" + left


@pytest.mark.parametrize("separator", [b"&", b";"])
def test_t39_a_token_that_holds_a_separator_takes_all_of_the_query_along(separator: bytes) -> None:
    token = TOKEN + separator + TOKEN
    assert without_token(b"/p?a=1&t=" + token, Guises(token)) == b"/p"


def test_a_short_token_is_not_looked_for() -> None:
    assert guises_of(None) is None
    assert guises_of(Presented(b"x" * (UNMISTAKABLE - 1), b"authorization")) is None
    assert guises_of(Presented(b"x" * UNMISTAKABLE, b"authorization")) is not None


def test_t14_nothing_of_it_is_shown() -> None:
    assert TOKEN.decode() not in repr(GUISES)
    assert b64decode(b64encode(TOKEN)) not in repr(guises_of(Presented(TOKEN, b"x"))).encode()
