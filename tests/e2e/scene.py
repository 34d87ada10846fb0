"""What tests of a caller's token share: a proxy that asks for tokens, a Connector, and the snippet that it prints."""

from __future__ import annotations

import os
import re
import sys
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import aiohttp

from standalone.child import Child
from standalone.demo import CHECKOUT
from tests.peers.fixtures import StartProxy
from tests.peers.git_server import PASSWORD, USERNAME
from tests.peers.manifests import Manifest, auth, basic_auth, caller_token, connector, connector_class, write
from tests.peers.proxy_process import ProxyProcess
from tests.peers.recorder import Recorder
from tests.peers.shell import Shell

INJECTED = "Basic " + b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
TOKEN = "eyJhbGciOiJ.canary-9b2f_token.c2ln-bmF0dXJl"
FORMS = ("host", "path")
PATH_RESOLVER = {"connectors.cpaas.io/proxy-resolver": "path"}
_TITLE = re.compile(r"^# ---- (.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Scene:
    """`parts` is the snippet of Connector `tool`, by title; `url` its proxy address; `audit` the audit log's file."""

    proxy: ProxyProcess
    audit: Path
    parts: dict[str, str]
    url: str
    token_file: Path

    @property
    def host(self) -> str:
        """The host of `url`."""
        return str(urlsplit(self.url).hostname)

    def assert_token_is_nowhere(self, *texts: str) -> None:
        """Neither in what the proxy says of itself, nor in these texts."""
        everything = "\n".join([self.proxy.child.log, self.audit.read_text(encoding="utf-8"), *texts])
        assert not [form for form in forms(TOKEN) if form in everything]

    def assert_only_the_proxy_got_it(self, tool: Recorder, other: Recorder, shell: Shell) -> None:
        """The tool saw the injected credential alone, another host was asked and got nothing, no argument shows it."""
        assert tool.authorizations == {INJECTED}
        assert other.authorizations == {""}
        self.assert_token_is_nowhere(shell.arguments, repr(tool.asked), repr(other.asked))
        assert '"user":"system:serviceaccount:default:ci"' in self.audit.read_text(encoding="utf-8")


def forms(token: str) -> list[str]:
    """A token as it might look anywhere: as it is, percent-encoded, and as Basic of the user names that tests use."""
    basic = [f"{name}:{token}" for name in ("token", "user", "")] + [f"{token}:"]
    return [token, quote(token, safe=""), "canary-9b2f", *(b64encode(text.encode()).decode() for text in basic)]


def connector_to(address: str, form: str = "host") -> list[Manifest]:
    """Connector `tool` with its credential, and the caller's token."""
    plain = connector_class("plain", [{"name": "basicAuth", "secretType": "kubernetes.io/basic-auth"}])
    plain["metadata"]["annotations"] = PATH_RESOLVER if form == "path" else {}
    return [
        plain,
        connector("tool", address, "plain", auth=auth("basicAuth", "login")),
        basic_auth("login", USERNAME, PASSWORD),
        caller_token("ci", TOKEN),
    ]


async def set_scene(
    folder: Path, start_proxy: StartProxy, address: str, form: str = "host", client_auth: str = "token"
) -> Scene:
    """Start the proxy, and ask it for the snippet as a user does. The token's file has a name that needs quotes."""
    audit = folder / "audit.log"
    manifests = write(folder / "manifests", *connector_to(address, form))
    proxy = await start_proxy(
        manifests, "--client-auth", client_auth, "--audit-log", str(audit), "--log-level", "debug"
    )
    token_file = folder / "the caller's $(id)" / "token"
    token_file.parent.mkdir()
    token_file.write_text(TOKEN + "\n", encoding="ascii")
    text = await get(proxy, "tool", "-o", "snippet", "--token-file", str(token_file))
    _, *found = _TITLE.split(text)
    parts = dict(zip(found[::2], found[1::2], strict=True))
    suffix = "/namespaces/default/connectors/tool" if form == "path" else ""
    return Scene(proxy, audit, parts, proxy.host_form("tool") + suffix, token_file)


async def get(proxy: ProxyProcess, *words: str) -> str:
    """What `connectors get` prints."""
    command = [sys.executable, "-m", "standalone", "get", *words, "--server", proxy.admin]
    child = await Child.start("connectors get", command, env={"PATH": os.defpath}, cwd=CHECKOUT)
    assert await child.wait() == 0, child.log
    await child.stop()
    return child.log


async def exposition(proxy: ProxyProcess) -> str:
    """What /metrics shows."""
    async with aiohttp.ClientSession() as session, session.get(f"{proxy.admin}/metrics") as answer:
        return await answer.text()
