"""Who may use a Connector: a table on a real API server, with its own tokens, roles and bindings.

token x grant x flag x resolver x class -> decision and reason.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec

from tests.cluster import grants
from tests.cluster.grants import GET, PROXY, account, group, rule
from tests.cluster.installed import SYSTEM, Cluster, account_kubeconfig
from tests.cluster.tokens import bound_to_secret, claims_of, signed, signing_key, unsigned
from tests.peers.api_server import ADMIN_TOKEN, ApiServer
from tests.peers.cluster_processes import ClusterProcess, start_cluster_proxy
from tests.peers.kubectl import Kubectl
from tests.peers.manifests import Manifest, auth, connector, connector_class
from tests.peers.tool import serve_tool

pytestmark = [pytest.mark.apiserver, pytest.mark.slow, pytest.mark.timeout(240)]

TEAM, ELSE, PIPELINES = "callers-team", "callers-else", "callers-pipelines"
URL = f"http://c-tool.{TEAM}.svc.cluster.local"
FLIP_SECONDS = 2.0
DAY = 24 * 3600

# -- how a token is presented


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def basic(username: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()}


def password(token: str) -> dict[str, str]:
    return basic("anybody", token)


def no_user(token: str) -> dict[str, str]:
    return basic("", token)


def user_alone(token: str) -> dict[str, str]:
    return basic(token, "")


def private(token: str) -> dict[str, str]:
    return {"PRIVATE-TOKEN": token}


def dummy_and_private(token: str) -> dict[str, str]:
    return {"Authorization": "Bearer placeholder", "PRIVATE-TOKEN": token}


def token_and_dummy(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", "PRIVATE-TOKEN": "placeholder"}


def nothing(_: str) -> dict[str, str]:
    return {}


Form = Callable[[str], dict[str, str]]

# -- what the request means


class Place(NamedTuple):
    """Host and path of a request."""

    host: str
    path: str = "/x"


def host(name: str, namespace: str = TEAM) -> Place:
    return Place(f"c-{name}.{namespace}.svc.cluster.local")


def path(name: str, namespace: str = TEAM, on: str = "proxy.example") -> Place:
    return Place(on, f"/namespaces/{namespace}/connectors/{name}/x")


TOOL = host("tool")


class Row(NamedTuple):
    """`token` is a key of World.tokens; `flag`: enable-connector-proxy-permissions; `strict`: --require-audience."""

    name: str
    token: str
    form: Form
    place: Place
    status: int
    reason: str | None = None
    flag: bool = False
    strict: bool = False


UNKNOWN, NO, GONE = (401, "Unauthenticated"), (403, "Forbidden"), (404, "ConnectorNotFound")

ROWS = [
    # Tokens, of an account that may.
    Row("a token for the API server", "getter", bearer, TOOL, 200),
    Row("as a password", "getter", password, TOOL, 200),
    Row("as a password without a user", "getter", no_user, TOOL, 200),
    Row("as a user without a password", "getter", user_alone, TOOL, 200),
    Row("none", "getter", nothing, TOOL, *UNKNOWN),
    Row("for the proxy URL", "for the URL", bearer, TOOL, 200),
    Row("for both", "for both", bearer, TOOL, 200),
    Row("for the proxy URL of the path form", "for the path URL", bearer, TOOL, 200),
    Row("for another Connector's proxy URL", "for another Connector", bearer, TOOL, *UNKNOWN),
    Row("for another service", "for vault", bearer, TOOL, *UNKNOWN),
    Row("expired", "expired", bearer, TOOL, *UNKNOWN),
    Row("not valid yet", "not yet", bearer, TOOL, *UNKNOWN),
    Row("of an account that was deleted", "deleted account", bearer, TOOL, *UNKNOWN),
    Row("of an account that was deleted and made again", "former account", bearer, TOOL, *UNKNOWN),
    Row("bound to a Secret that was deleted", "revoked", bearer, TOOL, *UNKNOWN),
    Row("bound to a Secret that is there", "bound", bearer, TOOL, 200),
    Row("of another cluster", "other cluster", bearer, TOOL, *UNKNOWN),
    Row("unsigned", "unsigned", bearer, TOOL, *UNKNOWN),
    Row("with claims changed", "tampered", bearer, TOOL, *UNKNOWN),
    Row("cut short", "cut", bearer, TOOL, *UNKNOWN),
    Row("no token at all", "garbage", bearer, TOOL, *UNKNOWN),
    Row("three dots", "dots", bearer, TOOL, *UNKNOWN),
    Row("of the API server's admin", "admin", bearer, TOOL, 200),
    # Grants.
    Row("no role", "nobody", bearer, TOOL, *NO),
    Row("get on this name", "named", bearer, TOOL, 200),
    Row("get on this name, another Connector", "named", bearer, host("gitlab"), *NO),
    Row("list and watch", "lister", bearer, TOOL, *NO),
    Row("update", "updater", bearer, TOOL, *NO),
    Row("the subresource alone", "proxy only", bearer, TOOL, *NO),
    Row("a role in another namespace", "getter of else", bearer, TOOL, *NO),
    Row("a role here, the account elsewhere", "visitor", bearer, TOOL, 200),
    Row("by the group of a namespace's accounts", "grouped", bearer, TOOL, 200),
    Row("the shipped viewer role, everywhere", "viewer", bearer, TOOL, 200),
    Row("the shipped user role", "user", bearer, TOOL, 200),
    # The flag.
    Row("get alone, with the flag", "getter", bearer, TOOL, *NO, flag=True),
    Row("the subresource alone, with the flag", "proxy only", bearer, TOOL, *NO, flag=True),
    Row("both, with the flag", "full", bearer, TOOL, 200, flag=True),
    Row("both, without the flag", "full", bearer, TOOL, 200),
    Row("get on the subresource is not *", "proxy getter", bearer, TOOL, *NO, flag=True),
    Row("the shipped viewer role, with the flag", "viewer", bearer, TOOL, *NO, flag=True),
    Row("the shipped user role, with the flag", "user", bearer, TOOL, 200, flag=True),
    Row("no role, with the flag", "nobody", bearer, TOOL, *NO, flag=True),
    Row("no token, with the flag", "getter", nothing, TOOL, *UNKNOWN, flag=True),
    Row("admin, with the flag", "admin", bearer, TOOL, 200, flag=True),
    # The resolver.
    Row("by path", "getter", bearer, path("tool"), 200),
    Row("by path, no role", "nobody", bearer, path("tool"), *NO),
    Row("by path, no token", "getter", nothing, path("tool"), *UNKNOWN),
    Row("by path on its own host", "getter", bearer, path("tool", on=f"c-tool.{TEAM}.svc"), 200),
    Row("path resolver", "getter", bearer, path("harbor", on=f"c-harbor.{TEAM}.svc.cluster.local"), 200),
    Row("path resolver, flag", "getter", bearer, path("harbor", on=f"c-harbor.{TEAM}.svc"), *NO, flag=True),
    Row("path resolver, no role", "nobody", bearer, path("harbor", on=f"c-harbor.{TEAM}.svc"), *NO),
    Row("path of one, Host of another", "named", bearer, path("tool", on=f"c-harbor.{TEAM}.svc"), *NO),
    Row("path of one, Host of another, both allowed", "getter", bearer, path("tool", on=f"c-harbor.{TEAM}.svc"), 200),
    Row("path of else, Host of ours", "getter", bearer, path("tool", ELSE, on=f"c-harbor.{TEAM}.svc"), *NO),
    # The class.
    Row("the class's header", "getter", private, host("gitlab"), 200),
    Row("the standard header beside it", "getter", bearer, host("gitlab"), 200),
    Row("as a password, beside it", "getter", password, host("gitlab"), 200),
    Row("the class's header behind a dummy", "getter", dummy_and_private, host("gitlab"), 200),
    Row("the standard header before a dummy", "getter", token_and_dummy, host("gitlab"), 200),
    Row("the class's header, no role", "nobody", private, host("gitlab"), *NO),
    Row("the class's header, a bad token", "garbage", private, host("gitlab"), *UNKNOWN),
    Row("the class's header, a token for the proxy URL", "for the GitLab URL", private, host("gitlab"), 200),
    Row("the class's header, with the flag", "full", private, host("gitlab"), 200, flag=True),
    Row("a header of another class", "getter", private, TOOL, *UNKNOWN),
    Row("a header of another class, no role", "nobody", private, TOOL, *NO),
    Row("a header of another class, no such Connector", "nobody", private, host("lost"), *NO),
    Row("a class without a proxy", "getter", bearer, host("plain"), *GONE),
    Row("a class without a proxy, no role", "nobody", bearer, host("plain"), *NO),
    Row("a class that is missing", "getter", bearer, host("classless"), 503, "ConnectorInvalid"),
    Row("a class that is missing, no role", "nobody", bearer, host("classless"), *NO),
    Row("a Secret that is missing", "getter", bearer, host("secretless"), 503, "CredentialUnavailable"),
    Row("a Secret that is missing, no role", "nobody", bearer, host("secretless"), *NO),
    # What is not there.
    Row("no such Connector", "getter", bearer, host("lost"), *GONE),
    Row("no such Connector, no role", "nobody", bearer, host("lost"), *NO),
    Row("no such Connector, no token", "getter", nothing, host("lost"), *UNKNOWN),
    Row("no such Connector, by path", "getter", bearer, path("lost"), *GONE),
    Row("no such namespace", "getter", bearer, host("tool", "nowhere"), *NO),
    Row("no such namespace, admin", "admin", bearer, host("tool", "nowhere"), *GONE),
    Row("what can be no name", "admin", bearer, path("a%2e%2ea%2Fb"), *NO),
    # Only tokens for the proxy URL.
    Row("strict: for the API server", "getter", bearer, TOOL, *UNKNOWN, strict=True),
    Row("strict: for the proxy URL", "for the URL", bearer, TOOL, 200, strict=True),
    Row("strict: for both", "for both", bearer, TOOL, 200, strict=True),
    Row("strict: for another Connector", "for another Connector", bearer, TOOL, *UNKNOWN, strict=True),
    Row("strict: as a password", "for the URL", password, TOOL, 200, strict=True),
    Row("strict: in the class's header", "for the GitLab URL", private, host("gitlab"), 200, strict=True),
    Row("strict: admin's static token", "admin", bearer, TOOL, *UNKNOWN, strict=True),
    Row("strict: claims another audience than it has", "claims the URL", bearer, TOOL, *UNKNOWN, strict=True),
    Row("strict: for the proxy URL, no role", "stranger for the URL", bearer, TOOL, *NO, strict=True),
]


@dataclass
class World:
    """An API server with grants and tokens, and the tool behind every Connector."""

    server: ApiServer
    cluster: Cluster
    tool: str
    seen: list[Mapping[str, str]] = field(default_factory=list)
    tokens: dict[str, str] = field(default_factory=dict)

    def token(self, name: str, account: str, *audiences: str, namespace: str = TEAM) -> str:
        self.tokens[name] = self.server.service_account_token(namespace, account, audiences)
        return self.tokens[name]

    def manifests(self) -> Iterator[Manifest]:
        by_path = connector_class("by-path")
        by_path["metadata"]["annotations"] = {"connectors.cpaas.io/proxy-resolver": "path"}
        yield by_path
        yield connector_class("unproxied", proxy=None)
        yield connector("tool", self.tool, namespace=TEAM)
        yield connector("gitlab", self.tool, "gitlab", namespace=TEAM)
        yield connector("harbor", self.tool, "by-path", namespace=TEAM)
        yield connector("plain", self.tool, "unproxied", namespace=TEAM)
        yield connector("classless", self.tool, "nosuch", namespace=TEAM)
        yield connector("secretless", self.tool, "git", namespace=TEAM, auth=auth("basicAuth", "lost"))
        yield connector("tool", self.tool, namespace=ELSE)

    def prepare(self) -> None:
        for namespace in (TEAM, ELSE, PIPELINES):
            self.server.create_namespace(namespace)
        for manifest in self.manifests():
            plural = "connectorclasses" if manifest["kind"] == "ConnectorClass" else "connectors"
            scope = f"/namespaces/{manifest['metadata']['namespace']}" if plural == "connectors" else ""
            self.server.must("POST", f"/apis/connectors.alauda.io/v1alpha1{scope}/{plural}", manifest)
        self._grant()
        self._mint()

    def _grant(self) -> None:
        server = self.server
        for name, rules in {
            "getter": (GET,),
            "named": (rule("connectors", "get", names=("tool",)),),
            "lister": (rule("connectors", "list", "watch"),),
            "updater": (rule("connectors", "update", "patch"),),
            "proxy-only": (PROXY,),
            "full": (GET, PROXY),
            "proxy-getter": (GET, rule("connectors/proxy", "get")),
        }.items():
            grants.grant(server, TEAM, name, account(TEAM, name), *rules)
        grants.grant(server, ELSE, "getter-of-else", account(TEAM, "getter-of-else"), GET)
        grants.grant(server, TEAM, "visitor", account(ELSE, "visitor"), GET)
        grants.grant(server, TEAM, "grouped", group(f"system:serviceaccounts:{PIPELINES}"), GET)
        grants.bind_cluster_role(server, "viewers", "connectors-connector-viewer-role", account(TEAM, "viewer"))
        grants.bind_cluster_role(server, "users", "connectors-connector-user-role", account(TEAM, "user"), TEAM)

    def _mint(self) -> None:
        for name in ("getter", "nobody", "named", "lister", "updater", "full", "viewer", "user"):
            self.token(name, name)
        self.token("proxy only", "proxy-only")
        self.token("proxy getter", "proxy-getter")
        self.token("getter of else", "getter-of-else")
        self.token("visitor", "visitor", namespace=ELSE)
        self.token("grouped", "runner", namespace=PIPELINES)
        self.token("for the URL", "getter", URL)
        self.token("for the GitLab URL", "getter", URL.replace("c-tool", "c-gitlab"))
        self.token("for the path URL", "getter", URL + f"/namespaces/{TEAM}/connectors/tool")
        self.token("for both", "getter", "https://kubernetes.default.svc", URL)
        self.token("for another Connector", "getter", URL.replace("c-tool", "c-harbor"))
        self.token("for vault", "getter", "https://vault.example")
        self.token("stranger for the URL", "nobody", URL)
        self._forge()
        self._revoke()

    def _forge(self) -> None:
        good, key = self.tokens["getter"], signing_key(self.server)
        began = claims_of(good)["iat"]
        self.tokens |= {
            "expired": signed(good, key, iat=began - DAY, nbf=began - DAY, exp=began - DAY + 3600),
            "not yet": signed(good, key, nbf=began + DAY, exp=began + 2 * DAY),
            "other cluster": signed(good, ec.generate_private_key(ec.SECP256R1())),
            "claims the URL": signed(good, ec.generate_private_key(ec.SECP256R1()), aud=[URL]),
            "unsigned": unsigned(good),
            "tampered": ".".join((good.split(".")[0], unsigned(good, sub="admin").split(".")[1], good.split(".")[2])),
            "cut": good[:-5],
            "garbage": "glpat-0123456789",
            "dots": "...",
            "admin": ADMIN_TOKEN,
        }

    def _revoke(self) -> None:
        accounts = f"/api/v1/namespaces/{TEAM}/serviceaccounts"
        for name in ("deleted", "former"):
            grants.grant(self.server, TEAM, name, account(TEAM, name), GET)
            self.token(f"{name} account", name)
            self.server.must("DELETE", f"{accounts}/{name}")
        self.server.must("POST", accounts, {"metadata": {"name": "former"}})
        secrets = f"/api/v1/namespaces/{TEAM}/secrets"
        for name in ("bound", "revoked"):
            made = self.server.must("POST", secrets, {"metadata": {"name": name}})
            self.tokens[name] = bound_to_secret(self.server, TEAM, "getter", made)
        self.server.must("DELETE", f"{secrets}/revoked")

    def flip(self, flag: bool) -> None:
        name = f"/api/v1/namespaces/{SYSTEM}/configmaps/connectors-config"
        self.server.must("PATCH", name, {"data": {"enable-connector-proxy-permissions": str(flag).lower()}})


@pytest.fixture
async def world(api_server: ApiServer, installed: Kubectl, exits: AsyncExitStack) -> AsyncIterator[World]:
    seen: list[Mapping[str, str]] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append({name.lower(): value for name, value in request.headers.items()})
        return web.Response(text="from the tool")

    tool = await serve_tool(exits, answer)
    made = World(api_server, Cluster(api_server, installed, TEAM), tool, seen)
    await asyncio.to_thread(made.prepare)
    yield made
    await asyncio.to_thread(made.flip, False)  # it is the flag of all namespaces, and so of the tests after this one


async def start(world: World, exits: AsyncExitStack, folder: Path, *options: str) -> ClusterProcess:
    proxy = await start_cluster_proxy(account_kubeconfig(world.server, "proxy", folder), *options)
    exits.push_async_callback(proxy.child.stop)
    return proxy


async def ask(session: aiohttp.ClientSession, proxy: ClusterProcess, row: Row, token: str) -> tuple[int, str | None]:
    headers = {"Host": row.place.host} | row.form(token)
    async with session.get(proxy.url + row.place.path, headers=headers) as got:
        text = await got.text()
        assert (text == "from the tool") is (got.status == 200)
        assert token not in text
        return got.status, got.headers.get("X-Connectors-Reason")


async def test_each_row_gets_its_answer(world: World, exits: AsyncExitStack, tmp_path: Path) -> None:
    assert len(ROWS) >= 40
    assert len({row.name for row in ROWS}) == len(ROWS)
    options = ("--auth-failure-rate", "0", "--log-level", "debug")
    usual = await start(world, exits, tmp_path, *options)
    strict = await start(world, exits, tmp_path, "--require-audience", *options)
    wrong = []
    async with aiohttp.ClientSession() as session:
        for flag in (False, True):
            if flag:
                await flipped(world, session, usual)
            for row in (row for row in ROWS if row.flag is flag):
                token = world.tokens[row.token]
                got = await ask(session, strict if row.strict else usual, row, token)
                if got != (row.status, row.reason):
                    wrong.append((row.name, got, (row.status, row.reason)))
    assert not wrong
    assert len(world.seen) >= sum(row.status == 200 for row in ROWS)
    leaked = [seen for seen in world.seen if any(token in str(seen) for token in world.tokens.values())]
    assert not leaked, "t21: the caller's own token reached the tool"
    for proxy in (usual, strict):
        assert not [name for name, token in world.tokens.items() if token in proxy.child.log], "t14: a token in the log"


async def flipped(world: World, session: aiohttp.ClientSession, proxy: ClusterProcess) -> None:
    """Turn the flag on, and see that within FLIP_SECONDS what was allowed is not any more."""
    row = Row("", "getter", bearer, TOOL, 200)
    assert await ask(session, proxy, row, world.tokens["getter"]) == (200, None)
    await asyncio.to_thread(world.flip, True)
    async with asyncio.timeout(FLIP_SECONDS):
        while await ask(session, proxy, row, world.tokens["getter"]) == (200, None):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)
