"""This proxy: `connectors serve`, or `python -m proxy` where callers are known by the API server; of any checkout."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from bench.behind import certificate_files
from bench.peers.logged import Logged
from bench.peers.peer import Callers, Peer, Running, Site
from standalone.demo import CHECKOUT
from tests.peers.fake_api_server import FakeApiServer
from tests.peers.manifests import Manifest, auth, basic_auth, caller_token, connector, write

CALLER = "system:serviceaccount:default:caller"
LOCAL = ("--allow-upstream", "127.0.0.0/8,::1")
READY = r"ready: .* on (https?://\S+)"


def ours(name: str = "Connectors", checkout: Path = CHECKOUT, *options: str) -> Peer:
    """The proxy of a checkout, run by the Python of that checkout's own .venv, with more options if they are given."""
    return Peer(
        name,
        partial(_start, checkout=checkout, options=options),
        lambda: str(python_of(checkout)) if python_of(checkout).exists() else None,
        f"make .venv/.dev in {checkout}",
        partial(commit_of, checkout),
    )


def python_of(checkout: Path) -> Path:
    """This very Python for the tree that it runs from, so that another virtual environment will do."""
    return Path(sys.executable) if checkout == CHECKOUT else checkout / ".venv" / "bin" / "python"


def commit_of(checkout: Path) -> str:
    """The commit, with a + where files differ from it; empty outside of a repository."""
    command = ["git", "-C", str(checkout), "describe", "--always", "--abbrev=7", "--dirty=+"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


async def _start(exits: AsyncExitStack, site: Site, *, checkout: Path, options: Sequence[str]) -> Running:
    if site.setup.callers is Callers.KUBERNETES:
        command, env = await _in_cluster(exits, site), {}
    else:
        command, env = _from_files(site), {"SSL_CERT_FILE": str(site.authority)} if site.tool_tls else {}
    command += ["--access-log", "on" if site.setup.access_log else "off", *_listener(site), *options]
    whole = [str(python_of(checkout)), "-m", *command, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
    proxy = await Logged.start(exits, whole, site.folder, env=env, cwd=checkout)
    port = int((await proxy.line(READY))[1].rpartition(":")[2])
    return Running(site.url(port), proxy.pid)


def _from_files(site: Site) -> list[str]:
    made = [
        connector("tool", site.tool, auth=auth("basicAuth", "login")),
        basic_auth("login", "robot", "secret"),
        caller_token("caller", site.token),
    ]
    manifests = write(site.folder / "manifests", *made)
    # Nothing is probed: what the tool sees is what was measured.
    return ["standalone", "serve", str(manifests), "--client-auth", site.setup.callers, "--probe-interval", "0"]


async def _in_cluster(exits: AsyncExitStack, site: Site) -> list[str]:
    server = await exits.enter_async_context(FakeApiServer())
    server.virtual["tokenreviews"] = lambda body: {**body, "status": _reviewed(body["spec"], site.token)}
    server.virtual["subjectaccessreviews"] = lambda body: {**body, "status": _allowed(body["spec"])}
    server.put(generic_class())
    data = {"username": "cm9ib3Q=", "password": "c2VjcmV0"}  # robot, secret: what AUTHORIZATION is made of
    metadata = {"name": "login", "namespace": "default"}
    kind = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/basic-auth"}
    server.put({**kind, "metadata": metadata, "data": data})
    server.put(connector("tool", site.tool, "generic", auth=auth("basicAuth", "login")))
    return ["proxy", "--kubeconfig", str(server.kubeconfig(site.folder)), "--client-auth", "kubernetes", *LOCAL]


def generic_class() -> Manifest:
    """The built-in class for any HTTP tool, which clusters get by `kubectl apply`."""
    made: Manifest = yaml.safe_load((CHECKOUT / "connectors" / "classes" / "generic.yaml").read_text(encoding="utf-8"))
    return made


def _reviewed(spec: dict[str, Any], token: str) -> dict[str, Any]:
    user = {"username": CALLER, "uid": "1", "groups": ["system:serviceaccounts"]}
    return {"authenticated": True, "user": user} if spec["token"] == token else {"authenticated": False}


def _allowed(spec: dict[str, Any]) -> dict[str, Any]:
    wanted = spec["resourceAttributes"]
    return {"allowed": (spec["user"], wanted["verb"], wanted["name"]) == (CALLER, "get", "tool")}


def _listener(site: Site) -> list[str]:
    if site.listener is None:
        return []
    chain, key = certificate_files(site.listener, site.folder)
    return ["--tls-cert", str(chain), "--tls-key", str(key)]
