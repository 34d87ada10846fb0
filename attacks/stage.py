"""`connectors serve` with two tenants, and their tools: where most attacks are played."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from shutil import which

import trustme

from attacks.attack import CALM, LOUD, Attack, Scene, Setting
from attacks.hostile import HOST, HostileTool
from attacks.watched.sitecustomize import WATCHED
from attacks.watching import Watching
from bench.behind import certificate_files
from bench.peers.logged import Logged
from bench.tools import Manner, ToolsRun
from standalone.demo import ADMIN_LINE, CHECKOUT
from tests.peers.manifests import caller_token, connector, write
from tests.peers.nginx import start_nginx
from tests.peers.ports import bound

READY = r"ready: .* on (https?://\S+)"
INSIDE = Path(__file__).parent / "watched"
# Unused connections to tools end within the time in which all must be as before, so that a lost one is seen.
ALWAYS = ("--listen", "127.0.0.1:0", "--access-log", "off", "--upstream-idle-timeout", "2s")
CALM_TOKEN = "the-token-of-the-other-tenant"  # noqa: S105 - made up


async def serve_scene(attack: Attack, setting: Setting) -> Scene:
    """Start it all.

    Raises:
        CannotPlayError: the machine lacks something.
        CannotError: the proxy did not start.
    """
    exits, folder = setting.exits, setting.folder
    hostile = await HostileTool.start()
    exits.push_async_callback(hostile.child.stop)
    manifests = await _manifests(attack, setting, hostile.address)
    # Of our choice: a proxy that is told another one than it gets does not know it for its own (threat 35).
    (free,) = bound(HOST)
    place = f"{HOST}:{free.getsockname()[1]}"
    free.close()
    options = [*ALWAYS, "--admin", place, "--workers", str(setting.workers), "--probe-interval", "0"]
    options += [option.format(connections=setting.scale.connections) for option in attack.options]
    if not attack.token:
        options += ["--client-auth", "none"]
    if attack.tls:
        chain, key = certificate_files(trustme.CA().issue_cert("localhost", "*.calm.localhost"), folder)
        options += ["--tls-cert", str(chain), "--tls-key", str(key)]
    command = [sys.executable, "-m", "standalone", "serve", str(manifests), *options]
    if attack.around is not None:
        command = [*await attack.around(exits, folder), *command]
    proxy, watched = await watched_process(setting, command)
    port = int((await proxy.line(READY))[1].rpartition(":")[2])
    admin = (await proxy.line(ADMIN_LINE))[1]
    neighbour = neighbour_command(port, admin, f"c-tool.{CALM}.localhost", *_known(attack))
    return Scene(exits, manifests, setting.scale, port, admin, Watching(proxy.pid, admin, watched), hostile, neighbour)


async def watched_process(setting: Setting, command: Sequence[str]) -> tuple[Logged, Path]:
    """Run it, as attacks/watched measures it; returns the folder with what it measures, too."""
    watched, own = setting.folder / "watched", setting.folder / "proxy"
    for made in (watched, own):
        made.mkdir()
    env = {"PYTHONPATH": str(INSIDE), WATCHED: str(watched)}
    return await Logged.start(setting.exits, command, own, env=env, cwd=CHECKOUT), watched


def neighbour_command(port: int, admin: str, host: str, *options: str) -> list[str]:
    """The other tenant's client."""
    return [sys.executable, "-m", "attacks.neighbour", str(port), admin.rpartition(":")[2], host, *options]


def _known(attack: Attack) -> list[str]:
    token = ["--token", CALM_TOKEN] if attack.token else []
    return [*token, *(["--tls"] if attack.tls else [])]


async def _manifests(attack: Attack, setting: Setting, hostile: str) -> Path:
    calm = await calm_tool(setting)
    if attack.calm_by_name:
        calm = calm.replace("127.0.0.1", "localhost")
    made = [
        connector("tool", calm, namespace=CALM),
        connector("evil", hostile + "/git", namespace=LOUD),
        *attack.manifests(hostile),
    ]
    if attack.token:
        made += [
            caller_token("caller", CALM_TOKEN, namespace=CALM),
            caller_token("caller", attack.token, namespace=LOUD),
        ]
    return write(setting.folder / "manifests", *made)


async def calm_tool(setting: Setting) -> str:
    """The address of the other tenant's tool: nginx, or the tests' own where the machine lacks that."""
    if which("nginx"):
        nginx = await start_nginx(setting.folder / "nginx", 'location / { return 200 "ok"; }')
        setting.exits.push_async_callback(nginx.child.stop)
        return nginx.address
    tools = await ToolsRun.start([Manner.WELL], 0.0)
    setting.exits.push_async_callback(tools.child.stop)
    return tools.addresses[0]
