"""Clients over TLS: the same transcripts as without it, and what only TLS brings about."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme

from proxy.settings import Limits, ListenerTls, ProxySettings, Timeouts
from tests.peers.dialogue import OK, Dialogue, get, message, seen
from tests.peers.handshakes import client_context
from tests.peers.manifests import Manifest
from tests.peers.raw_client import connected
from tests.peers.trust import key_pair
from tests.peers.volume import Volume
from tests.proxy.transcripts.conftest import Serve, Talk

# Run again here, with this module's `talk`.
from tests.proxy.transcripts.test_back_pressure import (  # noqa: F401
    test_slow_client_stops_the_tool,
    test_slow_tool_stops_the_client,
)
from tests.proxy.transcripts.test_connections import (  # noqa: F401
    test_keep_alive_serves_one_request_after_the_other,
)
from tests.proxy.transcripts.test_ends import (  # noqa: F401
    test_t15_client_abort_during_the_response_closes_the_upstream,
    test_t15_client_close_while_the_tool_thinks_closes_the_upstream,
)
from tests.proxy.transcripts.test_interim import (  # noqa: F401
    test_t18_continue_comes_from_the_tool_alone,
    test_websocket_is_tunnelled_both_ways,
)
from tests.proxy.transcripts.test_shutdown import (  # noqa: F401
    test_a_running_request_finishes,
    test_what_does_not_end_in_time_is_cut,
)


@pytest.fixture
def files(tmp_path: Path, localhost_certificate: trustme.LeafCert) -> ListenerTls:
    volume = Volume(tmp_path / "tls")
    volume.put(key_pair(localhost_certificate))
    return ListenerTls(str(volume.certificate), str(volume.key))


@pytest.fixture
def context(authority: trustme.CA) -> ssl.SSLContext:
    return client_context(authority.cert_pem.bytes())


@pytest.fixture
def talk(talk: Talk, files: ListenerTls, context: ssl.SSLContext) -> Talk:
    async def start(*manifests: Manifest, settings: ProxySettings | None = None, **rest: Any) -> Dialogue:
        secured = replace(settings or ProxySettings(), tls=files)
        return await talk(*manifests, settings=secured, client_tls=context, **rest)

    return start


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever a client does in a handshake is no news to anybody."""
    caplog.set_level(logging.INFO)
    yield
    told = [record.getMessage() for record in caplog.records if record.levelno > logging.INFO]
    assert [line for line in told if "client connections are open" not in line] == []


async def test_addresses_in_answers_have_the_clients_scheme(talk: Talk) -> None:
    line = await talk()
    line.client_sends(get())
    await line.tool_sees(seen())
    line.tool_sends(
        message(b"HTTP/1.1 302 Found", b"Location: http://<tool>/x", b"Set-Cookie: a=b; Secure", b"Content-Length: 0")
    )
    await line.client_gets(
        message(b"HTTP/1.1 302 Found", b"Location: https://<proxy>/x", b"Set-Cookie: a=b; Secure", b"Content-Length: 0")
    )


async def test_a_refused_upload_gets_its_answer_while_it_goes_on(talk: Talk) -> None:
    """The proxy ends its own direction and goes on reading: a reset would cost the client the answer."""
    line = await talk()
    line.client_sends(
        message(b"POST / HTTP/1.1", b"Host: c-none.default", b"Content-Length: 9000000", body=b"x" * 4_000_000)
    )
    head = await line.client_is_refused(b"404", b"ConnectorNotFound")
    assert b"\r\nConnection: close\r\n" in head
    await line.client_is_closed()


async def test_an_answer_without_a_length_ends_with_a_goodbye(talk: Talk) -> None:
    line = await talk()
    line.client_sends(message(b"GET / HTTP/1.0", b"Host: <proxy>"))
    await line.tool_sees(seen())
    line.tool_sends(message(b"HTTP/1.1 200 OK", b"Connection: close", body=b"all of it"))
    line.tool.close()
    await line.client_gets(message(b"HTTP/1.1 200 OK", b"Connection: close", body=b"all of it"))
    await line.client_is_closed()


async def test_an_answer_that_breaks_off_is_a_reset(talk: Talk) -> None:
    line = await talk()
    line.client_sends(get())
    await line.tool_sees(seen())
    line.tool_sends(message(b"HTTP/1.1 200 OK", b"Content-Length: 9", body=b"not all"))
    await line.client_gets(message(b"HTTP/1.1 200 OK", b"Content-Length: 9", body=b"not all"))
    line.tool.close()
    await line.client_is_reset()


async def test_a_client_that_leaves_while_it_is_not_read_from_closes_the_upstream(talk: Talk) -> None:
    line = await talk(settings=ProxySettings(timeouts=Timeouts(head=0.4)))
    line.client_sends(get())
    await line.tool_sees(seen())
    line.client_sends(b"GET /" + b"x" * 80_000)
    line.client.transport.abort()
    await line.tool.wait_closed()


async def test_draining_does_not_wait_for_idle_clients(talk: Talk) -> None:
    """Nor for their close_notify, which clients with a pool send when they next look."""
    line = await talk()
    line.client_sends(get())
    await line.tool_sees(seen())
    line.tool_sends(OK)
    await line.client_gets(OK)
    line.client.pause_reading()
    async with asyncio.timeout(1), connected(line.proxy.port) as stalled:  # in the midst of a handshake
        await line.proxy.proxy.drain()
        await stalled.wait_closed()


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x00\x05hello",
        b"SSH-2.0-scan\r\n",
        b"\0" * 100_000,
    ],
    ids=["a broken hello", "ssh", "zeros"],
)
async def test_what_is_no_tls_is_closed(talk: Talk, sent: bytes) -> None:
    line = await talk()
    async with connected(line.proxy.port) as stranger:
        stranger.send(sent)
        await stranger.wait_closed()
        assert b"HTTP" not in stranger.received
    await line.works()


async def test_a_client_that_does_not_trust_the_certificate_is_no_news(talk: Talk) -> None:
    line = await talk()
    with pytest.raises(ssl.SSLCertVerificationError):
        async with connected(line.proxy.port, tls=client_context(trustme.CA().cert_pem.bytes())):
            pass
    async with connected(line.proxy.port) as scan:
        scan.reset()
    await line.works()


@pytest.mark.parametrize("method", [b"GET", b"DELETE", b"CONNECT", b"PROPFIND"])
async def test_a_client_that_speaks_plain_http_is_told_so(
    serve: Serve, files: ListenerTls, method: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    proxy = await serve(settings=ProxySettings(tls=files))
    for _ in range(2):
        async with connected(proxy.port) as client:
            client.send(message(method + b" /x HTTP/1.1", b"Host: c-none.default"))
            answer = await client.read_to_eof()
            assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
            assert b"this port TLS: use https://" in answer
    told = [record for record in caplog.records if "use https://" in record.getMessage()]
    assert [record.levelname for record in told] == ["WARNING"], "once, and not for each"
    assert proxy.metric("connectors_proxy_refusals_total", reason="RequestMalformed") == 2


async def test_a_handshake_that_stalls_is_cut_off(serve: Serve, files: ListenerTls, context: ssl.SSLContext) -> None:
    proxy = await serve(settings=ProxySettings(timeouts=Timeouts(head=0.2), tls=files))
    async with connected(proxy.port) as stalled:
        stalled.send(b"\x16\x03\x01")
        await stalled.wait_closed()


async def test_t33_a_handshake_that_stalls_counts_and_makes_room(
    serve: Serve, files: ListenerTls, context: ssl.SSLContext
) -> None:
    proxy = await serve(settings=ProxySettings(limits=Limits(connections=1), tls=files))
    async with connected(proxy.port) as stalled:
        stalled.send(b"\x16\x03\x01")
        async with connected(proxy.port, tls=context) as client:
            client.send(message(b"GET / HTTP/1.1", b"Host: c-none.default"))
            assert (await client.read_head()).startswith(b"HTTP/1.1 404 ")
        await stalled.wait_closed()
