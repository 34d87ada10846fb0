from __future__ import annotations

import ssl
from dataclasses import replace

import pytest
import trustme

from connectors.dial.fetch import FetchFailedError
from connectors.dial.kind import FailureKind
from connectors.dial.marks import Marks
from connectors.dial.upstream_proxy import Egress, UpstreamProxy
from connectors.objects.addresses import Origin, parse_address
from connectors.objects.connector import ConnectorKey
from connectors.objects.secret import KeyPair, SecretValue
from connectors.process.no_proxy import NoProxy
from connectors.tls.pool import SYSTEM_TRUST, Trust
from controller.probes.client import USER_AGENT, ProbeClient
from controller.probes.request import ProbeField, ProbeRequest
from tests.peers.raw_upstream import RawUpstream, answering
from tests.peers.trust import dialer, pool, trust

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def request(address: str, known: Trust = SYSTEM_TRUST, certificate: KeyPair | None = None) -> ProbeRequest:
    header = ProbeField("X-Token", SecretValue(b"t"), from_secret=True)
    target = SecretValue(b"/a?b")
    return ProbeRequest("GET", parse_address(address), target, (header,), trust=known, certificate=certificate)


async def send(made: ProbeRequest) -> int:
    client = ProbeClient(dialer())
    try:
        return (await client.send(made, read_body=False)).status
    finally:
        client.close()


async def test_a_probe_as_it_goes_over_the_wire() -> None:
    async with RawUpstream(answering(OK)) as tool:
        assert await send(request(tool.address)) == 200
        received = tool.connections[0].received.decode().replace(f":{tool.port}", "")
    assert received == (
        "GET /a?b HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept-Encoding: identity\r\nX-Token: t\r\nAccept: */*\r\n"
        f"User-Agent: {USER_AGENT}\r\nConnection: close\r\n\r\n"
    )


async def test_t34_a_probe_leaves_its_connectors_mark_once_the_installation_is_known() -> None:
    client = ProbeClient(dialer(), {Origin("https", "8.8.8.8", 443)})
    key = ConnectorKey("team", "tool")
    own_field = ProbeField("CDN-Loop", SecretValue(b"theirs"))
    async with RawUpstream(answering(OK), whole=True) as tool:
        of_connector = replace(request(tool.address), connector=key, headers=(own_field,))
        await client.send(of_connector, read_body=False)
        client.identify("one")
        await client.send(of_connector, read_body=False)
        await client.send(request(tool.address), read_body=False)
        found = [
            [line.partition(b": ")[2] for line in bytes(one.received).split(b"\r\n") if line.startswith(b"CDN-Loop")]
            for one in tool.connections
        ]
    client.close()
    # A class's probe is no Connector's.
    assert found == [[b"theirs"], [b"theirs", Marks("one").of(key)], []]


async def test_t23_whom_the_connector_trusts_the_probe_does_and_nobody_else(
    authority: trustme.CA, server_tls: ssl.SSLContext
) -> None:
    async with RawUpstream(answering(OK), tls=server_tls) as tool:
        assert await send(request(tool.address, trust(authority))) == 200
        for known in (SYSTEM_TRUST, trust(trustme.CA())):
            with pytest.raises(FetchFailedError) as caught:
                await send(request(tool.address, known))
            assert caught.value.failure.kind is FailureKind.TLS


async def test_the_ca_of_the_api_server_counts_where_that_is_asked(
    authority: trustme.CA, server_tls: ssl.SSLContext
) -> None:
    async with RawUpstream(answering(OK), tls=server_tls) as tool:
        origin = parse_address(tool.address).origin
        assert await send(request(tool.address, Trust(pool(), pool(authority), frozenset({origin})))) == 200
        with pytest.raises(FetchFailedError):
            await send(request(tool.address, Trust(pool(), pool(authority), frozenset())))


async def test_the_certificate_is_shown_to_a_tool_that_asks_for_one(
    authority: trustme.CA, server_tls: ssl.SSLContext
) -> None:
    users = trustme.CA()
    users.configure_trust(server_tls)
    server_tls.verify_mode = ssl.CERT_REQUIRED
    leaf = users.issue_cert("client.example")
    pair = KeyPair(leaf.cert_chain_pems[0].bytes(), SecretValue(leaf.private_key_pem.bytes()))
    async with RawUpstream(answering(OK), tls=server_tls) as tool:
        assert await send(request(tool.address, trust(authority), pair)) == 200
        with pytest.raises(FetchFailedError):
            await send(request(tool.address, trust(authority)))


async def test_t23_a_probe_goes_the_way_that_the_traffic_goes() -> None:
    async with RawUpstream(answering(OK)) as upstream:
        egress = Egress(UpstreamProxy("lab", parse_address(upstream.address)), NoProxy.parse(".svc"))
        assert await send(replace(request("http://tool.example"), egress=egress)) == 200
        assert upstream.connections[0].received.startswith(b"GET http://tool.example/a?b HTTP/1.1\r\n")
        # What NO_PROXY covers is dialled, and its name looked up here; behind a redirect, too, the address decides.
        with pytest.raises(FetchFailedError) as caught:
            await send(replace(request("http://no-such-name.svc"), egress=egress))
        assert caught.value.failure.kind is FailureKind.DNS
        assert len(upstream.connections) == 1
