from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.process.parsers import (
    MAX_SECONDS,
    HostPort,
    Named,
    choice,
    optional,
    parse_count,
    parse_count_or_zero,
    parse_duration,
    parse_duration_or_zero,
    parse_host_port,
    parse_hosts,
    parse_named,
    parse_on_off,
    parse_size,
    parse_switch,
)


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@pytest.mark.parametrize(
    ("text", "expected", "loopback"),
    [
        ("127.0.0.1:8080", HostPort("127.0.0.1", 8080), True),
        ("127.9.9.9:1", HostPort("127.9.9.9", 1), True),
        ("[::1]:0", HostPort("::1", 0), True),
        ("localhost:80", HostPort("localhost", 80), True),
        ("LOCALHOST:80", HostPort("LOCALHOST", 80), True),
        ("0.0.0.0:65535", HostPort("0.0.0.0", 65535), False),  # noqa: S104 - only parsed
        ("[::]:8080", HostPort("::", 8080), False),
        ("[::ffff:127.0.0.1]:8080", HostPort("::ffff:127.0.0.1", 8080), True),
        ("[::ffff:192.0.2.1]:8080", HostPort("::ffff:192.0.2.1", 8080), False),
        ("example.org:8080", HostPort("example.org", 8080), False),
    ],
)
def test_host_port(text: str, expected: HostPort, loopback: bool) -> None:
    parsed = parse_host_port(text)
    assert (parsed, parsed.loopback) == (expected, loopback)
    assert str(parsed) == text


def test_a_star_is_every_address_of_both_families() -> None:
    assert parse_host_port("*:8080") == parse_host_port("[::]:8080")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8080",
        ":8080",
        "host",
        "host:",
        "host:-1",
        "host:65536",
        "::1:80",
        "[::1]",
        "[host]:80",
        "a b:80",
        "u@h:80",
        "h:٣",
    ],
)
def test_host_port_refuses(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_host_port(text)


def test_host_port_tells_that_ipv6_takes_brackets() -> None:
    with pytest.raises(ValueError, match="brackets"):
        parse_host_port("fe80::1:8080")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("500ms", 0.5),
        ("5m", 300),
        ("1m30s", 90),
        ("2h", 7200),
        ("1.5", 1.5),
        ("75", 75),
        ("0.5s", 0.5),
        ("720h", MAX_SECONDS),
    ],
)
def test_duration(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "s", "-1s", "0", "0s", "1d", "1 s", "inf", "nan", "1e3", "721h", "9" * 400, "٣s"])
def test_duration_refuses(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [("1", 1), ("10B", 10), ("64KiB", 65536), ("8MiB", 8 << 20), ("256Mi", 256 << 20), ("1GiB", 1 << 30)],
)
def test_size(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "-1", "1KB", "1M", "1.5KiB", "KiB", "9" * 16])
def test_size_refuses(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_size(text)


def test_count() -> None:
    assert parse_count("128") == 128


@pytest.mark.parametrize("text", ["", "0", "-1", "1.0", "x", "9" * 10])
def test_count_refuses(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_count(text)


def test_switch() -> None:
    assert (parse_switch("true"), parse_switch("false")) == (True, False)
    with pytest.raises(ValueError, match="true or false"):
        parse_switch("yes")


def test_on_off() -> None:
    assert (parse_on_off("on"), parse_on_off("off")) == (True, False)
    with pytest.raises(ValueError, match="one of on, off"):
        parse_on_off("true")


def test_choice_lists_what_it_takes() -> None:
    assert choice(Colour)("blue") is Colour.BLUE
    with pytest.raises(ValueError, match="one of red, blue"):
        choice(Colour)("green")


def test_optional_takes_the_empty_text() -> None:
    assert optional(parse_count)("") is None
    assert optional(parse_count)("3") == 3


@pytest.mark.parametrize("parse", [parse_host_port, parse_duration, parse_size, parse_count, parse_switch])
@given(text=st.text())
def test_any_text_is_parsed_or_refused(parse: Callable[[str], object], text: str) -> None:
    with suppress(ValueError):
        parse(text)


@pytest.mark.parametrize(("text", "seconds"), [("0", 0.0), ("0s", 0.0), ("0h", 0.0), ("5m", 300.0), ("500ms", 0.5)])
def test_a_duration_that_can_be_switched_off(text: str, seconds: float) -> None:
    assert parse_duration_or_zero(text) == seconds


@pytest.mark.parametrize(("text", "count"), [("0", 0), ("10", 10)])
def test_a_count_that_can_be_switched_off(text: str, count: int) -> None:
    assert parse_count_or_zero(text) == count


@pytest.mark.parametrize("text", ["", "-1", "0.0", "00", "0x", "off", "1d"])
def test_nothing_else_switches_off(text: str) -> None:
    for parse in (parse_duration_or_zero, parse_count_or_zero):
        with pytest.raises(ValueError, match=r"\w+"):
            parse(text)


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("", set()),
        ("tools.example", {"tools.example"}),
        ("Tools.Example., b", {"tools.example", "b"}),
        ("192.0.2.1,[2001:DB8::1],::1", {"192.0.2.1", "2001:db8::1", "::1"}),
        ("a_b", {"a_b"}),
    ],
)
def test_hosts(text: str, hosts: set[str]) -> None:
    assert parse_hosts(text) == hosts


@pytest.mark.parametrize(
    "text", [",", "a,", "a:80", "http://a", "a/b", "*", "*.example", "a b", "[a]", "[::1]:80", "-a"]
)
def test_hosts_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="without a port"):
        parse_hosts(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("a", (("default", "a"),)),
        ("lab=a, b", (("lab", "a"), ("default", "b"))),
        ("/a=b", (("default", "/a=b"),)),
        ("lab=/a=b", (("lab", "/a=b"),)),
        ("http://a/=b", (("default", "http://a/=b"),)),
    ],
)
def test_values_with_names(text: str, expected: Named) -> None:
    assert parse_named(text) == expected


@pytest.mark.parametrize("text", [",", "a,", "lab=", "=a", "A=b", "a=1,a=2", "a,default=b", "a_b=c", "-=c"])
def test_what_are_no_values_with_names(text: str) -> None:
    with pytest.raises(ValueError, match=r"name|empty"):
        parse_named(text)
