from __future__ import annotations

import argparse
from dataclasses import replace

import pytest
import yaml

from connectors.dial.dial_settings import DialSettings
from connectors.dial.egress_settings import EgressSettings, parse_upstream_proxies
from connectors.kube.settings import OTHER_SERVICES, USUAL_PORTS, ClusterNames
from connectors.objects.ceilings import Ceilings
from connectors.process.declaration import SettingError
from connectors.process.parsers import HostPort
from connectors.process.settings import parse_command_line
from connectors.tls.pool import TlsVersion
from proxy.callers.limiter import QUESTIONS_AT_ONCE
from proxy.settings import (
    AccessLogFormat,
    CallerSettings,
    ClientAuth,
    Installation,
    Limits,
    ListenerTls,
    ProxyOptions,
    ProxySettings,
    Timeouts,
    parse_memory,
    parse_workers,
    share_of,
)
from tests.deploy.rendered import DEPLOY

EGRESS = EgressSettings(
    parse_upstream_proxies("http://p.example,lab=http://l.example"),
    (("lab", "/login"),),
    ".svc",
    (("default", "login"),),
)


def parsed(words: str = "") -> ProxyOptions:
    return parse_command_line(argparse.ArgumentParser(), ProxyOptions(), words.split(), {})[1]


def made(words: str = "") -> ProxySettings:
    return parsed(words).proxy_settings()


def test_the_scheme_by_which_clients_reach_it() -> None:
    assert ProxySettings().scheme == "http"
    assert ProxySettings(tls=ListenerTls("/c", "/k")).scheme == "https"


def test_defaults_of_the_contract() -> None:
    given = parsed()
    settings = given.proxy_settings()
    assert (settings.host, settings.port) == ("::", 8080)
    assert str(given.cluster.admin) == "[::]:8081"
    assert settings.client_auth is ClientAuth.KUBERNETES
    assert not given.cluster.kubeconfig
    names = given.cluster.names
    assert (names.namespace, names.proxy_service) == ("connectors-system", "connectors-proxy-service")
    assert settings.cluster_domain == "cluster.local"
    assert not settings.localhost_names
    assert settings.limits == Limits(64 * 1024, 16 * 1024, 128, 4096)
    assert settings.timeouts == Timeouts(30.0, 10.0, 300.0, 300.0, 75.0, 60.0, 30.0)
    assert settings.callers == CallerSettings(
        cache_ttl=10.0, stale_if_error=300.0, require_audience=False, failure_rate=10
    )


def test_defaults_are_those_of_the_values() -> None:
    assert made("--listen h:1 --client-auth token") == ProxySettings(
        host="h",
        port=1,
        client_auth=ClientAuth.TOKEN,
        localhost_names=False,
        dialing=DialSettings(),
        installation=Installation(services=ClusterNames().own_services, listens=(HostPort("::", 8081),)),
    )


def test_t35_the_services_of_the_installation_are_known_by_every_name() -> None:
    given = made("--namespace sys --proxy-service gate --cluster-domain corp").installation.services
    for name in ("gate", "gate.sys", "gate.sys.svc", "gate.sys.svc.corp", "connectors-webhook-service.sys.svc"):
        assert name in given
    assert "gate.other" not in given


def test_t35_every_service_that_is_deployed_is_known() -> None:
    deployed = {
        item["metadata"]["name"]
        for file in DEPLOY.rglob("*.yaml")
        for item in yaml.safe_load_all(file.read_text(encoding="utf-8"))
        if item and item.get("kind") == "Service"
    }
    assert deployed == {ClusterNames().proxy_service, *OTHER_SERVICES}


def test_t35_every_port_that_is_deployed_is_known() -> None:
    ports = {
        port["containerPort"]
        for name in ("proxy.yaml", "controller.yaml")
        for item in yaml.safe_load_all((DEPLOY / name).read_text(encoding="utf-8"))
        if item["kind"] == "Deployment"
        for container in item["spec"]["template"]["spec"]["containers"]
        for port in container["ports"]
    }
    assert ports == USUAL_PORTS


def test_every_one_arrives_where_it_belongs() -> None:
    given = made(
        "--max-head 1KiB --max-target 2KiB --max-headers 3 --max-connections 4 --head-timeout 1s --connect-timeout 2s"
        " --first-byte-timeout 3s --idle-timeout 4s --keep-alive-timeout 5s --upstream-idle-timeout 6s"
        " --drain-timeout 500ms --cluster-domain corp --audit-log /a/b --dns-cache 7s --max-memory 256Mi"
    )
    assert given.limits == Limits(1024, 2048, 3, 4, memory=256 << 20)
    assert given.timeouts == Timeouts(1, 2, 3, 4, 5, 6, 0.5)
    assert (given.cluster_domain, given.audit_log, given.dialing.dns_cache) == ("corp", "/a/b", 7)


def test_upstream_proxies() -> None:
    words = "--upstream-proxy http://p.example --upstream-proxy lab=http://l.example --no-proxy .svc"
    words += " --upstream-proxy-credentials lab=/login --upstream-proxy-secret login"
    assert made(words).dialing.egress == EGRESS
    with pytest.raises(SettingError, match="there is no proxy default"):
        made("--upstream-proxy-secret login")


def test_how_callers_are_asked_about() -> None:
    words = "--auth-cache-ttl 3s --auth-stale-if-error 0 --require-audience --auth-failure-rate 0"
    assert made(words).callers == CallerSettings(
        cache_ttl=3.0, stale_if_error=0.0, require_audience=True, failure_rate=0
    )


@pytest.mark.parametrize("mode", list(ClientAuth))
def test_every_client_authentication(mode: ClientAuth) -> None:
    assert made(f"--client-auth {mode.value}").client_auth is mode


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


def test_workers() -> None:
    assert made("--workers 1") == made()
    assert made("--workers 64").workers == 64
    with pytest.raises(ValueError, match=r"^it must be at most 64$"):
        parse_workers("65")


def test_workers_divide_what_protects_others_and_nothing_else() -> None:
    limits = Limits(connections=100, memory=100)
    whole = ProxySettings(workers=3, limits=limits, callers=CallerSettings(failure_rate=10.0))
    share = share_of(whole)
    assert (share.limits.connections, share.limits.memory) == (34, 34)
    assert (share.callers.failure_rate, share.callers.questions_at_once) == (4.0, 6)
    assert replace(share, limits=whole.limits, callers=whole.callers) == whole
    assert replace(share.limits, connections=100, memory=100) == whole.limits
    assert replace(share.callers, failure_rate=10.0, questions_at_once=16) == whole.callers
    assert share_of(replace(whole, callers=CallerSettings(failure_rate=0.0))).callers.failure_rate == 0, "no limit"
    assert share_of(ProxySettings()) == ProxySettings()
    assert CallerSettings().questions_at_once == QUESTIONS_AT_ONCE


def test_t33_workers_divide_what_one_connector_may_use() -> None:
    limits = Limits(requests_per_connector=10, upstream_connections_per_connector=7, requests_per_second_per_caller=2)
    assert share_of(ProxySettings(workers=3, limits=limits)).limits.ceilings == Ceilings(4, 3, 1)
    assert share_of(ProxySettings(workers=3)).limits.ceilings == Ceilings(683, 683, 0)


def test_by_default_no_caller_is_too_fast() -> None:
    assert made().limits.ceilings == Ceilings(2048, 2048, 0)


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("c-tool.team.localhost", True),
        ("c-tool.team.svc", True),
        ("c-tool.team.svc.corp.example", True),
        ("tools.example", True),
        ("c-tool.team", False),
        ("c-tool.team.svc.cluster.local", False),
        ("evil.example", False),
    ],
)
def test_t38_hosts_of_a_loopback_listener(host: str, *, own: bool) -> None:
    settings = ProxySettings(cluster_domain="corp.example", allow_hosts=frozenset({"tools.example"}))
    assert settings.isolation is not None
    assert settings.isolation.own_host is not None
    assert settings.isolation.own_host(host) is own


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "proxy.example"])  # noqa: S104
def test_where_other_machines_reach_it_every_host_counts(host: str) -> None:
    isolation = ProxySettings(host=host).isolation
    assert isolation is not None
    assert isolation.own_host is None


@pytest.mark.parametrize("mode", [ClientAuth.TOKEN, ClientAuth.KUBERNETES])
def test_tokens_keep_pages_out_by_themselves(mode: ClientAuth) -> None:
    assert ProxySettings(client_auth=mode).isolation is None


def test_t38_further_hosts() -> None:
    assert made("--allow-host a.example,B.example").allow_hosts == {"a.example", "b.example"}
    assert made().allow_hosts == frozenset()


@pytest.mark.parametrize(("text", "size"), [("auto", None), ("0", 0), ("256Mi", 256 << 20), ("1GiB", 1 << 30)])
def test_memory_for_connections(text: str, size: int | None) -> None:
    assert made(f"--max-memory {text}").limits.memory == size
    assert made().limits.memory is None


def test_t32_memory_that_is_no_size() -> None:
    with pytest.raises(ValueError, match=r"or it is auto, or 0 for no limit$"):
        parse_memory("much")
