from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from connectors.process.declaration import Parser, Setting, declared, filled, setting, settings_of
from connectors.process.parsers import COUNT, DURATION, SWITCH

SHARED = Setting("--name", "a", Parser(str), "a name", "b")


@dataclass(frozen=True, slots=True)
class Limits:
    size: int = setting("--max-size", "3", COUNT, "how large")
    fixed: int = 7


@dataclass(frozen=True, slots=True)
class Options:
    wait: float = setting("--wait-time", "1m", DURATION, "how long", "2m", "-w")
    limits: Limits = field(default_factory=Limits)
    name: str = declared(SHARED)
    decided: str = "here"


def test_the_default_is_the_fields() -> None:
    assert Options() == Options(60.0, Limits(3, 7), "a", "here")


def test_settings_in_the_order_of_the_fields() -> None:
    assert [found.flag for found in settings_of(Options())] == ["--wait-time", "--max-size", "--name"]
    assert list(settings_of(Options()))[2] is SHARED


def test_what_was_read_is_filled_in_and_the_rest_stays() -> None:
    made = filled(Options(decided="there", limits=Limits(fixed=8)), lambda item: item.parser.parse(item.example))
    assert made == Options(120.0, Limits(3, 8), "b", "there")


def test_variable() -> None:
    assert Setting("--wait-time", "1m", DURATION, "how long", "2m").variable == "CONNECTORS_WAIT_TIME"


def test_the_default_is_an_example_where_none_is_given() -> None:
    assert [found.example for found in settings_of(Options())] == ["2m", "3", "b"]


@pytest.mark.parametrize(("default", "negated"), [("true", "--no-elect"), ("false", None)])
def test_only_a_switch_that_is_on_can_be_turned_off(default: str, negated: str | None) -> None:
    assert Setting("--elect", default, SWITCH, "elect one", "true").negated == negated


def test_a_default_that_does_not_parse_cannot_be_declared() -> None:
    with pytest.raises(ValueError, match="whole number"):
        setting("--max-size", "many", COUNT, "how large")
