"""Threat 36 at a real API server that shows a client certificate, as docs/operators.md says how to tell it."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
import trustme

from standalone.demo import CHECKOUT
from tests.cluster.admission import LISTENS, NAMES, Reviewed
from tests.cluster.installed import Cluster, account_kubeconfig, install
from tests.controller.admission.reviews import body, connector
from tests.docs.pages import ROOT
from tests.peers.api_server import ApiServer
from tests.peers.cluster_processes import ClusterProcess, start_controller
from tests.peers.kubectl import Kubectl
from tests.peers.ports import bound
from tests.peers.trust import pem

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(180)]


@dataclass(frozen=True, slots=True)
class Shown:
    """An API server that shows a certificate of `authority` to the webhook at `where`."""

    server: ApiServer
    kubectl: Kubectl
    authority: trustme.CA
    where: str


def documented() -> list[str]:
    """The files that docs/operators.md has an administrator write: the configuration and the kubeconfig."""
    page = (ROOT / "docs" / "operators.md").read_text(encoding="utf-8")
    section = page.partition("## The webhook's clients")[2].partition("\n## ")[0]
    return re.findall(r"```yml\n(.*?)```", section, re.DOTALL)[:2]


@pytest.fixture
def shown(kube_assets: Path, kubectl: str, tmp_path: Path) -> Iterator[Shown]:
    (taken,) = bound("127.0.0.1")
    where = f"127.0.0.1:{taken.getsockname()[1]}"
    taken.close()
    authority, folder = trustme.CA(), tmp_path / "kubernetes"
    folder.mkdir()
    leaf = authority.issue_cert("api-server.example")
    leaf.private_key_pem.write_to_path(str(folder / "client.key"))
    leaf.cert_chain_pems[0].write_to_path(str(folder / "client.crt"))
    for name, text in zip(("admission.yaml", "webhooks.kubeconfig"), documented(), strict=True):
        # The names of the page, with the folder and the address of this machine.
        mended = text.replace("/etc/kubernetes/connectors", str(folder))
        (folder / name).write_text(mended.replace("connectors-webhook-service.connectors-system.svc", where))
    flags = [f"--admission-control-config-file={folder / 'admission.yaml'}"]
    with ApiServer(kube_assets, tmp_path / "server", flags) as server:
        admin = Kubectl(kubectl, tmp_path / "kubectl", server.kubeconfig)
        (tmp_path / "kubectl").mkdir()
        install(server, admin)
        admin.run("apply", "-f", str(CHECKOUT / "deploy" / "webhook.yaml"))
        yield Shown(server, admin, authority, where)


async def _asked_by_a_stranger(where: str) -> str:
    """What a client hears that has no certificate."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
        try:
            async with session.post(f"https://{where}/validate", data=body(connector())) as answer:
                return await answer.text()
        except (aiohttp.ClientError, ConnectionError):
            return ""


async def _counted(process: ClusterProcess) -> float:
    async with aiohttp.ClientSession() as session, session.get(process.admin + "/metrics") as answer:
        found = [line for line in (await answer.text()).splitlines() if line.startswith("connectors_controller_adm")]
    return sum(float(line.rpartition(" ")[2]) for line in found if "_total{" in line)


async def test_t36_the_api_server_is_let_in_and_a_stranger_is_not(shown: Shown, tmp_path: Path) -> None:
    file = tmp_path / "ca.crt"
    file.write_text(pem(shown.authority), encoding="ascii")
    reviewed = Reviewed(Cluster(shown.server, shown.kubectl, "default"))
    async with AsyncExitStack() as exits:
        options = ("--webhook-listen", shown.where, "--webhook-client-ca", str(file))
        process = await start_controller(account_kubeconfig(shown.server, "controller", tmp_path), *NAMES, *options)
        exits.push_async_callback(process.child.stop)
        where = (await process.child.line(LISTENS))[1]
        await reviewed.point_at(where)
        before = await _counted(process)
        assert (await reviewed.create("tool", connectorClassName="git", address="https://x.example")).status == 201
        assert await _counted(process) == before + 1
        assert await _asked_by_a_stranger(where) == ""
        assert await _counted(process) == before + 1, "it is not even counted as no review: it was not read"
