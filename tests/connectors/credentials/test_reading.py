from __future__ import annotations

import pytest

from connectors.credentials.credential import CredentialError
from connectors.credentials.reading import as_read, check_filled, check_values, trimmed
from connectors.objects.reasons import ConditionReason
from connectors.objects.secret import BASIC_AUTH, OPAQUE, TLS
from tests.builders import secret, secret_of

PEM = b"-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (b"abc", b"abc"),
        (b"abc\n", b"abc"),
        (b"abc\r\n", b"abc"),
        (b"abc\n\n", b"abc\n"),
        (b"abc\r", b"abc\r"),
        (b" abc \n", b" abc "),
        (b"\n", b""),
        (b"", b""),
        (b"\nabc", b"\nabc"),
    ],
)
def test_t40_one_line_end_at_the_end_is_no_part_of_a_value(value: bytes, read: bytes) -> None:
    assert as_read(secret(token=value))[0].data["token"].reveal() == read


def test_a_secret_without_line_ends_stays_the_same_one() -> None:
    given = secret(token=b"abc")
    assert as_read(given) == (given, ())


@pytest.mark.parametrize(
    ("kind", "data", "keys"),
    [
        (OPAQUE, {"a": b"x\n", "b": b"y", "c": b"z\r\n"}, ("a", "c")),
        (OPAQUE, {"pem": PEM}, ()),
        (TLS, {"tls.crt": b"x\n"}, ()),
        (BASIC_AUTH, {"password": b"x\n"}, ("password",)),
    ],
    ids=["two of three", "several lines", "PEM by its type", "one half"],
)
def test_a_person_is_told_of_what_was_left_out(kind: str, data: dict[str, bytes], keys: tuple[str, ...]) -> None:
    read, told = as_read(secret_of(data, kind))
    assert told == keys
    assert all(key in trimmed(read, told) for key in keys)
    assert bool(trimmed(read, told)) is bool(keys)


@pytest.mark.parametrize(("given", "lacking"), [("username", "password"), ("password", "username")])
def test_either_half_of_a_login_may_be_left_out(given: str, lacking: str) -> None:
    read, _ = as_read(secret_of({given: b"x"}, BASIC_AUTH))
    assert (read.data[given].reveal(), read.data[lacking].reveal()) == (b"x", b"")
    assert not as_read(secret(kind=BASIC_AUTH, other=b"x"))[0].data.keys() & {"username", "password"}
    assert lacking not in as_read(secret_of({given: b"x"}))[0].data


@pytest.mark.parametrize("value", [b"can\nary", b"canary\r", b"\tcanary", b"can\x00ary", b"canary\x7f"])
def test_t40_control_characters_are_named_by_key_and_not_shown(value: bytes) -> None:
    check_values(secret(a=value, b=b"x"), frozenset(("b", "absent")))
    with pytest.raises(CredentialError, match="key a of Secret login holds a") as caught:
        check_values(secret(a=value, b=b"x"), frozenset(("a", "b")))
    assert caught.value.reason is ConditionReason.SECRET_KEY_INVALID
    assert "canary" not in caught.value.message


@pytest.mark.parametrize("value", [b"", b" ", b"\t ", b"\r"])
def test_t40_an_empty_value_is_none(value: bytes) -> None:
    with pytest.raises(CredentialError, match="key a of Secret login is empty"):
        check_filled(secret(a=value), "a")
    check_filled(secret(a=b"x"), "a")
