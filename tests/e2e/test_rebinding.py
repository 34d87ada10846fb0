"""The address that was checked is the address that is dialled, with real lookups of names that change (threat 9)."""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trustme

from tests.e2e.network import ADDRESSES, METADATA, METADATA_NAT64, PUBLIC, SECOND, Got, Network
from tests.peers.fixtures import StartProxy
from tests.peers.manifests import auth, bearer_token, connector, connector_class
from tests.peers.name_server import name_server
from tests.peers.namespace import Namespace
from tests.peers.proxy_process import ProxyProcess
from tests.peers.witness import Deaf

pytestmark = pytest.mark.e2e

NAME = "tool.example"
WELL = Got(200, "", "ok")
ANEW = ("--dns-cache", "0")
"""Each connection looks its name up."""
CONNECTOR = "/apis/connectors.alauda.io/v1alpha1/namespaces/default/connectors/tool"


@pytest.fixture(scope="module")
def namespace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Namespace]:
    with Namespace(tmp_path_factory.mktemp("namespace"), ADDRESSES) as made:
        yield made


@pytest.fixture
async def network(namespace: Namespace, tmp_path: Path, exits: AsyncExitStack, start_proxy: StartProxy) -> Network:
    names = await exits.enter_async_context(name_server(namespace.bound("127.0.0.1", 53, socket.SOCK_DGRAM)))
    return Network(namespace, names, tmp_path, exits, start_proxy)


def assert_denied(got: Got, ranges: str) -> None:
    """Refused, with the range and without the address that the name server gave."""
    assert (got.status, got.reason) == (403, "TargetDenied")
    assert f"may not be dialled ({ranges})" in got.body
    assert not any(ip in got.body for ip in ("169.254", "a9fe", "127.0.0", "0.0.0.0"))  # noqa: S104


async def test_t09_the_proxy_does_not_dial_what_a_second_answer_says(network: Network) -> None:
    network.names.says(NAME, [PUBLIC], [METADATA])
    tool, metadata = await network.witness(PUBLIC), await network.witness(METADATA)
    network.manifests(connector("tool", f"http://{NAME}"))
    proxy = await network.serve(*ANEW)
    assert await network.get(proxy.path_form("tool")) == WELL
    assert network.names.lookups(NAME) == 1, "it was not looked up again between the check and the dial"
    for _ in range(3):
        assert_denied(await network.get(proxy.path_form("tool")), "link-local")
    assert network.names.lookups(NAME) == 4
    assert f"\r\nHost: {NAME}\r\n".encode() in tool.heads[0]
    assert (await tool.strangers(), await metadata.strangers()) == (1, 0)


async def test_t09_an_answer_counts_for_a_while_and_is_what_is_dialled(network: Network) -> None:
    network.names.says(NAME, [PUBLIC], [METADATA])
    tool, metadata = await network.witness(PUBLIC), await network.witness(METADATA)
    network.manifests(connector("tool", f"http://{NAME}"))
    proxy = await network.serve()
    for _ in range(3):
        assert await network.get(proxy.path_form("tool")) == WELL
    assert (network.names.lookups(NAME), await tool.strangers(), await metadata.strangers()) == (1, 3, 0)


NEVER_DIALLED: dict[str, tuple[Sequence[str], str]] = {
    "metadata": ([METADATA], "link-local"),
    "unspecified": (["0.0.0.0"], "unspecified"),  # noqa: S104 - an address that is refused
    "unspecified6": (["::"], "unspecified"),
    "mapped": ([f"::ffff:{METADATA}"], "link-local"),
    "nat64": ([METADATA_NAT64], "link-local"),
    "multicast": (["224.0.0.1"], "multicast"),
    "multicast6": (["ff02::1"], "multicast"),
    "alibaba": (["100.100.100.200"], "metadata"),
    "several": ([METADATA, "0.0.0.0", METADATA_NAT64], "link-local, unspecified"),  # noqa: S104
}
PARTLY_DIALLED: dict[str, Sequence[str]] = {
    "last": [METADATA, METADATA_NAT64, PUBLIC],
    "first": [PUBLIC, f"::ffff:{METADATA}"],
}
"""Of these, PUBLIC alone."""


async def test_t09_no_form_of_a_denied_address_is_dialled_and_the_others_are(network: Network) -> None:
    for name, addresses in {**{name: row[0] for name, row in NEVER_DIALLED.items()}, **PARTLY_DIALLED}.items():
        network.names.says(f"{name}.example", addresses)
    tool = await network.witness(PUBLIC)
    witnesses = [await network.witness(ip) for ip in (METADATA, METADATA_NAT64, "127.0.0.1", "::1")]
    network.manifests(*(connector(name, f"http://{name}.example") for name in (*NEVER_DIALLED, *PARTLY_DIALLED)))
    proxy = await network.serve()
    for name, (_, ranges) in NEVER_DIALLED.items():
        assert_denied(await network.get(proxy.path_form(name)), ranges)
    for name in PARTLY_DIALLED:
        assert await network.get(proxy.path_form(name)) == WELL
    assert [await witness.strangers() for witness in witnesses] == [0, 0, 0, 0]
    assert await tool.strangers() == len(PARTLY_DIALLED)


async def test_t09_loopback_may_be_dialled_standalone_and_an_operator_can_deny_it(network: Network) -> None:
    network.names.says(NAME, ["127.0.0.1"])
    local = await network.witness("127.0.0.1")
    network.manifests(connector("tool", f"http://{NAME}"))
    proxy = await network.serve()
    assert await network.get(proxy.path_form("tool")) == WELL
    proxy = await network.serve("--deny-upstream", "127.0.0.0/8")
    assert_denied(await network.get(proxy.path_form("tool")), "by --deny-upstream")
    assert await local.strangers() == 1


async def test_t09_with_tls_the_name_is_verified_and_the_checked_address_is_dialled(
    network: Network, authority: trustme.CA, authority_file: Path
) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(NAME).configure_cert(tls)
    network.names.says(NAME, [PUBLIC], [METADATA])
    network.names.says("other.example", [PUBLIC])
    tool, metadata = await network.witness(PUBLIC, 443, tls=tls), await network.witness(METADATA, 443)
    network.manifests(connector("tool", f"https://{NAME}"), connector("other", "https://other.example"))
    proxy = await network.serve(*ANEW, env={"SSL_CERT_FILE": str(authority_file)})
    assert await network.get(proxy.path_form("tool")) == WELL
    assert_denied(await network.get(proxy.path_form("tool")), "link-local")
    got = await network.get(proxy.path_form("other"))
    assert (got.status, got.reason) == (502, "UpstreamTLS")
    assert tool.server_names == [NAME, "other.example"]
    assert [head.count(f"\r\nHost: {NAME}\r\n".encode()) for head in tool.heads] == [1]
    assert await metadata.strangers() == 0


async def test_t09_a_probe_does_not_dial_what_a_second_answer_says(network: Network) -> None:
    """Two probes, each with a lookup of its own: the tool answers the first, and the second must not go elsewhere."""
    kind = connector_class(
        "probing",
        [{"name": "token", "secretType": "connectors.cpaas.io/bearer-token"}],
        livenessProbe={"http": {"path": "/"}},
        authProbes=[{"authName": "token", "probe": {"http": {"path": "/me"}}}],
    )
    network.names.says(NAME, [PUBLIC], [METADATA])
    tool, metadata = await network.witness(PUBLIC), await network.witness(METADATA)
    made = connector("tool", f"http://{NAME}", "probing", auth=auth("token", "s"))
    path = network.manifests(kind, made, bearer_token("s", "t"))
    code, said = await network.run("standalone", "probe", "tool", str(path), *ANEW)
    assert code == 1
    assert "LivenessReady: True" in said
    assert "AuthReady: False TargetDenied: " in said
    assert f"{NAME} may not be dialled (link-local)" in said
    assert (network.names.lookups(NAME), await tool.strangers(), await metadata.strangers()) == (2, 1, 0)


async def test_t09_a_probe_is_not_redirected_to_what_must_not_be_dialled(network: Network) -> None:
    network.names.says(NAME, [PUBLIC])
    network.names.says("elsewhere.example", [METADATA])
    moved = b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere.example/latest\r\nContent-Length: 0\r\n\r\n"
    tool, metadata = await network.witness(PUBLIC, answer=moved), await network.witness(METADATA)
    kind = connector_class("probing", [], livenessProbe={"http": {"path": "/"}})
    path = network.manifests(kind, connector("tool", f"http://{NAME}", "probing"))
    code, said = await network.run("standalone", "probe", "tool", str(path))
    assert code == 1
    assert "LivenessReady: False TargetDenied: " in said
    assert (await tool.strangers(), await metadata.strangers()) == (1, 0)


async def test_t09_probes_that_go_on_find_that_a_name_has_changed(network: Network) -> None:
    network.names.says(NAME, [PUBLIC], [METADATA])
    tool, metadata = await network.witness(PUBLIC), await network.witness(METADATA)
    network.manifests(connector("tool", f"http://{NAME}"))
    proxy = await network.serve(*ANEW, "--probe-interval", "1s")
    await network.names.looked_up(NAME, 2)
    end = time.monotonic() + 10
    while (found := await liveness(network, proxy))["status"] == "True":
        assert time.monotonic() < end, "the second answer has been given, and nothing comes of it"
    assert (found["status"], found["reason"]) == ("False", "TargetDenied")
    assert (await tool.strangers(), await metadata.strangers()) == (1, 0)


async def liveness(network: Network, proxy: ProxyProcess) -> dict[str, str]:
    """The condition as the admin port shows it."""
    conditions = json.loads((await network.get(proxy.admin + CONNECTOR)).body)["status"]["conditions"]
    found: dict[str, str] = next(item for item in conditions if item["type"] == "LivenessReady")
    return found


async def test_t09_a_realm_is_not_asked_where_a_second_answer_says(network: Network) -> None:
    """No exchange of tokens exists yet. What will ask goes the way of all requests that this project makes itself."""
    network.names.says("auth.example", [PUBLIC], [METADATA])
    realm, metadata = await network.witness(PUBLIC), await network.witness(METADATA)
    code, said = await network.run("tests.e2e.realm_request", "http://auth.example/token", "3")
    first, *later = [json.loads(line) for line in said.splitlines()]
    assert (code, first) == (0, {"status": 200})
    assert [answer["kind"] for answer in later] == ["denied", "denied"]
    assert "auth.example may not be dialled (link-local)" in later[0]["message"]
    assert b"GET /token?scope=pull HTTP/1.1\r\n" in realm.heads[0]
    assert b"\r\nHost: auth.example\r\n" in realm.heads[0]
    assert (await realm.strangers(), await metadata.strangers()) == (1, 0)


async def test_where_one_address_is_silent_the_next_one_answers_soon(network: Network) -> None:
    network.names.says(NAME, [SECOND, PUBLIC])
    tool = await network.witness(PUBLIC)
    network.exits.enter_context(Deaf(network.namespace, SECOND, 80))
    network.manifests(connector("tool", f"http://{NAME}"))
    proxy = await network.serve("--connect-timeout", "10s")
    begun = time.monotonic()
    assert await network.get(proxy.path_form("tool")) == WELL
    # At once would mean that the silent one was not the first.
    assert 0.2 < time.monotonic() - begun < 3
    assert await tool.strangers() == 1
