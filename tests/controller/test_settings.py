from __future__ import annotations

import argparse
from ipaddress import ip_address
from pathlib import Path

import pytest

from connectors.dial.dial_settings import DialSettings
from connectors.dial.egress_settings import EgressSettings, parse_upstream_proxies
from connectors.process.declaration import SettingError
from connectors.process.parsers import HostPort
from connectors.process.settings import parse_command_line
from controller.admission.admission import AdmissionSettings
from controller.controller import ControllerSettings
from controller.destination import Platform
from controller.probes.schedule import ProbeSettings
from controller.settings import ControllerOptions, parse_hosts, parse_listen

EGRESS = EgressSettings(
    parse_upstream_proxies("http://p.example,lab=http://l.example"),
    (("lab", "/login"),),
    ".svc",
    (("default", "login"),),
)


def parsed(words: str = "") -> ControllerOptions:
    return parse_command_line(argparse.ArgumentParser(), ControllerOptions(), words.split(), {})[1]


def test_defaults_of_the_contract() -> None:
    given = parsed()
    assert given.leader_elect
    assert given.controller_settings() == ControllerSettings()
    assert given.admission_settings() == AdmissionSettings(HostPort("::", 9443))


def test_every_one_arrives_where_it_belongs() -> None:
    given = parsed(
        "--no-leader-elect --probe-interval 2s --dns-cache 3s --namespace system --cluster-domain corp"
        " --proxy-service door --webhook-listen h:1 --webhook-cert-dir /a/b --webhook-name a.example"
        " --webhook-client-ca /c/ca.crt"
    )
    dialing, platform = DialSettings(dns_cache=3), Platform("system", "corp", "door")
    assert not given.leader_elect
    assert given.controller_settings() == ControllerSettings(
        platform, probes=ProbeSettings(interval=2), dialing=dialing
    )
    assert given.admission_settings() == AdmissionSettings(
        HostPort("h", 1), Path("/a/b"), "system", "corp", frozenset({"a.example"}), client_ca=Path("/c/ca.crt")
    )


def test_upstream_proxies_are_those_of_the_traffic() -> None:
    words = "--upstream-proxy http://p.example --upstream-proxy lab=http://l.example --no-proxy .svc"
    words += " --upstream-proxy-credentials lab=/login --upstream-proxy-secret login"
    assert parsed(words).controller_settings().dialing.egress == EGRESS
    with pytest.raises(SettingError, match="there is no proxy default"):
        parsed("--upstream-proxy-secret login").controller_settings()


def test_no_webhook() -> None:
    assert parsed("--webhook-listen off").admission_settings() is None


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
