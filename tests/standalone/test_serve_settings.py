from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

import pytest

from connectors.process.log_settings import LOG_FORMAT, LOG_LEVEL
from connectors.process.settings import PREFIX, Setting, SettingError, Values, parse_command_line
from proxy.settings import ClientAuth, ProxySettings
from standalone.serve_settings import ADMIN, SETTINGS, parse_client_auth, serve_settings


def values(words: str, environment: Mapping[str, str] | None = None) -> Values:
    return parse_command_line(argparse.ArgumentParser(), SETTINGS, words.split(), environment or {})[1]


def test_defaults_are_the_proxys_own() -> None:
    assert serve_settings(values("")) == ProxySettings()


def test_defaults_of_the_contract() -> None:
    settings = serve_settings(values(""))
    assert (settings.host, settings.port, settings.client_auth) == ("127.0.0.1", 8080, ClientAuth.NONE)
    assert str(values("")[ADMIN]) == "127.0.0.1:8081"
    assert (values("")[LOG_FORMAT], values("")[LOG_LEVEL]) == ("text", "info")


def test_where_it_listens() -> None:
    settings = serve_settings(values("--listen [::1]:0"))
    assert (settings.host, settings.port) == ("::1", 0)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", ClientAuth.NONE),
        ("--client-auth token", ClientAuth.TOKEN),
        ("--listen localhost:1", ClientAuth.NONE),
        ("--listen 0.0.0.0:8080 --client-auth none", ClientAuth.NONE),
        ("--listen 0.0.0.0:8080 --client-auth token", ClientAuth.TOKEN),
    ],
)
def test_client_auth(words: str, expected: ClientAuth) -> None:
    assert serve_settings(values(words)).client_auth is expected


@pytest.mark.parametrize("listen", ["0.0.0.0:8080", "[::]:8080", "192.0.2.1:8080", "proxy.example:8080"])
def test_t28_open_to_everybody_must_be_said_aloud(listen: str) -> None:
    with pytest.raises(SettingError, match=r"--client-auth token, or --client-auth none for everybody"):
        serve_settings(values(f"--listen {listen}"))


def test_kubernetes_is_not_for_standalone() -> None:
    with pytest.raises(ValueError, match=r"^it takes one of none, token$"):
        parse_client_auth("kubernetes")


def test_more_than_one_worker_is_refused() -> None:
    assert serve_settings(values("--workers 1")) == ProxySettings()
    with pytest.raises(SettingError, match="one process"):
        serve_settings(values("--workers 2"))


@pytest.mark.parametrize("setting", SETTINGS, ids=[setting.flag for setting in SETTINGS])
def test_examples_and_defaults_are_accepted(setting: Setting[Any]) -> None:
    setting.parse(setting.example)
    setting.parse(setting.default)
    assert setting.variable == PREFIX + setting.flag[2:].replace("-", "_").upper()
    assert setting.help
