"""The webhook's certificates at a real API server: made once, renewed under load, put back, never told."""

from __future__ import annotations

import asyncio
import base64
import itertools
import time
from collections import deque
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connectors.cluster_process import ClusterProcess, ClusterSettings
from connectors.kube.access import choose_access
from connectors.kube.settings import ClusterOptions
from connectors.process.parsers import HostPort
from controller.admission.admission import Admission, AdmissionSettings
from controller.admission.certificates import Lives, Material, authorities
from controller.wiring import build_admission
from standalone.demo import CHECKOUT
from tests.cluster.admission import LISTENS, NAMES, Reviewed, keys_of
from tests.cluster.conftest import Start
from tests.cluster.installed import GROUP, POLL, SYSTEM, account_kubeconfig
from tests.controller.admission.handshakes import material, pair
from tests.peers.cluster_processes import start_controller
from tests.peers.handshakes import shown
from tests.peers.manifests import basic_auth

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(180)]

ANYWHERE = HostPort("127.0.0.1", 0)
LOCAL = frozenset({"127.0.0.1", "localhost"})
SHORT = Lives(
    life=timedelta(seconds=14),
    left=timedelta(seconds=9),
    heard=timedelta(seconds=1.5),
    kept=timedelta(seconds=4),
    look=timedelta(seconds=0.5),
)
"""Lives of seconds, an exchange every five. What is left when one is due is twice what the pauses between looks,
replicas that get in each other's way, `heard` and the whole seconds of certificates can take together; both the API
server's watch and ours hear in a small part of `heard`; and a certificate is alone for a second, behind `kept`."""
QUESTIONS = 200
"""More than so many of each kind meanwhile."""
CERTIFICATES = 4
"""As many one after the other: three exchanges in full."""
WRITERS = 4
PAUSE = 0.06
"""Seconds between two questions of one client: the load of a busy pipeline. A flat-out one would starve the replicas,
which are in this process, until a certificate ends before its successor is there."""
LAG = 0.7
"""Seconds that the slowest API server is behind; less than `heard`, as a minute is more than it ever takes."""


async def replica(reviewed: Reviewed, exits: AsyncExitStack, folder: Path, lives: Lives) -> Admission:
    """The webhook of one controller, in this process, as the controller's ServiceAccount."""
    access = choose_access(str(account_kubeconfig(reviewed.server, "controller", folder)), "")
    process = ClusterProcess(ClusterSettings("controller", access, ClusterOptions(admin=ANYWHERE)))
    settings = AdmissionSettings(ANYWHERE, None, SYSTEM, "cluster.local", LOCAL, lives)
    admission = build_admission(process, settings)
    await process.start(admission.run())
    exits.push_async_callback(process.stop)
    await admission.start()
    exits.push_async_callback(admission.stop)
    return admission


class Stream:
    """Writes of Connectors without an end, each of which the webhook is asked about."""

    def __init__(self, reviewed: Reviewed) -> None:
        self._reviewed = reviewed
        self.count = 0
        self.lost: list[object] = []
        self._stop = False

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for number in range(WRITERS):
                tasks.create_task(self._write(f"stream-{number}"))

    async def _write(self, name: str) -> None:
        made = await self._reviewed.create(name, connectorClassName="git", address="https://tool.example")
        assert made.status == 201, made
        path = f"{GROUP}/namespaces/{self._reviewed.cluster.namespace}/connectors/{name}"
        for number in itertools.count():
            if self._stop:
                return
            patch = {"spec": {"address": f"https://tool.example/{number}"}}
            answer = await self._reviewed.ask("PATCH", path, patch)
            self.count += 1
            if answer.status != 200:
                self.lost.append(answer)
            await asyncio.sleep(PAUSE)

    def stop(self) -> None:
        self._stop = True


class Laggard:
    """An API server that hears of a new caBundle late, and connects anew for every question."""

    def __init__(self, reviewed: Reviewed, port: int) -> None:
        self._reviewed = reviewed
        self._port = port
        self.count = 0
        self.failed: list[str] = []
        self._stop = False

    async def run(self) -> None:
        heard: deque[tuple[float, bytes]] = deque()
        while not self._stop:
            heard.append((time.monotonic(), (await self._reviewed.bundles())[0]))
            while len(heard) > 1 and heard[1][0] <= time.monotonic() - LAG:
                heard.popleft()
            self.count += 1
            try:
                await shown(self._port, heard[0][1])
            except OSError as error:
                self.failed.append(repr(error))
            await asyncio.sleep(PAUSE)

    def stop(self) -> None:
        self._stop = True


@pytest.mark.slow
async def test_renewals_under_a_stream_of_writes_lose_none(
    reviewed: Reviewed, exits: AsyncExitStack, tmp_path: Path
) -> None:
    await reviewed.empty_secret()
    first, second = [await replica(reviewed, exits, tmp_path, SHORT) for _ in range(2)]
    await reviewed.point_at(f"127.0.0.1:{first.port}")
    await served(reviewed, second.port)
    stream, laggard = Stream(reviewed), Laggard(reviewed, second.port)
    working = asyncio.gather(stream.run(), laggard.run())
    certificates: set[bytes] = set()
    async with asyncio.timeout(100):
        while (
            len(certificates) < CERTIFICATES
            or (made := await reviewed.material()).bundle != made.leaf
            or min(laggard.count, stream.count) <= QUESTIONS
        ):
            certificates.add((await reviewed.material()).leaf)
            await asyncio.sleep(0.2)
    stream.stop()
    laggard.stop()
    await working
    assert stream.lost == []
    assert laggard.failed == []
    assert min(laggard.count, stream.count) > QUESTIONS
    await until_settled(reviewed)
    # A client that trusts what is published sees the latest certificate at both, which nobody has restarted.
    await served(reviewed, first.port)
    await served(reviewed, second.port)
    # So that the lives of seconds are not those of the tests after this one.
    await reviewed.empty_secret()


async def served(reviewed: Reviewed, port: int) -> None:
    """Until a new connection is shown what the Secret holds, under what is published."""
    async with asyncio.timeout(10):
        while True:
            made, (bundle, *_) = await reviewed.material(), await reviewed.bundles()
            with suppress(OSError):
                if (await shown(port, bundle)).encode() == made.leaf:
                    return
            await asyncio.sleep(POLL)


async def test_replicas_that_race_for_the_empty_secret_end_with_one_certificate(
    reviewed: Reviewed, exits: AsyncExitStack, tmp_path: Path
) -> None:
    await reviewed.empty_secret()
    kubeconfig = account_kubeconfig(reviewed.server, "controller", tmp_path)
    processes = await asyncio.gather(*(start_controller(kubeconfig, *NAMES) for _ in range(3)))
    for process in processes:
        exits.push_async_callback(process.child.stop)
        await process.child.line("the webhook serves a new certificate", 20)
    made = await until_settled(reviewed)
    assert made.bundle.startswith(made.leaf), "one certificate, and behind it what was published before"
    for process in processes:
        port = (await process.child.line(LISTENS))[1].rpartition(":")[2]
        await served(reviewed, int(port))


async def until_settled(reviewed: Reviewed) -> Material:
    """The Secret's content once every bundle is that of the Secret, but for authorities that ended meanwhile."""
    async with asyncio.timeout(15):
        while True:
            made, bundles = await reviewed.material(), await reviewed.bundles()
            valid = b"".join(authorities(made.bundle, datetime.now(UTC)).values())
            if valid and set(bundles) == {valid}:
                return made
            await asyncio.sleep(POLL)


CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
SERVICE = {"name": "connectors-webhook-service", "namespace": SYSTEM, "port": 443, "path": "/validate"}
SECONDS = 5.0
"""In which what somebody undid is put right: the watch's word, the pause behind it, and two requests."""


async def as_in_the_manifest(reviewed: Reviewed, *, bundle: bool) -> None:
    """Webhooks that lead to the Service again, instead of the url that tests put there."""
    found = await reviewed.configuration()
    for webhook in found["webhooks"]:
        client = webhook["clientConfig"]
        client.pop("url", None)
        client["service"] = SERVICE
        if not bundle:
            client.pop("caBundle", None)
    assert (await reviewed.ask("PUT", f"{CONFIGURATIONS}/connectors-validation", found)).status == 200


async def test_a_configuration_that_is_replaced_is_put_right_in_seconds(
    reviewed: Reviewed, start_reviewer: Start
) -> None:
    await start_reviewer()
    before = await until_settled(reviewed)
    began = time.monotonic()
    await as_in_the_manifest(reviewed, bundle=False)
    after = await until_settled(reviewed)
    assert time.monotonic() - began < SECONDS
    assert after.bundle == before.bundle


async def test_a_secret_that_is_replaced_is_filled_and_published_in_seconds(
    reviewed: Reviewed, start_reviewer: Start
) -> None:
    await start_reviewer()
    before = await until_settled(reviewed)
    began = time.monotonic()
    await reviewed.empty_secret()
    async with asyncio.timeout(SECONDS):
        while (await until_settled(reviewed)).bundle == before.bundle:  # noqa: ASYNC110 - only asking tells
            await asyncio.sleep(POLL)
    await reviewed.until_in_force()
    assert time.monotonic() - began < 2 * SECONDS


async def test_applying_the_manifests_again_leaves_certificates_alone(
    reviewed: Reviewed, start_reviewer: Start
) -> None:
    await start_reviewer()
    await as_in_the_manifest(reviewed, bundle=True)
    words = ("apply", "-f", str(CHECKOUT / "deploy" / "webhook.yaml"))
    await asyncio.to_thread(reviewed.kubectl.run, *words)
    before = (await until_settled(reviewed), await reviewed.bundles())
    done = await asyncio.to_thread(reviewed.kubectl.run, *words)
    assert {line.split()[-1] for line in done.stdout.splitlines()} == {"unchanged"}
    after = (await reviewed.material(), await reviewed.bundles())
    assert (after[0].leaf, after[0].bundle, after[1]) == (before[0].leaf, before[0].bundle, before[1])


async def test_with_somebody_else_s_certificate_nothing_of_ours_is_written(
    reviewed: Reviewed, exits: AsyncExitStack, tmp_path: Path
) -> None:
    """As with cert-manager: its ca-injector publishes, the kubelet brings the files."""
    made = material()
    (tmp_path / "tls.crt").write_bytes(made.leaf)
    (tmp_path / "tls.key").write_bytes(pair(made).key.reveal())
    await reviewed.empty_secret()
    kubeconfig = account_kubeconfig(reviewed.server, "controller", tmp_path)
    process = await start_controller(kubeconfig, "--webhook-cert-dir", str(tmp_path))
    exits.push_async_callback(process.child.stop)
    where = (await process.child.line(LISTENS))[1]
    found = await reviewed.configuration()
    for webhook in found["webhooks"]:
        webhook["clientConfig"]["caBundle"] = base64.b64encode(made.bundle).decode()
    assert (await reviewed.ask("PUT", f"{CONFIGURATIONS}/connectors-validation", found)).status == 200
    await reviewed.point_at(where)
    assert set(await reviewed.bundles()) == {made.bundle}
    assert (await reviewed.material()).bundle == b""


async def test_t14_no_log_line_holds_a_key_or_a_token(
    reviewed: Reviewed, start_reviewer: Start, tmp_path: Path
) -> None:
    await reviewed.empty_secret()
    controller = await start_reviewer("--log-level", "debug")
    namespace = reviewed.cluster.namespace
    login = basic_auth("login", "robot", "canary-of-a-password")
    del login["metadata"]["namespace"]
    assert (await reviewed.apply(login)).ok
    token = await asyncio.to_thread(reviewed.server.service_account_token, namespace, "builder")
    made = {
        "apiVersion": "connectors.alauda.io/v1alpha1",
        "kind": "Connector",
        "metadata": {"name": "tool", "annotations": {"note": "canary-of-an-annotation"}},
        "spec": {
            "connectorClassName": "git",
            "address": "https://tool.example",
            "auth": {"name": "basicAuth", "secretRef": {"name": "login"}},
        },
    }
    path = f"{GROUP}/namespaces/{namespace}/connectors"
    assert (await asyncio.to_thread(reviewed.server.ask, "POST", path, made, token)).status == 403
    assert (await reviewed.ask("POST", path, made)).status == 201
    leaky = {**made["spec"], "address": "https://user:canary-of-an-address@tool.example"}  # type: ignore[dict-item]
    assert (await reviewed.ask("PATCH", f"{path}/tool", {"spec": leaky})).status == 422
    await reviewed.cluster.until_ready("tool")
    await controller.child.line("CREATE of a Connector by admin")
    await controller.child.stop()
    log = controller.child.log
    account = (tmp_path / "controller.kubeconfig").read_text(encoding="utf-8")
    tokens = [token, token.rpartition(".")[2], account.partition('"token": "')[2].partition('"')[0]]
    for canary in (*keys_of(await reviewed.material()), *tokens, "canary-of", "PRIVATE KEY", "Bearer "):
        assert canary
        assert canary not in log
