"""`connectors demo`: the main job end to end, with a real git and a real git server, on this machine alone."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import urllib.request
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import yaml

from standalone.child import Child, ChildError
from standalone.objects import BASE

CHECKOUT = Path(__file__).resolve().parent.parent
MANIFESTS = CHECKOUT / "examples" / "quickstart"
GIT_SERVER = CHECKOUT / "examples" / "git_server" / "server.py"
# spec.address of the example's Connector: where `make serve` runs the git server.
ADDRESS = "http://127.0.0.1:3000/git"
SECRET = "demo-git"  # noqa: S105 - an object's name
REPOSITORY = "demo.git"


class QuickstartError(Exception):
    """The quickstart cannot run; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as the git server saw it: `authorization` has its value masked, and is empty if there was none."""

    method: str
    path: str
    authorization: str
    authorized: bool


def require_tools() -> None:
    """Raise QuickstartError if git, or the checkout with its examples, is missing."""
    if not GIT_SERVER.is_file():
        raise QuickstartError(f"{GIT_SERVER} is missing; run this from a checkout of the project, not from a package")
    if shutil.which("git") is None:
        raise QuickstartError("git is not installed; on Debian and Ubuntu: apt-get install git")


def search_path() -> str:
    """PATH for children that are given no environment but their own: where git is, and the system's folders."""
    git = shutil.which("git")
    return os.pathsep.join([str(Path(git).parent), os.defpath]) if git else os.defpath


def login(manifests: Path) -> Mapping[str, str]:
    """`username` and `password` as the quickstart's Secret has them, so that server and Secret cannot disagree."""
    for path in sorted(manifests.glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            if document["kind"] == "Secret" and document["metadata"]["name"] == SECRET:
                data: dict[str, str] = document["stringData"]
                return data
    raise QuickstartError(f"no Secret {SECRET} below {manifests}; restore the example's files")


def copy_manifests(folder: Path, address: str) -> Path:
    """Copy the quickstart's manifests below `folder`, with the git server's address replaced."""
    target = folder / "manifests"
    shutil.copytree(MANIFESTS, target)
    for path in target.glob("*.yaml"):
        path.write_text(path.read_text(encoding="utf-8").replace(ADDRESS, address), encoding="utf-8")
    return target


async def start_git_server(root: Path, port: int = 0, journal: Path | None = None) -> Child:
    """Start the example git server with the repository `demo.git` in `root`. Port 0: the kernel chooses."""
    user = login(MANIFESTS)
    command = [sys.executable, str(GIT_SERVER), "--root", str(root), "--port", str(port), "--prefix", "/git"]
    command += ["--username", user["username"], "--password-env", "GIT_PASSWORD", "--seed", REPOSITORY]
    command += ["--journal", str(journal)] if journal else []
    env = {"PATH": search_path(), "GIT_PASSWORD": user["password"]}
    return await Child.start("the git server", command, env=env)


async def start_proxy(manifests: Path, *options: str) -> Child:
    """Start `connectors serve` on `manifests`."""
    command = [sys.executable, "-m", "standalone", "serve", str(manifests), "--log-format", "text", *options]
    return await Child.start("connectors serve", command, cwd=CHECKOUT)


def read_journal(journal: Path) -> list[Seen]:
    """Everything that the git server has seen so far."""
    if not journal.exists():
        return []
    return [_seen(json.loads(line)) for line in journal.read_text(encoding="utf-8").splitlines()]


def _seen(entry: Mapping[str, Any]) -> Seen:
    values = [value for name, value in entry["headers"] if name.lower() == "authorization"]
    return Seen(entry["method"], entry["path"], ", ".join(values), entry["authorized"])


# Seconds: a probe gives up after ten.
PROBED_WITHIN = 15.0
CONNECTOR = f"{BASE}/namespaces/default/connectors/demo"
IDENTITY = {
    "GIT_AUTHOR_NAME": "Demo",
    "GIT_AUTHOR_EMAIL": "demo@example.com",
    "GIT_COMMITTER_NAME": "Demo",
    "GIT_COMMITTER_EMAIL": "demo@example.com",
}


@dataclass(slots=True)
class Stage:
    """What the demo runs on: one temporary folder, and the processes that it has to end."""

    folder: Path
    exits: AsyncExitStack
    step: str = "start"
    number: int = 0
    children: list[Child] = field(default_factory=list)

    def begin(self, step: str) -> None:
        """Name the step that comes now, for the reader and for a failure's message."""
        self.step = step
        self.number += 1
        print(f"\n{self.number}. {step}", flush=True)

    def keep(self, child: Child) -> Child:
        """Have a process ended when the demo ends, however it ends."""
        self.children.append(child)
        self.exits.push_async_callback(child.stop)
        return child

    @property
    def trace(self) -> Path:
        """Where git writes each header that it sends."""
        return self.folder / "git-trace"

    @property
    def journal(self) -> Path:
        """Where the git server writes what it saw."""
        return self.folder / "journal"


def main(words: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    """Run the demo, or with --serve keep the quickstart running. Returns 1 if a step failed."""
    parser = argparse.ArgumentParser("connectors demo", description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "--serve",
        action="store_true",
        help="keep the quickstart running: the git server on port 3000, the proxy on 8080, its admin port on 8081",
    )
    options = parser.parse_args(words)
    try:
        require_tools()
    except QuickstartError as error:
        print(f"the demo cannot run: {error}", file=sys.stderr)
        return 1
    return asyncio.run(_run(_serve if options.serve else _demo))


async def _run(job: Callable[[Stage], Awaitable[None]]) -> int:
    task = asyncio.current_task()
    if task is not None:  # SIGTERM must end the children too, as SIGINT does
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with tempfile.TemporaryDirectory(prefix="connectors-demo-") as name:
        async with AsyncExitStack() as exits:
            stage = Stage(Path(name), exits)
            try:
                await job(stage)
            except (ChildError, QuickstartError, OSError) as error:
                _report(stage, str(error))
                return 1
            except asyncio.CancelledError:
                return 0 if job is _serve else 128 + signal.SIGINT
    return 0


def _report(stage: Stage, error: str) -> None:
    sys.stdout.flush()
    print(f"\nthe demo failed in step {stage.number} ({stage.step}): {error}", file=sys.stderr)
    for child in stage.children:
        if child.log and child.log not in error:
            print(f"\n--- output of {child.name} ---\n{child.log}", file=sys.stderr)


async def _demo(stage: Stage) -> None:
    stage.begin("A git server that asks for a password (git http-backend behind HTTP Basic)")
    git_server = stage.keep(await start_git_server(stage.folder / "repositories", journal=stage.journal))
    direct = (await git_server.line(r"^listening on (http://\S+)"))[1]
    await _refused(stage, f"{direct}/{REPOSITORY}")

    stage.begin("Proxy and controller on a copy of examples/quickstart, with that server's address")
    manifests = copy_manifests(stage.folder, direct)
    proxy = stage.keep(await start_proxy(manifests, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"))
    _show((await proxy.line(r"^ready: .*"))[0])
    admin = (await proxy.line(ADMIN_LINE))[1]
    url = await asyncio.to_thread(_proxy_url, admin)
    _show(f"status.proxy.httpAddress.url of the Connector demo: {url}")
    _show("probed: " + await asyncio.to_thread(_probed, admin))
    url = await _resolvable(stage, url)

    before = len(read_journal(stage.journal))
    work = stage.folder / "work"
    stage.begin("git clone, without any credential")
    await _git(stage, "clone", f"{url}/{REPOSITORY}", str(work))
    stage.begin("git commit and git push, without any credential")
    (work / "CHANGED.md").write_text("Pushed through a Connector.\n", encoding="utf-8")
    await _git(stage, "-C", str(work), "add", "CHANGED.md")
    await _git(stage, "-C", str(work), "commit", "--message", "Through the Connector")
    await _git(stage, "-C", str(work), "push", "origin", "main")

    stage.begin("What arrived in the server's repository")
    await _arrived(stage)
    stage.begin("What the tool saw, values masked")
    _compare(stage, read_journal(stage.journal)[before:])
    stage.begin("connectors get")
    table = await _python(stage, "-m", "standalone", "get", "--server", admin)
    _show(table)
    print("\nDone: cloned and pushed, and git never had the password.")


# Where `connectors serve` says which admin port the kernel chose.
ADMIN_LINE = r"\badmin\b.*?(http://[^\s/\"]+)"


async def _serve(stage: Stage) -> None:
    stage.begin("Serving examples/quickstart; Ctrl-C ends it")
    repositories = stage.folder / "repositories"
    git_server = stage.keep(
        await start_git_server(repositories, port=int(ADDRESS.split(":")[2].split("/", maxsplit=1)[0]))
    )
    _show("git server " + (await git_server.line(r"^listening on http://\S+"))[0])
    proxy = stage.keep(await start_proxy(MANIFESTS))
    url = (await proxy.line(r"^ready: .* on (http://\S+)"))[1]
    port = url.rpartition(":")[2]
    _show(f"proxy {url}; try: git clone http://c-demo.default.localhost:{port}/{REPOSITORY}")
    code = await proxy.wait()
    if code:
        raise ChildError(f"connectors serve ended with exit code {code}")


async def _refused(stage: Stage, url: str) -> None:
    """Prove that the server is shut to a client without the password."""
    child = await _start_git(stage, "clone", url, str(stage.folder / "direct"))
    if await child.wait() == 0 or not (seen := read_journal(stage.journal)) or any(entry.authorized for entry in seen):
        raise QuickstartError(f"{url} could be cloned without a password:\n{child.log}")
    _show(f"git clone {url}\n{child.log}\n(refused with 401, as it should be: no proxy, no password)")


async def _resolvable(stage: Stage, url: str) -> str:
    """`url`, or the same Connector in path form where this machine's git cannot look up names below .localhost.

    libcurl resolves them itself from 7.85 on; before that it takes a resolver that knows RFC 6761 section 6.3.
    """
    child = await _start_git(stage, "ls-remote", f"{url}/{REPOSITORY}")
    if await child.wait() == 0 or "Could not resolve host" not in child.log:
        return url
    by_path = f"http://127.0.0.1:{url.rpartition(':')[2]}/namespaces/default/connectors/demo"
    _show(f"this machine cannot look up names below .localhost, so git uses the path form: {by_path}")
    return by_path


async def _git(stage: Stage, *arguments: str) -> None:
    child = await _start_git(stage, *arguments)
    code = await child.wait()
    shown = [word for word in arguments if word not in {"-C", str(stage.folder / "work")}]
    if code:
        raise QuickstartError(f"git {' '.join(shown)} ended with exit code {code}:\n{child.log}")
    _show(f"git {' '.join(shown)}\n{child.log}")


async def _start_git(stage: Stage, *arguments: str) -> Child:
    env = {
        "PATH": search_path(),
        "HOME": str(stage.folder),
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_TRACE_CURL": str(stage.trace),
        "GIT_TRACE_CURL_NO_DATA": "1",
        **IDENTITY,
    }
    return stage.keep(await Child.start(f"git {' '.join(arguments)}", ["git", *arguments], env=env))


async def _python(stage: Stage, *arguments: str) -> str:
    child = stage.keep(await Child.start(f"python {' '.join(arguments)}", [sys.executable, *arguments], cwd=CHECKOUT))
    if code := await child.wait():
        raise QuickstartError(f"{child.name} ended with exit code {code}:\n{child.log}")
    return child.log


async def _arrived(stage: Stage) -> None:
    bare = str(stage.folder / "repositories" / REPOSITORY)
    child = await _start_git(stage, "-C", bare, "log", "--oneline", "main")
    if await child.wait() or "Through the Connector" not in child.log:
        raise QuickstartError(f"the commit did not arrive:\n{child.log}")
    _show(child.log)


def _compare(stage: Stage, seen: Sequence[Seen]) -> None:
    """Show the credential on the tool's side, and prove that it was never on git's side."""
    for entry in seen:
        verdict = "accepted" if entry.authorized else "refused"
        _show(f"{entry.method:4} {entry.path}\n     Authorization: {entry.authorization or 'none'} -> {verdict}")
    if not seen or not all(entry.authorized for entry in seen):
        raise QuickstartError("the tool saw a request through the proxy without the right credential")
    sent = [line.lower() for line in stage.trace.read_text(encoding="utf-8", errors="replace").splitlines()]
    heads = [line for line in sent if "=> send header: " in line]
    if any("send header: authorization:" in line for line in heads):
        raise QuickstartError("git itself sent an Authorization header; is a credential helper configured?")
    _show(f"git's own trace: {len(heads)} header lines sent, no Authorization among them")


def _proxy_url(admin: str) -> str:
    """status.proxy.httpAddress.url, as a client must read it (never build the address)."""
    url: str | None = _connector(admin).get("status", {}).get("proxy", {}).get("httpAddress", {}).get("url")
    if not url:
        raise QuickstartError("the Connector demo has no status.proxy.httpAddress.url")
    return url


def _connector(admin: str) -> dict[str, Any]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(admin + CONNECTOR, timeout=10.0) as answer:
        connector: dict[str, Any] = msgspec.json.decode(answer.read())
    return connector


def _probed(admin: str) -> str:
    """LivenessReady and AuthReady, once both are known: no further probe runs during the demo."""
    end = time.monotonic() + PROBED_WITHIN
    while True:
        conditions = _connector(admin)["status"]["conditions"]
        found = {item["type"]: item["status"] for item in conditions if item["type"] in {"LivenessReady", "AuthReady"}}
        if "Unknown" not in found.values():
            break
        if time.monotonic() > end:
            raise QuickstartError(f"the Connector demo was not probed within {PROBED_WITHIN:g} s")
        time.sleep(0.05)
    if set(found.values()) != {"True"}:
        raise QuickstartError(f"the probes of the Connector demo failed: {json.dumps(conditions, indent=2)}")
    return ", ".join(f"{kind} {status}" for kind, status in found.items())


def _show(text: str) -> None:
    for line in text.splitlines():
        print(f"   {line}".rstrip(), flush=True)
