from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from connectors.process.parsers import HostPort
from connectors.process.settings import Setting
from controller.settings import SETTINGS, parse_hosts, parse_listen


def test_the_webhook_can_be_off() -> None:
    assert parse_listen("off") is None
    assert parse_listen("127.0.0.1:9443") == HostPort("127.0.0.1", 9443)


@pytest.mark.parametrize("text", ["", "on", "9443", "OFF"])
def test_where_nobody_can_listen(text: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        parse_listen(text)


def test_names() -> None:
    assert parse_hosts("") == frozenset()
    assert parse_hosts("webhook.example,192.0.2.1,::1") == {"webhook.example", "192.0.2.1", "::1"}


@pytest.mark.parametrize(
    ("text", "address"), [("2001:db8:0:0:0:0:0:1", "2001:db8::1"), ("::ffff:192.0.2.1", "::ffff:192.0.2.1")]
)
def test_addresses_are_written_as_certificates_say_them(text: str, address: str) -> None:
    assert parse_hosts(f"a.example,{text}") == {"a.example", str(ip_address(address))}


@pytest.mark.parametrize("text", ["a,", "a b", "Ä", "a/b", "*"])
def test_what_is_no_name(text: str) -> None:
    with pytest.raises(ValueError, match="separated by commas"):
        parse_hosts(text)


@pytest.mark.parametrize("setting", SETTINGS, ids=[setting.flag for setting in SETTINGS])
def test_examples_and_defaults_are_accepted(setting: Setting[Any]) -> None:
    setting.parse(setting.example)
    setting.parse(setting.default)
