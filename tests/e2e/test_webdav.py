"""A real WebDAV tool (nginx and its dav module): COPY and MOVE through a real proxy, and what they cannot reach."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.peers.fixtures import StartNginx, StartProxy
from tests.peers.manifests import auth, basic_auth, connector, write
from tests.peers.nginx import Nginx
from tests.peers.proxy_process import ProxyProcess
from tests.peers.tools import program

pytestmark = [pytest.mark.e2e, pytest.mark.nginx]

KEY = "what the caller must not touch"


@dataclass(frozen=True, slots=True)
class Shelf:
    """A proxy before the tool: its Connector has the address `TOOL/public`; the tool has `private` beside that."""

    nginx: Nginx
    proxy: ProxyProcess
    files: Path

    @property
    def key(self) -> str:
        """What the file outside of the address holds."""
        return (self.files / "private" / "key").read_text(encoding="utf-8")

    async def asks(self, method: str, url: str, *fields: str) -> str:
        """Status, and reason where the proxy answers itself."""
        command = [program("curl"), "-q", "--silent", "--show-error", "--max-time", "20", "--path-as-is"]
        form = "%{http_code} %header{x-connectors-reason}"
        options = [option for field in fields for option in ("-H", field)]
        process = await asyncio.create_subprocess_exec(
            *command, "-X", method, "--output", "-", "--write-out", "\n" + form, *options, url,
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, _ = await process.communicate()
        assert process.returncode == 0, out
        return out.decode().rpartition("\n")[2].strip()


@pytest.fixture
async def shelf(tmp_path: Path, start_nginx: StartNginx, start_proxy: StartProxy) -> Shelf:
    """Start the tool, which knows files by the credential alone, and the proxy."""
    files = tmp_path / "files"
    for folder in ("public", "private"):
        (files / folder).mkdir(parents=True)
    (files / "public" / "a").write_text("a", encoding="utf-8")
    (files / "public" / "b").write_text("b", encoding="utf-8")
    (files / "private" / "key").write_text(KEY, encoding="utf-8")
    passwords = tmp_path / "passwords"
    passwords.write_text("robot:{PLAIN}s3cret\n", encoding="utf-8")
    nginx = await start_nginx(
        f"root {files}; dav_methods PUT DELETE MKCOL COPY MOVE; auth_basic x; auth_basic_user_file {passwords};"
    )
    manifests = write(
        tmp_path / "manifests",
        connector("tool", f"{nginx.address}/public", auth=auth("basicAuth", "login")),
        basic_auth("login", "robot", "s3cret"),
    )
    return Shelf(nginx, await start_proxy(manifests), files)


FORMS = ["host", "path"]
SPELLINGS = ["absolute", "path"]


def address(shelf: Shelf, form: str) -> str:
    return shelf.proxy.host_form("tool") if form == "host" else shelf.proxy.path_form("tool")


def spelled(url: str, spelling: str) -> str:
    """The Destination, as an absolute URL or as its path."""
    return url if spelling == "absolute" else "/" + url.split("/", 3)[3]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_t37_copy_and_move_work_within_the_address(shelf: Shelf, form: str, spelling: str) -> None:
    base = address(shelf, form)
    # Twice and more over: what is remembered of a request must do the same for the next one.
    for number in range(3):
        copied = spelled(f"{base}/copy%20{number}", spelling)
        assert await shelf.asks("COPY", f"{base}/b", f"Destination: {copied}") == "204"
        assert (shelf.files / "public" / f"copy {number}").read_text(encoding="utf-8") == "b"
        moved = spelled(f"{base}/moved{number}", spelling)
        assert await shelf.asks("MOVE", f"{base}/copy%20{number}", f"Destination: {moved}") == "204"
        assert (shelf.files / "public" / f"moved{number}").read_text(encoding="utf-8") == "b"
        assert not (shelf.files / "public" / f"copy {number}").exists()
    assert shelf.key == KEY


OUTSIDE = [
    "{tool}/private/key",
    "/private/key",
    "{base}/../private/key",
    "{path}/../private/key",
    "{base}/%2e%2e/private/key",
    "{path}/%2e%2e/private/key",
    "{base}/..%2fprivate/key",
    "{base}/%u002e./private/key",
    "//127.0.0.1/private/key",
    "{base}x/../private/key",
    "{tool}/public/../private/key",
    "{tool}/public/%2e%2e/private/key",
    "http://elsewhere.example/private/key",
    "../private/key",
    "key",
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("method", ["COPY", "MOVE"])
async def test_t37_what_lies_outside_is_not_overwritten(shelf: Shelf, form: str, method: str) -> None:
    base = address(shelf, form)
    path = "/" + (base + "/").split("/", 3)[3]
    got = {}
    for place in OUTSIDE:
        (shelf.files / "public" / "b").write_text("b", encoding="utf-8")
        destination = place.format(tool=shelf.nginx.address, base=base, path=path.rstrip("/"))
        got[destination] = await shelf.asks(method, f"{base}/b", f"Destination: {destination}", "Overwrite: T")
        assert shelf.key == KEY, destination
    # In host form `/private/key` is a place below the Connector's own root: the tool's `/public/private/key`.
    own = {"/private/key"} if form == "host" else set()
    assert {place for place, answer in got.items() if answer != "400 RequestMalformed"} == own
    assert not shelf.nginx.access_log or set(shelf.nginx.access_log.split()) & {"409", '"COPY', '"MOVE'}
