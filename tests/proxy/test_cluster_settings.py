from __future__ import annotations

import argparse
from typing import Any

import pytest

from connectors.kube.settings import ADMIN, KUBECONFIG, NAMESPACE, PROXY_SERVICE
from connectors.process.settings import Setting, SettingError, Values, parse_command_line
from proxy.cluster_settings import SETTINGS, cluster_settings
from proxy.settings import CallerSettings, ClientAuth, Limits, Timeouts


def values(words: str = "") -> Values:
    return parse_command_line(argparse.ArgumentParser(), SETTINGS, words.split(), {})[1]


def test_defaults_of_the_contract() -> None:
    given = values()
    settings = cluster_settings(given)
    assert (settings.host, settings.port) == ("0.0.0.0", 8080)  # noqa: S104 - what a Pod listens on
    assert str(given[ADMIN]) == "0.0.0.0:8081"
    assert settings.client_auth is ClientAuth.KUBERNETES
    assert given[KUBECONFIG] is None
    assert (given[NAMESPACE], given[PROXY_SERVICE]) == ("connectors-system", "connectors-proxy-service")
    assert settings.cluster_domain == "cluster.local"
    assert not settings.localhost_names
    assert (settings.limits, settings.timeouts) == (Limits(), Timeouts())
    assert settings.callers == CallerSettings(10.0, 300.0, require_audience=False, failure_rate=10)


def test_how_callers_are_asked_about() -> None:
    words = "--auth-cache-ttl 3s --auth-stale-if-error 0 --require-audience --auth-failure-rate 0"
    assert cluster_settings(values(words)).callers == CallerSettings(3.0, 0.0, require_audience=True, failure_rate=0)


@pytest.mark.parametrize("mode", list(ClientAuth))
def test_every_client_authentication(mode: ClientAuth) -> None:
    assert cluster_settings(values(f"--client-auth {mode.value}")).client_auth is mode


def test_one_process_only() -> None:
    with pytest.raises(SettingError, match="one process"):
        cluster_settings(values("--workers 2"))


@pytest.mark.parametrize("setting", SETTINGS, ids=[setting.flag for setting in SETTINGS])
def test_examples_and_defaults_are_accepted(setting: Setting[Any]) -> None:
    setting.parse(setting.example)
    setting.parse(setting.default)
