from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from connectors.process.declaration import Parser, setting
from connectors.process.parsers import COUNT, HOST_PORT, SWITCH, HostPort
from connectors.process.settings import foreign_variable, parse_command_line


@dataclass(frozen=True, slots=True)
class Sizes:
    headers: int = setting("--max-headers", "128", COUNT, "fields of a head; 100% of them", "64", "-m")


@dataclass(frozen=True, slots=True)
class Options:
    listen: HostPort = setting("--listen", "127.0.0.1:8080", HOST_PORT, "where to listen", "0.0.0.0:8080")
    sizes: Sizes = field(default_factory=Sizes)
    quiet: bool = setting("--quiet", "false", SWITCH, "say nothing", "true")
    name: str = setting("--name", "", Parser(str, empty="the host's"), "a name", "x")
    many: str = setting("--many", "", Parser(str, repeats=True), "some names", "x,y")


@dataclass(frozen=True, slots=True)
class Electing:
    elect: bool = setting("--elect", "true", SWITCH, "elect one")


def parse(words: list[str], environment: Mapping[str, str]) -> tuple[argparse.Namespace, Options]:
    parser = argparse.ArgumentParser("prog")
    parser.add_argument("path", nargs="*")
    return parse_command_line(parser, Options(), words, environment)


@pytest.mark.parametrize(
    ("words", "environment", "expected"),
    [
        pytest.param([], {}, HostPort("127.0.0.1", 8080), id="default"),
        pytest.param([], {"CONNECTORS_LISTEN": "h:1"}, HostPort("h", 1), id="environment"),
        pytest.param([], {"CONNECTORS_LISTEN": ""}, HostPort("127.0.0.1", 8080), id="empty variable is unset"),
        pytest.param(["--listen", "f:2"], {"CONNECTORS_LISTEN": "h:1"}, HostPort("f", 2), id="flag first"),
        pytest.param(
            ["--listen=f:2"], {"CONNECTORS_LISTEN": "broken"}, HostPort("f", 2), id="flag beats broken variable"
        ),
    ],
)
def test_flag_beats_environment_beats_default(
    words: list[str], environment: dict[str, str], expected: HostPort
) -> None:
    assert parse(words, environment)[1].listen == expected


@pytest.mark.parametrize(
    ("words", "environment", "expected"),
    [
        ([], {}, ""),
        (["--many", "a,b"], {"CONNECTORS_MANY": "z"}, "a,b"),
        (["--many", "a", "--many=b"], {}, "a,b"),
        ([], {"CONNECTORS_MANY": "a,b"}, "a,b"),
    ],
)
def test_what_is_given_twice_is_not_lost(words: list[str], environment: dict[str, str], expected: str) -> None:
    assert parse(words, environment)[1].many == expected


def test_the_process_environment_is_read_where_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNECTORS_MAX_HEADERS", "7")
    assert parse_command_line(argparse.ArgumentParser(), Options(), [])[1].sizes.headers == 7


@pytest.mark.parametrize(
    ("words", "environment", "quiet"),
    [
        ([], {}, False),
        (["--quiet"], {}, True),
        ([], {"CONNECTORS_QUIET": "true"}, True),
        (["--quiet"], {"CONNECTORS_QUIET": "false"}, True),
    ],
)
def test_switch(words: list[str], environment: dict[str, str], quiet: bool) -> None:
    assert parse(words, environment)[1].quiet is quiet


def test_positional_arguments_may_stand_around_options() -> None:
    arguments, options = parse(["a", "-m", "3", "b"], {})
    assert (arguments.path, options.sizes.headers) == (["a", "b"], 3)


@pytest.mark.parametrize(
    ("words", "environment", "message"),
    [
        (["--max-headers", "canary"], {}, "--max-headers: it takes a whole number; for example: --max-headers 64"),
        (
            [],
            {"CONNECTORS_MAX_HEADERS": "canary"},
            "CONNECTORS_MAX_HEADERS: it takes a whole number; for example: CONNECTORS_MAX_HEADERS=64",
        ),
    ],
    ids=["flag", "variable"],
)
def test_t27_a_bad_value_exits_2_with_source_and_example_but_is_not_quoted(
    words: list[str], environment: dict[str, str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        parse(words, environment)
    assert exit_.value.code == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert "canary" not in shown


def test_help_shows_flag_variable_default_and_meaning(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--help"], {})
    shown = " ".join(capsys.readouterr().out.split())
    assert "--listen HOST:PORT where to listen [CONNECTORS_LISTEN; default: 127.0.0.1:8080]" in shown
    assert "fields of a head; 100% of them [CONNECTORS_MAX_HEADERS; default: 128]" in shown
    assert "a name [CONNECTORS_NAME; default: the host's]" in shown


def test_variables_of_other_programs() -> None:
    assert foreign_variable("KUBECONFIG", {"KUBECONFIG": "/a"}) == "/a"
    assert foreign_variable("KUBECONFIG", {}) == ""


@pytest.mark.parametrize(
    ("words", "environment", "value"),
    [
        ([], {}, True),
        (["--no-elect"], {}, False),
        (["--no-elect", "--elect"], {}, True),
        ([], {"CONNECTORS_ELECT": "false"}, False),
        (["--elect"], {"CONNECTORS_ELECT": "false"}, True),
    ],
)
def test_a_switch_that_is_on_can_be_turned_off(words: list[str], environment: dict[str, str], value: bool) -> None:
    assert parse_command_line(argparse.ArgumentParser(), Electing(), words, environment)[1].elect is value
