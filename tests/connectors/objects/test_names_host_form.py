from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.objects.connector import ConnectorKey
from connectors.objects.names import HostForm, proxy_host

CLUSTER = HostForm("Corp.Local.")
LOCAL = HostForm(localhost=True)
KEY = ConnectorKey("team", "tool")


@pytest.mark.parametrize(
    "host",
    [
        b"c-tool.team",
        b"c-tool.team.",
        b"c-tool.team.svc",
        b"c-tool.team.svc.corp.local",
        b"C-Tool.TEAM.svc.Corp.local.:8080",
        b"c-tool.team:80",
        b"c-tool.team:",
    ],
)
def test_host_form(host: bytes) -> None:
    assert CLUSTER.key(host) == KEY


@pytest.mark.parametrize(
    "host",
    [
        b"",
        b"tool.team",
        b"c-tool",
        b"c-.team",
        b"c-tool.",
        b"c-tool..team",
        b"xc-tool.team",
        b"c-tool.team.localhost",
        b"c-tool.team.svc.other.local",
        b"c-tool.team.svc.corpxlocal",
        b"c-tool.team.corp.local",
        b"c-tool.team.evil.com",
        b"c-tool-.team",
        b"c--tool.team",
        b"c-tool.-team",
        b"c-tool.team..",
        b"c-tool.team:80:80",
        b"c-tool.team:8x",
        b"user@c-tool.team",
        b"c-tool.team ",
        b"c-to_ol.team",
        b"c-t\xf6ol.team",
        b"c-tool.team\n",
    ],
)
def test_not_host_form(host: bytes) -> None:
    assert CLUSTER.key(host) is None


def test_localhost_counts_where_asked_for() -> None:
    assert LOCAL.key(b"c-tool.team.localhost:8080") == KEY
    assert LOCAL.key(b"c-tool.team.svc.cluster.local") == KEY


LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)


@given(LABEL, LABEL, st.sampled_from(["svc.corp.local", "svc"]), st.integers(0, 65535))
def test_the_address_in_the_status_leads_back_to_the_connector(
    name: str, namespace: str, domain: str, port: int
) -> None:
    key = ConnectorKey(namespace, name)
    host = f"{proxy_host(key, domain)}:{port}".encode()
    assert CLUSTER.key(host) == CLUSTER.key(host.upper()) == key


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_not(host: bytes) -> None:
    key = LOCAL.key(host)
    assert key is None or host.lower().startswith(f"c-{key.name}.{key.namespace}".encode())
