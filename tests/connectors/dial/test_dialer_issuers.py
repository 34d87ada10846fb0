from __future__ import annotations

import ssl
from dataclasses import replace

import pytest
import trustme

from connectors.dial.fetch import HttpClient
from connectors.dial.kind import FailureKind
from connectors.objects.addresses import parse_address
from connectors.objects.reasons import RefusedError
from connectors.tls.certificates import read_pem
from connectors.tls.pool import ClientTls, pool_of
from proxy.settings import Timeouts
from proxy.upstream import Upstreams
from proxy.watchdog import Watchdog
from tests.connectors.dial.sending import USER_AGENT, failure_of, get
from tests.peers.namesakes import Namesake
from tests.peers.raw_upstream import RawUpstream, answering
from tests.peers.trust import dialer
from tests.proxy.decisions import plan_of, pool_key, tool

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
ONE, TWO, THREE, STRANGER = (Namesake() for _ in range(4))


def knowing(*known: Namesake, besides: trustme.CA | None = None) -> ClientTls:
    text = "".join(authority.pem for authority in known) + (besides.cert_pem.bytes().decode() if besides else "")
    return ClientTls(pool_of(read_pem(text.encode()).certificates))


@pytest.mark.parametrize("signer", [ONE, TWO, THREE])
async def test_whichever_of_them_has_signed_the_client_finds_it(signer: Namesake) -> None:
    async with RawUpstream(answering(OK), tls=signer.server()) as peer:
        client = HttpClient(dialer(), USER_AGENT)
        request = replace(get(peer.address), tls=knowing(ONE, TWO, THREE, besides=trustme.CA()))
        assert (await client.send(request, read_body=True)).body == b"ok"
        assert len([item for item in peer.connections if item.received]) == 1, "what was sent, was sent once"


@pytest.mark.parametrize("signer", [ONE, TWO, THREE])
async def test_so_does_the_proxy(signer: Namesake) -> None:
    async with RawUpstream(tls=signer.server()) as peer:
        address = parse_address(peer.address)
        upstreams = Upstreams(Timeouts(), Watchdog(1.0), dialer(), lambda *_: False)
        key = pool_key(plan_of(tool()))
        connection = await upstreams.dial(key, address, knowing(ONE, TWO, THREE))
        assert connection.usable
        connection.abort()


async def test_t22_whom_none_of_them_has_signed_is_not_trusted() -> None:
    async with RawUpstream(answering(OK), tls=STRANGER.server()) as peer:
        request = replace(get(peer.address), tls=knowing(ONE, TWO))
        failure = await failure_of(HttpClient(dialer(), USER_AGENT), request)
        assert failure.kind is FailureKind.TLS
        assert "certificate signature failure" in failure.message
        upstreams = Upstreams(Timeouts(), Watchdog(1.0), dialer(), lambda *_: False)
        address = parse_address(peer.address)
        key = pool_key(plan_of(tool()))
        with pytest.raises(RefusedError) as caught:
            await upstreams.dial(key, address, knowing(ONE, TWO))
        assert "certificate signature failure" in caught.value.refusal.message
        assert not any(item.received for item in peer.connections)


async def test_t22_a_wrong_name_is_wrong_under_each_of_them() -> None:
    async with RawUpstream(answering(OK), tls=ONE.server("elsewhere.example")) as peer:
        request = replace(get(peer.address), tls=knowing(ONE, TWO))
        failure = await failure_of(HttpClient(dialer(), USER_AGENT), request)
        assert "Hostname mismatch" in failure.message or "signature failure" in failure.message


def verification(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "x")
    error.verify_code = code
    return error


@pytest.mark.parametrize(("error", "handshakes"), [(verification(7), 3), (verification(18), 1), (ssl.SSLError(), 1)])
async def test_which_failures_could_be_another_ones(error: ssl.SSLError, handshakes: int) -> None:
    tried: list[ssl.SSLContext | None] = []

    async def connect(context: ssl.SSLContext | None) -> None:
        tried.append(context)
        raise error

    known = knowing(ONE, TWO)
    with pytest.raises(ssl.SSLError) as caught:
        await dialer().connected(parse_address("https://tool.example"), known, connect)
    assert caught.value is error
    assert len(tried) == handshakes
