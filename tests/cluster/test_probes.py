"""Probes of `python -m controller` on a real API server: conditions follow tool and Secret, and nothing flickers."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from standalone.demo import CHECKOUT
from tests.cluster.conftest import Start
from tests.cluster.installed import POLL, Cluster, account_kubeconfig, condition, summary
from tests.peers.cluster_processes import start_controller
from tests.peers.fixtures import StartGitServer
from tests.peers.git_server import PASSWORD, USERNAME
from tests.peers.manifests import Manifest, auth, basic_auth, connector, connector_class
from tests.peers.tool import serve_tool

pytestmark = pytest.mark.apiserver

INTERVAL = 1.0
"""Seconds between two probes, for these tests."""
AT_ONCE = 2.0
"""Seconds within which a change of spec, class or Secret is probed: it has to arrive, be asked, and be written."""
RIGHT, WRONG = "canary-right", "canary-wrong"
LOGIN = 'Basic {{ printf "%s:%s" .Secret.StringData.username .Secret.StringData.password | b64enc }}'
BASIC = {"name": "basicAuth", "secretType": "kubernetes.io/basic-auth", "optional": True}


@dataclass
class Tool:
    """A tool that takes one password; `ready` holds its answers back, `status` is what it answers besides."""

    address: str = ""
    status: int = 200
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[str] = field(default_factory=list)

    async def until_asked(self, true: Callable[[list[str]], bool], seconds: float = 20.0) -> None:
        """Return once what it was asked is as wanted."""
        end = time.monotonic() + seconds
        while not true(self.asked):
            assert time.monotonic() < end, self.asked
            await asyncio.sleep(POLL)

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        await self.ready.wait()
        wanted = "Basic " + base64.b64encode(f"robot:{RIGHT}".encode()).decode()
        if self.status == 200 and request.path == "/user" and request.headers.get("Authorization") != wanted:
            return web.Response(status=401)
        return web.Response(status=self.status)


@pytest.fixture
async def tool(exits: AsyncExitStack) -> Tool:
    made = Tool()
    made.address = await serve_tool(exits, made.answer)
    return made


def probing_class(name: str, live: str = "/live") -> Manifest:
    headers = [{"name": "Authorization", "value": LOGIN}]
    check = {"authName": "basicAuth", "probe": {"http": {"path": "/user", "httpHeaders": headers}}}
    return connector_class(name, [BASIC], livenessProbe={"http": {"path": live}}, authProbes=[check])


@dataclass(frozen=True, slots=True)
class Scene:
    cluster: Cluster
    tool: Tool

    async def until(self, kind: str, status: str, reason: str = "", seconds: float = AT_ONCE) -> float:
        """Seconds until the condition of Connector `tool` is like this."""

        def like_this(found: dict[str, Any] | None) -> bool:
            item = condition(found, kind)
            return (item.get("status"), item.get("reason", "")) == (status, reason)

        return await self.cluster.until("connectors", "tool", like_this, seconds)

    async def password(self, password: str) -> None:
        path = self.cluster.path("secrets", "login")
        await self.cluster.ask("PATCH", path, {"stringData": {"password": password}})

    async def version(self) -> str:
        found = await self.cluster.get("connectors", "tool")
        assert found is not None
        return str(found["metadata"]["resourceVersion"])


@pytest.fixture
async def scene(cluster: Cluster, start: Start, tool: Tool) -> Scene:
    """A Connector to the tool, whose class `probing-NAMESPACE` probes both."""
    kind = f"probing-{cluster.namespace}"
    made = connector("tool", tool.address, kind, auth=auth("basicAuth", "login"), namespace=cluster.namespace)
    login = basic_auth("login", "robot", RIGHT, namespace=cluster.namespace)
    await start("controller", "--probe-interval", f"{INTERVAL}s")
    await cluster.apply(probing_class(kind))
    await cluster.apply(made, login)
    return Scene(cluster, tool)


async def test_conditions_follow_the_tool_and_the_secret(scene: Scene) -> None:
    await scene.until("LivenessReady", "Unknown", "ProbePending")
    await scene.until("AuthReady", "Unknown", "ProbePending")
    scene.tool.ready.set()
    await scene.until("LivenessReady", "True")
    await scene.until("AuthReady", "True")
    await scene.cluster.until_ready("tool")

    await scene.password(WRONG)
    await scene.until("AuthReady", "False", "AuthenticationFailed")
    await scene.until("Ready", "False", "AuthenticationFailed")
    found = await scene.cluster.get("connectors", "tool")
    assert condition(found, "AuthReady")["message"] == "Authentication failed: status code 401"
    assert condition(found, "LivenessReady")["status"] == "True"
    await scene.password(RIGHT)
    await scene.until("AuthReady", "True")

    scene.tool.status = 500
    await scene.until("LivenessReady", "False", "UnexpectedStatus", seconds=INTERVAL * 1.1 + AT_ONCE)
    scene.tool.status = 200
    # Its first failure doubles the pause.
    await scene.until("LivenessReady", "True", seconds=INTERVAL * 4 * 1.1 + AT_ONCE)
    await scene.cluster.until_ready("tool")


async def test_a_change_of_spec_or_class_is_probed_at_once(scene: Scene) -> None:
    scene.tool.ready.set()
    await scene.cluster.until_ready("tool")
    where = scene.cluster.path("connectors", "tool")
    await scene.cluster.ask("PATCH", where, {"spec": {"address": "http://127.0.0.1:1"}})
    await scene.until("LivenessReady", "False", "ConnectionFailed")
    await scene.cluster.ask("PATCH", where, {"spec": {"address": scene.tool.address}})
    await scene.cluster.until_ready("tool", seconds=AT_ONCE)
    kind = f"probing-{scene.cluster.namespace}"
    await scene.cluster.apply(probing_class(kind, "/other"))
    await scene.tool.until_asked(lambda asked: "/other" in asked, AT_ONCE)
    await scene.cluster.until_ready("tool")


async def test_while_nothing_changes_nothing_is_written(scene: Scene) -> None:
    scene.tool.ready.set()
    await scene.cluster.until_ready("tool")
    await scene.until("AuthReady", "True")
    before, asked = await scene.version(), len(scene.tool.asked)
    await scene.tool.until_asked(lambda now: len(now) >= asked + 10)
    assert await scene.version() == before


@pytest.mark.git
async def test_a_class_of_the_catalogue(cluster: Cluster, start: Start, start_git_server: StartGitServer) -> None:
    """Class git as it is applied by deploy/, but for its name: a real git server, a right and a wrong password."""
    kind = f"git-{cluster.namespace}"
    text = (CHECKOUT / "connectors" / "classes" / "git.yaml").read_text(encoding="utf-8")
    server = await start_git_server("")
    await start("controller", "--probe-interval", f"{INTERVAL}s")
    await cluster.apply(yaml.safe_load(text) | {"metadata": {"name": kind}})
    check = auth("basicAuth", "login", repository="demo.git")
    await cluster.apply(connector("tool", server.address, kind, auth=check, namespace=cluster.namespace))
    found = await cluster.until_ready("tool", "False")
    assert condition(found, "AuthReady")["reason"] == "SecretNotFound"
    await cluster.apply(basic_auth("login", USERNAME, PASSWORD, namespace=cluster.namespace))
    found = await cluster.until_ready("tool")
    assert summary(found)["LivenessReady"] == summary(found)["AuthReady"] == ("True", "")
    path = cluster.path("secrets", "login")
    await cluster.ask("PATCH", path, {"stringData": {"password": WRONG}})
    found = await cluster.until_ready("tool", "False")
    assert condition(found, "Ready")["message"] == "Authentication failed: status code 401"


async def test_another_controller_takes_over_without_a_flicker(scene: Scene, tmp_path: Path) -> None:
    scene.tool.ready.set()
    await scene.cluster.until_ready("tool")
    await scene.until("AuthReady", "True")
    before = await scene.version()
    # One that does not compete: nobody has to wait for a Lease to run out, and both are there for a while.
    kubeconfig = account_kubeconfig(scene.cluster.server, "controller", tmp_path)
    second = await start_controller(kubeconfig, "--probe-interval", f"{INTERVAL}s", "--no-leader-elect")
    try:
        asked = len(scene.tool.asked)
        await scene.tool.until_asked(lambda now: len(now) >= asked + 8)
        assert await scene.version() == before
    finally:
        await second.child.stop()


async def test_sigterm_waits_for_no_tool(cluster: Cluster, start: Start, tool: Tool) -> None:
    kind = f"probing-{cluster.namespace}"
    controller = await start("controller")
    await cluster.apply(probing_class(kind))
    names = [f"tool-{number}" for number in range(8)]
    await cluster.apply(*(connector(name, tool.address, kind, namespace=cluster.namespace) for name in names))
    await tool.until_asked(lambda asked: len(asked) == 4)
    begun = time.monotonic()
    assert await controller.child.stop() == 0
    assert time.monotonic() - begun < 5.0, "a probe would take ten seconds"
    tool.ready.set()
    for word in ("Traceback", "never retrieved", "Unclosed", "Warning:"):
        assert word not in controller.child.log
    for name in names:
        item = condition(await cluster.get("connectors", name), "LivenessReady")
        assert item.get("reason", "ProbePending") == "ProbePending", "what was cut off says nothing"


async def test_t14_no_object_and_no_log_holds_the_credential(cluster: Cluster, start: Start, tool: Tool) -> None:
    kind = f"probing-{cluster.namespace}"
    tool.ready.set()
    controller = await start("controller", "--probe-interval", "1s", "--log-level", "debug")
    await cluster.apply(probing_class(kind))
    await cluster.apply(
        connector("tool", tool.address, kind, auth=auth("basicAuth", "login"), namespace=cluster.namespace),
        basic_auth("login", "robot", WRONG, namespace=cluster.namespace),
    )
    scene = Scene(cluster, tool)
    await scene.until("AuthReady", "False", "AuthenticationFailed", seconds=5.0)
    found = await cluster.get("connectors", "tool")
    events = await cluster.ask("GET", cluster.path("events"))
    everything = repr(found) + repr(events) + controller.child.log
    encoded = base64.b64encode(f"robot:{WRONG}".encode()).decode()
    assert "AuthenticationFailed" in everything
    assert WRONG not in everything
    assert encoded not in everything


async def test_t09_a_probe_does_not_dial_what_must_not_be_reached(
    cluster: Cluster, exits: AsyncExitStack, tool: Tool, tmp_path: Path
) -> None:
    """Loopback is denied in a cluster: the last --allow-upstream counts, and it names another range."""
    kind = f"probing-{cluster.namespace}"
    tool.ready.set()
    kubeconfig = account_kubeconfig(cluster.server, "controller", tmp_path)
    controller = await start_controller(kubeconfig, "--allow-upstream", "192.0.2.0/24")
    exits.push_async_callback(controller.child.stop)
    await cluster.apply(probing_class(kind))
    named = [("literal", tool.address), ("name", tool.address.replace("127.0.0.1", "localhost"))]
    named += [("metadata", "http://169.254.169.254"), ("mapped", "http://[::ffff:127.0.0.1]:80")]
    for name, address in named:
        made = connector(name, address, kind, auth=auth("basicAuth", "login"), namespace=cluster.namespace)
        await cluster.apply(made)
    await cluster.apply(basic_auth("login", "robot", RIGHT, namespace=cluster.namespace))
    for name, _ in named:

        def denied(found: dict[str, Any] | None) -> bool:
            return all(
                condition(found, item).get("reason") == "TargetDenied" for item in ("LivenessReady", "AuthReady")
            )

        await cluster.until("connectors", name, denied, 5.0)
    assert tool.asked == []
