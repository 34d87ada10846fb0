"""A small password-protected git server for the demo and the tests: git's own `git http-backend` behind HTTP Basic.

    GIT_PASSWORD=s3cret python examples/git_server/server.py --root /tmp/repos --port 3000 --prefix /git \
        --username demo --password-env GIT_PASSWORD --seed demo.git

Its first line of output is `listening on http://127.0.0.1:PORT/PREFIX`. Bodies are streamed both ways (RFC 3875, CGI;
git-http-backend(1)), so a push may have any size. With --journal FILE it writes one JSON line for each request it saw.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hmac
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

CHUNK = 64 * 1024
"""Bytes read from git at once: what a pipe holds on Linux."""
HEAD_LIMIT = 64 * 1024
"""Bytes of a CGI header: git's own is under 1 KiB."""
MASKED = frozenset({"authorization", "cookie", "private-token", "proxy-authorization", "x-api-key"})
GIT_CONFIG = {"http.receivepack": "true", "safe.directory": "*", "receive.denyNonFastForwards": "false"}


@dataclass(frozen=True, slots=True)
class Site:
    """What is served, and to whom."""

    root: Path
    prefix: str
    authorization: str
    journal: Path | None

    def knows(self, request: web.Request) -> bool:
        """Whether the request carries the right user and password."""
        given = request.headers.getall("Authorization", [])
        return len(given) == 1 and hmac.compare_digest(given[0].encode(errors="replace"), self.authorization.encode())

    def record(self, request: web.Request) -> None:
        """Append what was seen to the journal, with the values of credentials masked."""
        if self.journal is None:
            return
        line = {
            "method": request.method,
            "path": request.raw_path,
            "headers": [[name, mask(name, value)] for name, value in _raw_headers(request)],
            "authorized": self.knows(request),
            "remote": request.remote,
        }
        with self.journal.open("a", encoding="utf-8") as journal:
            journal.write(json.dumps(line) + "\n")


def mask(name: str, value: str) -> str:
    """The value of a header as it may be shown: of a credential only its scheme."""
    if name.lower() not in MASKED:
        return value
    scheme, space, _ = value.partition(" ")
    return f"{scheme} ********" if space else "********"


def _raw_headers(request: web.Request) -> Iterable[tuple[str, str]]:
    for name, value in request.raw_headers:
        yield name.decode("latin-1"), value.decode("latin-1")


SITE = web.AppKey("SITE", Site)


async def handle(request: web.Request) -> web.StreamResponse:
    """Answer one request: 401 without the password, else whatever git says."""
    site = request.app[SITE]
    site.record(request)
    if not site.knows(request):
        return web.Response(
            status=401, headers={"WWW-Authenticate": 'Basic realm="git"'}, text="a password is needed\n"
        )
    process = await asyncio.create_subprocess_exec(
        "git",
        "http-backend",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=cgi_environment(request, site),
        start_new_session=True,
        limit=HEAD_LIMIT,
    )
    feeding = asyncio.create_task(_feed(request, process.stdin))
    try:
        return await _answer(request, process.stdout)
    finally:
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
        # git http-backend starts further git processes: end all of its session, also where the client has gone.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def cgi_environment(request: web.Request, site: Site) -> dict[str, str]:
    """The meta-variables of a request (RFC 3875 section 4.1), and git's own."""
    headers = request.headers
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(site.root),
        "GATEWAY_INTERFACE": "CGI/1.1",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REQUEST_METHOD": request.method,
        "PATH_INFO": request.path.removeprefix(site.prefix),
        "QUERY_STRING": request.raw_path.partition("?")[2],
        "CONTENT_TYPE": headers.get("Content-Type", ""),
        "REMOTE_ADDR": request.remote or "",
        "REMOTE_USER": "authenticated",
        "GIT_PROJECT_ROOT": str(site.root),
        "GIT_HTTP_EXPORT_ALL": "1",
        "GIT_CONFIG_NOSYSTEM": "1",
        **_git_config(),
    }
    optional = {
        "CONTENT_LENGTH": "Content-Length",
        "HTTP_CONTENT_ENCODING": "Content-Encoding",
        "GIT_PROTOCOL": "Git-Protocol",
    }
    return environment | {variable: headers[name] for variable, name in optional.items() if name in headers}


def _git_config() -> dict[str, str]:
    environment = {"GIT_CONFIG_COUNT": str(len(GIT_CONFIG))}
    for number, (key, value) in enumerate(GIT_CONFIG.items()):
        environment |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return environment


async def _feed(request: web.Request, git: asyncio.StreamWriter | None) -> None:
    """Stream the request body into git. git may stop reading early: its answer says why, so that is no failure here."""
    if git is None:
        return
    with suppress(BrokenPipeError, ConnectionResetError):
        async for piece in request.content.iter_any():
            git.write(piece)
            await git.drain()
    git.close()


async def _answer(request: web.Request, git: asyncio.StreamReader | None) -> web.StreamResponse:
    """Stream git's answer to the client; 500 where git ended without one."""
    response = web.StreamResponse()
    line = await git.readline() if git else b""
    if git is None or not line:
        return web.Response(status=500, text="git http-backend ended without an answer\n")
    while stripped := line.strip():
        name, _, value = stripped.decode("latin-1").partition(":")
        if name.lower() == "status":
            response.set_status(int(value.split()[0]))
        else:
            response.headers[name] = value.strip()
        line = await git.readline()
    await response.prepare(request)
    while piece := await git.read(CHUNK):
        await response.write(piece)
    await response.write_eof()
    return response


async def _continue(request: web.Request) -> None:
    """Ask for the body only where it will be read (RFC 9110 section 10.1.1)."""
    if request.app[SITE].knows(request):
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0


def seed(root: Path, name: str) -> None:
    """Make the bare repository `name` with one commit, unless it is there."""
    bare = root / name
    if bare.exists():
        return
    identity = {"NAME": "Quickstart", "EMAIL": "quickstart@example.com"}
    people = {f"GIT_{who}_{key}": value for who in ("AUTHOR", "COMMITTER") for key, value in identity.items()}
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(root), "GIT_CONFIG_NOSYSTEM": "1", **people}

    def git(*arguments: str, cwd: Path = root) -> None:
        subprocess.run(["git", *arguments], cwd=cwd, env=environment, check=True, stdout=subprocess.DEVNULL)

    git("init", "--quiet", "--bare", "--initial-branch=main", str(bare))
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        (work / "README.md").write_text("# A repository behind a password\n", encoding="utf-8")
        git("init", "--quiet", "--initial-branch=main", cwd=work)
        git("add", "README.md", cwd=work)
        git("commit", "--quiet", "--message=First commit", cwd=work)
        git("push", "--quiet", str(bare), "main", cwd=work)


async def serve(site: Site, port: int) -> None:
    """Serve until SIGTERM or SIGINT. Port 0: the kernel chooses one."""
    app = web.Application()
    app[SITE] = site
    app.router.add_route("*", f"{site.prefix}/{{path:.*}}", handle, expect_handler=_continue)
    # handler_cancellation: a client that goes must end its git process. Bodies stay encoded: git decodes them itself.
    runner = web.AppRunner(app, handler_cancellation=True, auto_decompress=False, access_log=None, shutdown_timeout=1)
    await runner.setup()
    listener = web.TCPSite(runner, "127.0.0.1", port)
    await listener.start()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    print(f"listening on http://127.0.0.1:{runner.addresses[0][1]}{site.prefix}", flush=True)
    await stopped.wait()
    await runner.cleanup()


def port(text: str) -> int:
    """A port number, as argparse takes it."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535; 0: the kernel chooses")
    return int(text)


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="git http-backend behind HTTP Basic, on 127.0.0.1")
    parser.add_argument("--root", type=Path, required=True, help="folder of bare repositories; made if it is missing")
    parser.add_argument("--port", type=port, default=3000, help="0: the kernel chooses (default: %(default)s)")
    parser.add_argument("--prefix", default="", help="path below which the repositories stand, such as /git")
    parser.add_argument("--username", required=True)
    parser.add_argument(
        "--password-env", required=True, metavar="VARIABLE", help="environment variable of the password"
    )
    parser.add_argument("--journal", type=Path, help="file for one JSON line a request, credentials masked")
    parser.add_argument("--seed", metavar="NAME", help="make this bare repository with one commit if it is missing")
    options = parser.parse_args()
    password = os.environ.get(options.password_env)
    if password is None:
        parser.error(f"environment variable {options.password_env} is not set; set it to the password")
    try:
        options.root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"--root {options.root} cannot be made: {error.strerror}; choose another folder")
    if options.seed:
        seed(options.root, options.seed)
    token = base64.b64encode(f"{options.username}:{password}".encode()).decode("ascii")
    site = Site(options.root.resolve(), options.prefix.rstrip("/"), f"Basic {token}", options.journal)
    try:
        asyncio.run(serve(site, options.port))
    except OSError as error:
        print(
            f"port {options.port} cannot be listened on: {error.strerror}; choose another with --port", file=sys.stderr
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
