from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from connectors.dial.dial_settings import DialSettings
from connectors.dial.egress_settings import EgressSettings, parse_upstream_proxies
from connectors.dial.guard import DialGuard, parse_networks
from connectors.kube.access import Access, InCluster
from connectors.objects.addresses import Origin
from connectors.process.logs import LogFormat, Logging, LogLevel
from connectors.process.parsers import HostPort
from connectors.tls.pool import TlsVersion
from proxy.settings import (
    AccessLogFormat,
    CallerSettings,
    ClientAuth,
    Installation,
    Limits,
    ListenerTls,
    ProxySettings,
    Timeouts,
)
from proxy.worker_messages import WorkerSettings, WorkerSettingsError, decode_settings, encode_settings, number_of

PUBLISHED = frozenset({Origin("https", "8.8.8.8", 443)})
OTHER = ProxySettings(
    host="::1",
    port=1,
    client_auth=ClientAuth.KUBERNETES,
    callers=CallerSettings(
        require_audience=True, cache_ttl=1.5, stale_if_error=0.0, failure_rate=3.0, questions_at_once=2
    ),
    limits=Limits(1, 2, 3, 4, 5, 6),
    timeouts=Timeouts(1, 2, 3, 4, 5, 6, 7),
    cluster_domain="example.org",
    localhost_names=False,
    dialing=DialSettings(
        DialGuard(parse_networks("10.0.0.0/8,2001:db8::/32"), parse_networks("10.1.0.0/16"), loopback=False),
        0.0,
        3,
        TlsVersion.TLS_1_3,
        EgressSettings(
            parse_upstream_proxies("http://proxy.example:3128,lab=http://[2001:db8::1]"),
            (("default", "/login"),),
            ".svc,10.0.0.0/8",
            (("lab", "login"),),
        ),
    ),
    access_log=AccessLogFormat.JSON,
    audit_log="/var/log/audit.log",
    tls=ListenerTls("/tls.crt", "/tls.key", TlsVersion.TLS_1_3),
    workers=4,
    installation=Installation("one", frozenset({"proxy.system"}), (HostPort("::", 8081),), PUBLISHED),
    allow_hosts=frozenset({"tools.example"}),
)


def made(proxy: ProxySettings, access: Access | None = None) -> WorkerSettings:
    return WorkerSettings(
        number=3,
        listeners=(7, 9),
        counts=8,
        logging=Logging(LogFormat.JSON, LogLevel.DEBUG),
        proxy=proxy,
        access=access,
    )


def test_the_example_differs_from_the_defaults_in_each_field() -> None:
    same = [
        field.name
        for field in dataclasses.fields(ProxySettings)
        if getattr(OTHER, field.name) == getattr(ProxySettings(), field.name)
    ]
    assert not same, f"give these another value above, so that a worker is known to learn of them: {same}"


@pytest.mark.parametrize(
    "access",
    [None, Access(Path("a"), (Path("/b"), Path("c"))), Access(in_cluster=InCluster(Path("t"), Path("c"), "h"))],
)
@pytest.mark.parametrize("proxy", [ProxySettings(), OTHER])
def test_a_worker_learns_every_setting(proxy: ProxySettings, access: Access | None) -> None:
    assert decode_settings(encode_settings(made(proxy, access))) == made(proxy, access)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{}",
        b"\xff",
        encode_settings(made(OTHER))[:-1],
        encode_settings(made(OTHER)).replace(b'"workers"', b'"nobody"'),
        encode_settings(made(OTHER)).replace(b"10.0.0.0/8", b"10.0.0.1/8"),
    ],
)
def test_what_are_no_settings(payload: bytes) -> None:
    with pytest.raises(WorkerSettingsError, match=r"^what came first are not settings of this version$"):
        decode_settings(payload)


def test_numbers() -> None:
    assert number_of(b"17") == 17
    with pytest.raises(ValueError, match="invalid literal"):
        number_of(b"x")
