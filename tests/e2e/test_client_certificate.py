"""Mutual TLS toward a tool: the client certificate of a kubernetes.io/tls Secret, for traffic and probes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme

from tests.e2e.probed import AUTH, LIVENESS, TOOL, Conditions, conditions_once
from tests.peers.fixtures import StartNginx, StartProxy
from tests.peers.manifests import Manifest, auth, connector, connector_class, secret, write
from tests.peers.nginx import Nginx
from tests.peers.proxy_process import ProxyProcess
from tests.peers.trust import pem

pytestmark = [pytest.mark.e2e, pytest.mark.nginx]

SERVER, USERS = trustme.CA(), trustme.CA()
TYPES = [{"name": "certificate", "secretType": "kubernetes.io/tls", "optional": True}]
PROBE = {"http": {"path": "/"}}
MUTUAL = connector_class("mutual", TYPES, livenessProbe=PROBE, authProbes=[{"authName": "certificate", "probe": PROBE}])


def certificate(leaf: trustme.LeafCert) -> Manifest:
    chain = "".join(blob.bytes().decode() for blob in leaf.cert_chain_pems)
    data = {"tls.crt": chain, "tls.key": leaf.private_key_pem.bytes().decode()}
    return secret("pair", data, "kubernetes.io/tls")


def scene(address: str, *more: Manifest, **spec: Any) -> list[Manifest]:
    """Connector `tool`, and a CA for its server."""
    metadata = {"name": "connectors-config", "namespace": "connectors-system"}
    flags = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"enable-custom-ca-certs": "true"}}
    fields = {"auth": auth("certificate", "pair"), "caCertSecretRef": {"name": "ca"}, **spec}
    return [MUTUAL, flags, secret("ca", {"ca.crt": pem(SERVER)}), connector("tool", address, "mutual", **fields), *more]


@pytest.fixture
async def tool(start_nginx: StartNginx, tmp_path: Path) -> Nginx:
    """Lets nobody in who shows no certificate of USERS, and says whose it saw."""
    USERS.cert_pem.write_to_path(str(tmp_path / "users.pem"))
    directives = f"""
        ssl_client_certificate {tmp_path}/users.pem;
        ssl_verify_client on;
        ssl_verify_depth 2;
        location / {{ return 200 "$ssl_client_serial"; }}
    """
    return await start_nginx(directives, tls=SERVER.issue_cert("localhost"))


async def get(proxy: ProxyProcess) -> tuple[int, str, str]:
    async with aiohttp.ClientSession() as session, session.get(proxy.path_form("tool")) as answer:
        return answer.status, answer.headers.get("X-Connectors-Reason", ""), await answer.text()


async def until(proxy: ProxyProcess, kind: str, status: str, reason: str = "") -> Mapping[str, Any]:
    def true(now: Conditions) -> bool:
        return (now[kind]["status"], now[kind].get("reason", "")) == (status, reason)

    return (await conditions_once(proxy, TOOL, true))[kind]


def serial(leaf: trustme.LeafCert) -> str:
    from cryptography import x509

    return f"{x509.load_pem_x509_certificate(leaf.cert_chain_pems[0].bytes()).serial_number:X}"


async def test_the_certificate_is_shown_by_traffic_and_probes_and_renewed_with_the_secret(
    tool: Nginx, tmp_path: Path, start_proxy: StartProxy
) -> None:
    first, second = USERS.issue_cert("client.example"), USERS.issue_cert("client.example")
    folder = write(tmp_path / "manifests", *scene(tool.address, certificate(first)))
    proxy = await start_proxy(folder, "--probe-interval", "60s", "--log-level", "debug")
    for leaf in (first, second):
        write(folder, *scene(tool.address, certificate(leaf)))
        end = time.monotonic() + 5
        while int((await get(proxy))[2] or "0", 16) != int(serial(leaf), 16):
            assert time.monotonic() < end, "a change on disk is in effect within 2 s"
            await asyncio.sleep(0.05)
        assert (await get(proxy))[:2] == (200, "")
        await until(proxy, LIVENESS, "True")
        await until(proxy, AUTH, "True")
    assert "PRIVATE KEY" not in proxy.child.log


async def test_a_certificate_of_somebody_else_is_the_tools_to_refuse(
    tool: Nginx, tmp_path: Path, start_proxy: StartProxy
) -> None:
    stranger = certificate(trustme.CA().issue_cert("client.example"))
    folder = write(tmp_path / "manifests", *scene(tool.address, stranger))
    proxy = await start_proxy(folder, "--probe-interval", "60s")
    # nginx finishes the handshake, and says 400 of the certificate: the answer is the tool's own.
    assert (await get(proxy))[:2] == (400, "")
    await until(proxy, AUTH, "False", "UnexpectedStatus")


async def test_without_one_the_tool_refuses(tool: Nginx, tmp_path: Path, start_proxy: StartProxy) -> None:
    folder = write(tmp_path / "manifests", *scene(tool.address, auth=auth("certificate")))
    proxy = await start_proxy(folder, "--probe-interval", "60s")
    assert (await get(proxy))[:2] == (400, "")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"tls.crt": "junk", "tls.key": "junk"}, "SecretKeyInvalid"),
        ({"tls.crt": "junk"}, "SecretKeyMissing"),
    ],
)
async def test_t14_a_secret_that_cannot_be_shown(
    tool: Nginx, tmp_path: Path, start_proxy: StartProxy, data: dict[str, str], reason: str
) -> None:
    folder = write(tmp_path / "manifests", *scene(tool.address, secret("pair", data, "kubernetes.io/tls")))
    proxy = await start_proxy(folder)
    assert (await get(proxy))[:2] == (503, "CredentialUnavailable")
    await until(proxy, "SecretReady", "False", reason)
    assert tool.access_log == ""


async def test_t13_two_connectors_of_one_tool_show_their_own(
    tool: Nginx, tmp_path: Path, start_proxy: StartProxy
) -> None:
    leaves = {name: USERS.issue_cert(f"{name}.example") for name in ("one", "two")}
    manifests = scene(tool.address)
    for name, leaf in leaves.items():
        pair = certificate(leaf)
        pair["metadata"]["name"] = name
        chosen = auth("certificate", name)
        manifests += [pair, connector(name, tool.address, "mutual", auth=chosen, caCertSecretRef={"name": "ca"})]
    proxy = await start_proxy(write(tmp_path / "manifests", *manifests))
    async with aiohttp.ClientSession() as session:
        for _ in range(2):
            for name, leaf in leaves.items():
                async with session.get(proxy.path_form(name)) as answer:
                    assert int(await answer.text(), 16) == int(serial(leaf), 16)
