"""Every layer of CAs on and off, every kind of certificate: pool, traffic and probe say the same (threats 22 to 24)."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme

from connectors.inventory import build
from connectors.process.clock import timestamp
from connectors.sources.directory import DirectorySource
from connectors.tls.certificates import read_pem
from connectors.tls.pool import Pool, pool_of
from tests.e2e.probed import LIVENESS
from tests.peers.fixtures import StartNginx, StartProxy
from tests.peers.manifests import Manifest, connector, secret, write
from tests.peers.proxy_process import ProxyProcess
from tests.peers.trust import pem, pool

pytestmark = [pytest.mark.e2e, pytest.mark.nginx]

CONNECTORS = "/apis/connectors.alauda.io/v1alpha1/connectors"
SHARED, OWN, UNKNOWN, WRONG = (trustme.CA() for _ in range(4))
PAST = datetime.now(UTC) - timedelta(days=30)
STRANGER = UNKNOWN.issue_cert("localhost")
TOOLS: dict[str, tuple[trustme.CA, Callable[[], trustme.LeafCert], str]] = {
    # what the tool shows -> who signed it, how, and what is wrong with it whoever is trusted
    "of-shared": (SHARED, lambda: SHARED.issue_cert("localhost"), ""),
    "of-own": (OWN, lambda: OWN.issue_cert("localhost"), ""),
    "of-unknown": (UNKNOWN, lambda: STRANGER, ""),
    "expired": (OWN, lambda: OWN.issue_cert("localhost", not_before=PAST, not_after=PAST), "has expired"),
    "misnamed": (OWN, lambda: OWN.issue_cert("elsewhere.example"), "Hostname mismatch"),
}
JUNK = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
KEY = OWN.private_key_pem.bytes().decode()
SECRETS: dict[str, tuple[str | None, tuple[trustme.CA, ...], str]] = {
    # what spec.caCertSecretRef leads to -> its content, whom that adds, and the reason of CACertReady
    "none": (None, (), "NoCACert"),
    "right": (pem(OWN), (OWN,), "Valid"),
    "wrong": (pem(WRONG), (WRONG,), "Valid"),
    "key": (KEY, (), "InvalidPEM"),
    "mixed": (JUNK + KEY + pem(OWN) + JUNK, (OWN,), "Valid"),
    "lost": (None, (), "SecretNotFound"),
    "pinned": (STRANGER.cert_chain_pems[0].bytes().decode(), (), "Valid"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One Connector of the matrix, while the flag is `on` and a CA for all is `shared`."""

    tool: str
    own: str
    on: bool
    shared: bool

    @property
    def name(self) -> str:
        return f"{self.tool}-{self.own}"

    @property
    def trusts(self) -> tuple[trustme.CA, ...]:
        if not self.on:
            return ()
        return (*([SHARED] if self.shared else []), *SECRETS[self.own][1])

    @property
    def problem(self) -> str:
        """What OpenSSL says of the tool's certificate; empty where it is good."""
        signer, _, wrong = TOOLS[self.tool]
        if self.pins and self.tool == "of-unknown":
            return ""
        return wrong if signer in self.trusts else "unable to get local issuer certificate"

    @property
    def pins(self) -> bool:
        """Whether the certificate of `of-unknown` itself is trusted, and nobody who signed it."""
        return self.on and self.own == "pinned"

    @property
    def pool(self) -> Pool:
        pinned = read_pem((SECRETS["pinned"][0] or "").encode()).certificates if self.pins else ()
        return pool_of((*pool(*self.trusts).certificates, *pinned))

    @property
    def condition(self) -> str | None:
        return SECRETS[self.own][2] if self.on else None


def rows(*, on: bool, shared: bool) -> list[Row]:
    return [Row(tool, own, on, shared) for tool in TOOLS for own in SECRETS]


def manifests(addresses: dict[str, str], *, on: bool, shared: bool) -> Iterator[Manifest]:
    for row in rows(on=on, shared=shared):
        made = connector(row.name, addresses[row.tool])
        if row.own != "none":
            made["spec"]["caCertSecretRef"] = {"name": row.own}
        yield made
    for name, (content, _, _) in SECRETS.items():
        if content is not None:
            yield secret(name, {"ca.crt": content, "password": "canary-5d1e"})
    metadata = {"name": "connectors-config", "namespace": "connectors-system"}
    flags = {"enable-custom-ca-certs": str(on).lower()}
    yield {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": flags}
    if shared:
        made = secret("shared", {"ca.pem": pem(SHARED)}, namespace="connectors-system")
        made["metadata"]["labels"] = {"connectors.cpaas.io/ca-cert": "true"}
        yield made


def pools(folder: Path) -> dict[str, Pool]:
    loaded = DirectorySource((folder,), timestamp).load()
    assert not loaded.problems
    return {key.name: judgement.trust.pool for key, judgement in build(loaded.objects).judgements.items()}


async def conditions(proxy: ProxyProcess, *, on: bool, shared: bool) -> dict[str, dict[str, Any]]:
    """Name -> conditions by type, once everything is probed as it is now. A change on disk takes up to 2 s."""
    wanted = {row.name: row for row in rows(on=on, shared=shared)}
    end = time.monotonic() + 15
    async with aiohttp.ClientSession() as session:
        while True:
            async with session.get(proxy.admin + CONNECTORS) as answer:
                items = json.loads(await answer.text())["items"]
            found = {
                item["metadata"]["name"]: {entry["type"]: entry for entry in item["status"]["conditions"]}
                for item in items
            }
            if all(_settled(found[name], row) for name, row in wanted.items()):
                return found
            assert time.monotonic() < end, found
            await asyncio.sleep(0.05)


def _settled(found: dict[str, Any], row: Row) -> bool:
    status = "False" if row.problem else "True"
    told = found[LIVENESS]["status"], found.get("CACertReady", {}).get("reason")
    return told == (status, row.condition)


async def traffic(proxy: ProxyProcess) -> dict[str, tuple[int, str, str]]:
    """Name -> what a client gets: status, reason, body."""
    found = {}
    async with aiohttp.ClientSession() as session:
        for row in rows(on=True, shared=True):
            async with session.get(proxy.path_form(row.name)) as answer:
                reason = answer.headers.get("X-Connectors-Reason", "")
                found[row.name] = (answer.status, reason, await answer.text())
    return found


async def test_t23_pool_traffic_and_probe_agree_in_every_row(
    tmp_path: Path, start_nginx: StartNginx, start_proxy: StartProxy
) -> None:
    addresses = {}
    for name, (_, make, _) in TOOLS.items():
        addresses[name] = (await start_nginx("location / { return 200; }", tls=make(), name=name)).address
    folder = tmp_path / "manifests"
    states = [(True, True), (True, False), (False, True), (False, False), (True, True)]
    on, shared = states[0]
    write(folder, *manifests(addresses, on=on, shared=shared))
    proxy = await start_proxy(folder, "--probe-interval", "60s", "--log-level", "debug")
    for on, shared in states:
        # The same process throughout: each state comes by a change on disk.
        write(folder, *manifests(addresses, on=on, shared=shared))
        found = await conditions(proxy, on=on, shared=shared)
        got, made = await traffic(proxy), pools(folder)
        for row in rows(on=on, shared=shared):
            assert made[row.name] == row.pool, row
            said = found[row.name][LIVENESS]
            if row.problem:
                status, reason, body = got[row.name]
                assert (status, reason) == (502, "UpstreamTLS"), row
                assert (said["status"], said["reason"]) == ("False", "ConnectionFailed"), row
                assert row.problem in body, row
                assert row.problem in said["message"], row
                # The very same sentence.
                assert json.loads(body)["message"] in said["message"], row
            else:
                assert got[row.name][:2] == (200, ""), row
                assert said["status"] == "True", row
    for word in ("canary-5d1e", "PRIVATE KEY", "Traceback"):
        assert word not in proxy.child.log
