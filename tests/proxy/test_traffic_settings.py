from __future__ import annotations

import argparse
from typing import Any

import pytest

from connectors.dial.dial_settings import DialSettings
from connectors.kube.settings import CLUSTER_DOMAIN
from connectors.process.log_settings import LOG_FORMAT
from connectors.process.parsers import HostPort
from connectors.process.settings import Setting, SettingError, parse_command_line
from connectors.tls.pool import TlsVersion
from proxy.settings import AccessLogFormat, ClientAuth, Limits, ListenerTls, ProxySettings, Timeouts
from proxy.traffic_settings import TRAFFIC_SETTINGS, proxy_settings


def made(words: str = "") -> ProxySettings:
    settings = [*TRAFFIC_SETTINGS, CLUSTER_DOMAIN, LOG_FORMAT]
    values = parse_command_line(argparse.ArgumentParser(), settings, words.split(), {})[1]
    return proxy_settings(values, HostPort("h", 1), ClientAuth.TOKEN, localhost_names=False)


def test_defaults_are_those_of_the_values() -> None:
    dialing = DialSettings()
    expected = ProxySettings(host="h", port=1, client_auth=ClientAuth.TOKEN, localhost_names=False, dialing=dialing)
    assert made() == expected


def test_every_one_arrives_where_it_belongs() -> None:
    given = made(
        "--max-head 1KiB --max-target 2KiB --max-headers 3 --max-connections 4 --head-timeout 1s --connect-timeout 2s"
        " --first-byte-timeout 3s --idle-timeout 4s --keep-alive-timeout 5s --upstream-idle-timeout 6s"
        " --drain-timeout 500ms --cluster-domain corp --audit-log /a/b"
    )
    assert given.limits == Limits(1024, 2048, 3, 4)
    assert given.timeouts == Timeouts(1, 2, 3, 4, 5, 6, 0.5)
    assert (given.cluster_domain, given.audit_log) == ("corp", "/a/b")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", AccessLogFormat.TEXT),
        ("--log-format json", AccessLogFormat.JSON),
        ("--log-format json --access-log off", AccessLogFormat.OFF),
    ],
)
def test_access_log(words: str, expected: AccessLogFormat) -> None:
    assert made(words).access_log is expected


@pytest.mark.parametrize(
    ("words", "expected", "scheme"),
    [
        ("", None, "http"),
        ("--tls-min 1.3", None, "http"),
        ("--tls-cert /c --tls-key /k", ListenerTls("/c", "/k"), "https"),
        ("--tls-cert /c --tls-key /k --tls-min 1.3", ListenerTls("/c", "/k", TlsVersion.TLS_1_3), "https"),
    ],
)
def test_tls(words: str, expected: ListenerTls | None, scheme: str) -> None:
    settings = made(words)
    assert (settings.tls, settings.scheme) == (expected, scheme)


@pytest.mark.parametrize(("given", "lacks"), [("--tls-cert", "--tls-key"), ("--tls-key", "--tls-cert")])
def test_a_certificate_and_its_key_belong_together(given: str, lacks: str) -> None:
    with pytest.raises(SettingError, match=f"^{lacks} is missing: "):
        made(f"{given} /canary")


def test_one_process_only() -> None:
    assert made("--workers 1") == made()
    with pytest.raises(SettingError, match="one process"):
        made("--workers 2")


@pytest.mark.parametrize("setting", TRAFFIC_SETTINGS, ids=[setting.flag for setting in TRAFFIC_SETTINGS])
def test_examples_and_defaults_are_accepted(setting: Setting[Any]) -> None:
    setting.parse(setting.example)
    setting.parse(setting.default)
