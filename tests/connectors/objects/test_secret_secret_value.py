from __future__ import annotations

import copy
import logging
import pickle
import traceback
from collections.abc import Callable

import msgspec
import pytest

from connectors.objects.secret import SecretValue

CANARY = b"canary-4711"


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        "{}".format,
        "{!r:>40}".format,
        "{:x}".format,
        lambda value: "%s %r" % (value, value),  # noqa: UP031 - the other way of formatting
        lambda value: repr([value, {"a": value}]),
    ],
    ids=["repr", "str", "format", "format-repr", "format-spec", "percent", "inside"],
)
def test_t14_it_cannot_be_shown(show: Callable[[SecretValue], str]) -> None:
    assert "canary" not in show(SecretValue(CANARY))


def test_only_reveal_shows_it() -> None:
    assert SecretValue(CANARY).reveal() == CANARY


@pytest.mark.parametrize("take", [pickle.dumps, copy.copy, copy.deepcopy, msgspec.json.encode])
def test_it_cannot_be_copied_or_written(take: Callable[[SecretValue], object]) -> None:
    with pytest.raises(TypeError) as caught:
        take(SecretValue(CANARY))
    assert "canary" not in str(caught.value)


def test_equality_is_identity() -> None:
    one, other = SecretValue(CANARY), SecretValue(CANARY)
    assert one != other
    assert one == one
    assert len({one, other}) == 2


def test_it_has_no_attributes_to_look_at() -> None:
    with pytest.raises(TypeError):
        vars(SecretValue(CANARY))


def test_t14_logs_and_tracebacks_do_not_show_it(caplog: pytest.LogCaptureFixture) -> None:
    value = SecretValue(CANARY)
    logging.getLogger("test").warning("value %s", value)
    try:
        raise ValueError(value)
    except ValueError as error:
        text = "".join(traceback.TracebackException.from_exception(error, capture_locals=False).format())
    assert "canary" not in caplog.text + text
