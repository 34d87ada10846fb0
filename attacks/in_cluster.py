"""Attacks that need an API server (KUBEBUILDER_ASSETS): made-up tokens (threat 33), the webhook (threat 36)."""

from __future__ import annotations

import asyncio
import json
import secrets
import ssl
import sys
from collections import Counter
from contextlib import suppress
from functools import cache
from http import HTTPStatus

import aiohttp

from attacks.attack import Attack, CannotPlayError, Played, Scene, Setting
from attacks.crowd import told
from attacks.hostile import HostileTool
from attacks.stage import READY, calm_tool, neighbour_command, watched_process
from attacks.watching import Watching
from bench.callers import make
from standalone.demo import ADMIN_LINE, CHECKOUT
from tests.cluster.admission import LISTENS, NAMES, Reviewed
from tests.cluster.installed import Cluster, account_kubeconfig, install
from tests.peers.api_server import ADMIN_TOKEN, ApiServer, assets_folder
from tests.peers.cluster_processes import LOCAL_TOOLS
from tests.peers.kubectl import Kubectl, kubectl_path
from tests.peers.manifests import connector_class

ADDRESSES = [f"127.0.1.{number}" for number in range(1, 13)]
NEWCOMERS = 40
PAUSE = 0.1
TIMEOUT = aiohttp.ClientTimeout(total=15)
FILLED = 10.0
STRANGERS = 8
REVIEW = 1_400_000


async def api_server(setting: Setting) -> ApiServer:
    """One that runs until the scene ends.

    Raises:
        CannotPlayError: KUBEBUILDER_ASSETS names none.
    """
    assets = assets_folder()
    if assets is None:
        raise CannotPlayError("needs KUBEBUILDER_ASSETS, a folder with kube-apiserver and etcd")
    server = ApiServer(assets, setting.folder / "server")
    server.folder.mkdir()
    await asyncio.to_thread(server.__enter__)
    setting.exits.callback(server.close)
    return server


# -- callers


async def callers_scene(attack: Attack, setting: Setting) -> Scene:
    """`python -m proxy`, which asks the API server about callers; NEWCOMERS have tokens that it has not seen.

    Raises:
        CannotPlayError: there is no API server.
        CannotError: the proxy did not start.
    """
    server = await api_server(setting)
    calm = await calm_tool(setting)
    callers = await make(server, calm, callers=NEWCOMERS + 1, connectors=1)
    words = ["--kubeconfig", str(server.kubeconfig), "--workers", str(setting.workers), *attack.options, *LOCAL_TOOLS]
    listen = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--access-log", "off"]
    proxy, watched = await watched_process(setting, [sys.executable, "-m", "proxy", *words, *listen])
    admin = (await proxy.line(ADMIN_LINE))[1]
    port = int((await proxy.line(READY))[1].rpartition(":")[2])
    fields = callers.request(NEWCOMERS)
    token = fields["Authorization"].removeprefix("Bearer ")
    neighbour = neighbour_command(port, admin, fields["Host"], "--token", token)
    return Scene(
        setting.exits,
        setting.folder,
        setting.scale,
        port,
        admin,
        Watching(proxy.pid, admin, watched),
        await _hostile(setting),
        neighbour,
        callers,
    )


async def made_up_tokens(scene: Scene) -> Played:
    """Twelve addresses send made-up tokens; meanwhile callers come whom the proxy has not seen, and must get in."""
    callers = scene.callers
    if callers is None:
        raise TypeError("not a scene with callers")
    came_all, full = asyncio.Event(), asyncio.Event()
    url = f"http://127.0.0.1:{scene.port}/x"
    flooded, came = Counter[str](), Counter[str]()

    async def flood(address: str) -> None:
        async with _session(address) as session:
            while not came_all.is_set():
                fields = {**callers.request(0), "Authorization": f"Bearer e30.e30.{secrets.token_urlsafe(32)}"}
                with suppress(aiohttp.ClientError, TimeoutError):
                    async with session.get(url, headers=fields) as answer:
                        flooded[str(answer.status)] += 1
                        if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
                            full.set()

    async def newcomers() -> None:
        with suppress(TimeoutError):
            # From here on strangers have used up what may fail; an API server that is slow has not come so far.
            await asyncio.wait_for(full.wait(), FILLED)
        async with _session("127.0.0.3") as session:
            for number in range(NEWCOMERS):
                async with session.get(url, headers=callers.request(number)) as answer:
                    came[str(answer.status)] += 1
                await asyncio.sleep(PAUSE)
        came_all.set()

    floods = [flood(address) for address in ADDRESSES for _ in range(4)]
    await asyncio.gather(newcomers(), *floods)
    faults = [] if set(came) == {"200"} else [f"new callers with valid tokens got {told(came)}"]
    return Played(f"{told(flooded)}; new callers: {told(came)}", faults)


def _session(address: str) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(local_addr=(address, 0)), timeout=TIMEOUT)


# -- the webhook


async def webhook_scene(attack: Attack, setting: Setting) -> Scene:
    """A controller that the API server asks, and a tenant who writes Connectors through that.

    Raises:
        CannotPlayError: there is no API server or no kubectl.
        CannotError: the controller did not start.
    """
    path = kubectl_path(assets_folder())
    if path is None:
        raise CannotPlayError("needs kubectl")
    server = await api_server(setting)
    kubectl = Kubectl(path, setting.folder, server.kubeconfig)
    await asyncio.to_thread(install, server, kubectl)
    await asyncio.to_thread(kubectl.run, "apply", "-f", str(CHECKOUT / "deploy" / "webhook.yaml"))
    kubeconfig = account_kubeconfig(server, "controller", setting.folder)
    words = ["--kubeconfig", str(kubeconfig), *LOCAL_TOOLS, *NAMES, *attack.options]
    listen = ["--webhook-listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
    process, watched = await watched_process(setting, [sys.executable, "-m", "controller", *words, *listen])
    admin = (await process.line(ADMIN_LINE))[1]
    where = (await process.line(LISTENS))[1]
    await Reviewed(Cluster(server, kubectl, "default")).point_at(where)
    authority = setting.folder / "authority.pem"
    authority.write_text(server.ca_pem, encoding="ascii")
    neighbour = [sys.executable, "-m", "attacks.writer", server.url, str(authority), ADMIN_TOKEN, admin]
    port = int(where.rpartition(":")[2])
    return Scene(
        setting.exits,
        setting.folder,
        setting.scale,
        port,
        admin,
        Watching(process.pid, admin, watched),
        await _hostile(setting),
        neighbour,
    )


async def reviews(scene: Scene) -> Played:
    """Strangers send reviews of large classes, one after the other."""
    end, statuses = scene.end, Counter[str]()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    url, loop = f"https://127.0.0.1:{scene.port}/validate", asyncio.get_running_loop()

    async def stranger(number: int) -> None:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
            count = 0
            while (left := end - loop.time()) > 0:
                count += 1
                body = review().replace(b"NUMBER", b"%d-%d" % (number, count))
                try:
                    asked = session.post(url, data=body, timeout=aiohttp.ClientTimeout(left))
                    async with asked as answer:
                        await answer.read()
                        statuses[str(answer.status)] += 1
                except TimeoutError:
                    statuses["not in time"] += 1
                except (aiohttp.ClientError, OSError):
                    statuses["refused"] += 1
                    await asyncio.sleep(0.05)

    await asyncio.gather(*(stranger(number) for number in range(STRANGERS)))
    return Played(f"{sum(statuses.values()):,} reviews of {len(review()) / 1e6:.1f} MB: {told(statuses)}")


@cache
def review() -> bytes:
    """A class of as many templates and checks as there is room for."""
    check = "[1].exists(x,x==1)&&" * 100 + "true"
    template = "{{range .Secret.StringData}}" + "{{$x := urlParse $.Connector.Spec.Address}}" * 40 + "{{end}}"
    each = {
        "name": "t",
        "secretType": "kubernetes.io/basic-auth",
        "generator": {"headers": [{"name": "X-Bomb", "value": template + "NUMBER"}]},
    }
    probe = {"authName": "t", "probe": {"http": {"path": template, "response": {"cel": check + "&& 'NUMBER' != ''"}}}}
    count = REVIEW // len(json.dumps([each, probe]))
    types = [{**each, "name": f"t{at}"} for at in range(count)]
    probes = [{**probe, "authName": f"t{at}"} for at in range(count)]
    made = connector_class("bomb", types, authProbes=probes)
    request = {
        "uid": "u-1",
        "kind": {"group": "connectors.alauda.io", "version": "v1alpha1", "kind": "ConnectorClass"},
        "resource": {"group": "connectors.alauda.io", "version": "v1alpha1", "resource": "connectorclasses"},
        "name": "bomb",
        "operation": "CREATE",
        "userInfo": {"username": "stranger", "groups": ["system:authenticated"]},
        "object": made,
        "oldObject": None,
        "dryRun": False,
        "options": None,
    }
    whole = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    return json.dumps(whole).encode()


async def _hostile(setting: Setting) -> HostileTool:
    hostile = await HostileTool.start()
    setting.exits.push_async_callback(hostile.child.stop)
    return hostile


ATTACKS = (
    Attack(
        "made-up tokens",
        33,
        "Twelve addresses send made-up tokens, while callers with valid ones come whom the proxy has not seen.",
        "33 of 35 new callers got 429",
        made_up_tokens,
        stage=callers_scene,
        single=True,
    ),
    Attack(
        "reviews of strangers",
        36,
        "Strangers send reviews of 1.4 MB of templates and CEL to the webhook, while Connectors are written.",
        "11,000 ms of CPU in one piece; four of them blocked every valid write for 40 s",
        reviews,
        stage=webhook_scene,
        single=True,
    ),
)
