from __future__ import annotations

import argparse
from collections.abc import Mapping

import pytest

from connectors.process.declaration import SettingError
from connectors.process.parsers import HostPort
from connectors.process.settings import parse_command_line
from proxy.settings import ClientAuth, Installation, ProxySettings
from standalone.serve_settings import ServeOptions, parse_client_auth


def parsed(words: str, environment: Mapping[str, str] | None = None) -> ServeOptions:
    return parse_command_line(argparse.ArgumentParser(), ServeOptions(), words.split(), environment or {})[1]


INSTALLED = Installation(listens=(HostPort("127.0.0.1", 8081),))


def test_defaults_are_the_proxys_own() -> None:
    assert parsed("").proxy_settings() == ProxySettings(installation=INSTALLED)


def test_t35_the_admin_port_is_known_to_the_proxy() -> None:
    given = parsed("--admin [::1]:9").proxy_settings().installation
    assert given.listens == (HostPort("::1", 9),)


def test_defaults_of_the_contract() -> None:
    settings = parsed("").proxy_settings()
    assert (settings.host, settings.port, settings.client_auth) == ("127.0.0.1", 8080, ClientAuth.NONE)
    assert str(parsed("").admin) == "127.0.0.1:8081"
    assert (parsed("").logging.format, parsed("").logging.level) == ("text", "info")


def test_where_it_listens() -> None:
    settings = parsed("--listen [::1]:0").proxy_settings()
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
    assert parsed(words).proxy_settings().client_auth is expected


@pytest.mark.parametrize("listen", ["0.0.0.0:8080", "[::]:8080", "192.0.2.1:8080", "proxy.example:8080"])
def test_t28_open_to_everybody_must_be_said_aloud(listen: str) -> None:
    with pytest.raises(SettingError, match=r"--client-auth token, or --client-auth none for everybody"):
        parsed(f"--listen {listen}").proxy_settings()


def test_kubernetes_is_not_for_standalone() -> None:
    with pytest.raises(ValueError, match=r"^it takes one of none, token$"):
        parse_client_auth("kubernetes")


def test_workers() -> None:
    assert parsed("--workers 1").proxy_settings() == ProxySettings(installation=INSTALLED)
    assert parsed("--workers 2").proxy_settings() == ProxySettings(workers=2, installation=INSTALLED)


def test_upstream_proxies() -> None:
    words = "--upstream-proxy http://p.example --upstream-proxy-credentials /login"
    egress = parsed(words).proxy_settings().dialing.egress
    assert (dict(egress.proxies)["default"].host, egress.files, egress.secrets) == (
        "p.example",
        (("default", "/login"),),
        (),
    )
    with pytest.raises(SettingError, match="there is no proxy lab"):
        parsed(words + ",lab=/x").proxy_settings()
