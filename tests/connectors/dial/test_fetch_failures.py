from __future__ import annotations

import asyncio
import datetime
import socket
import ssl
from collections.abc import Callable

import pytest
import trustme

from connectors.dial.failure import timeout_failure
from connectors.dial.fetch import FetchFailedError
from connectors.dial.kind import FailureKind
from connectors.objects.addresses import parse_address
from tests.connectors.dial.sending import Answers, failure_of, get, sending_client
from tests.peers.fixtures import StartNginx
from tests.peers.raw_stream import RawStream
from tests.peers.raw_upstream import RawUpstream, Script, answering

TOOL = parse_address("https://tool.example:8443")
WHERE = "tool.example:8443"
HEAD = b"HTTP/1.1 200 OK\r\n"


def saying(*pieces: bytes) -> Script:
    """Send these behind a request's head, and close."""

    async def script(connection: RawStream) -> None:
        await connection.read_head()
        for piece in pieces:
            connection.send(piece)
        connection.close()

    return script


async def endless_head(connection: RawStream) -> None:
    await connection.read_head()
    connection.send(HEAD)
    while not connection.is_closed:
        await connection.send_all(b"X-Field: y\r\n")
        await asyncio.sleep(0)  # where there is room nothing above waits


async def reset(connection: RawStream) -> None:
    await connection.read_head()
    connection.reset()


async def close_at_once(connection: RawStream) -> None:
    connection.close()


NO_ANSWER = "{place} closed the connection without an answer"
NOT_HTTP = (
    "the answer of {place} is not HTTP/1.1, has too large a head, or breaks off; does an HTTP server listen there?"
)


@pytest.mark.parametrize(
    ("script", "kind", "message"),
    [
        (close_at_once, FailureKind.UNREACHABLE, NO_ANSWER),
        (saying(), FailureKind.UNREACHABLE, NO_ANSWER),
        (reset, FailureKind.UNREACHABLE, NO_ANSWER),
        (saying(b"SSH-2.0-OpenSSH_9.2\r\n"), FailureKind.PROTOCOL, NOT_HTTP),
        (endless_head, FailureKind.PROTOCOL, NOT_HTTP),
        (saying(HEAD + b"X: y\r\n"), FailureKind.PROTOCOL, NOT_HTTP),
        (saying(HEAD + b"Content-Length: 5\r\n\r\nab"), FailureKind.PROTOCOL, NOT_HTTP),
        (saying(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"), FailureKind.PROTOCOL, NOT_HTTP),
    ],
    ids=["closed at once", "closed", "reset", "ssh", "endless head", "half a head", "half a body", "half of chunks"],
)
async def test_no_answer(script: Script, kind: FailureKind, message: str) -> None:
    async with RawUpstream(script) as tool, sending_client() as client:
        failures = [await failure_of(client, get(tool.address)) for _ in range(2)]
        place = f"127.0.0.1:{tool.port}"
        await tool.connections[1].wait_closed()
    # Twice the same: it goes into a status.
    assert [(failure.kind, failure.message) for failure in failures] == [(kind, message.format(place=place))] * 2


async def test_a_refused_port() -> None:
    async with RawUpstream() as tool, sending_client() as client:
        tool.stop_listening()
        failure = await failure_of(client, get(tool.address))
    assert failure.kind is FailureKind.REFUSED
    assert failure.message == f"127.0.0.1:{tool.port} refuses connections; is the tool running?"


async def hang(connection: RawStream) -> None:
    await connection.wait_closed()


async def hints(connection: RawStream) -> None:
    """Interim answers, for ever."""
    await connection.read_head()
    while not connection.is_closed:
        await connection.send_all(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        await asyncio.sleep(0.001)


async def half_a_body(connection: RawStream) -> None:
    await connection.read_head()
    connection.send(HEAD + b"Content-Length: 5\r\n\r\nab")
    await connection.wait_closed()


async def slow_head(connection: RawStream) -> None:
    await connection.read_head()
    for byte in HEAD:
        connection.send(bytes((byte,)))
    await connection.wait_closed()


@pytest.mark.parametrize("script", [hang, slow_head, hints, half_a_body])
async def test_whoever_is_slow_is_left_when_time_is_up(script: Script) -> None:
    limit = asyncio.timeout(None)
    async with RawUpstream() as tool, sending_client() as client:

        async def probe() -> None:
            async with limit:
                await client.send(get(tool.address), read_body=True)

        probing = asyncio.create_task(probe())
        connection = await tool.accept()
        playing = asyncio.ensure_future(script(connection))
        limit.reschedule(asyncio.get_running_loop().time() + 0.1)
        with pytest.raises(TimeoutError):
            await probing
        await connection.wait_closed()
        await playing


def test_time_that_is_up_is_told_in_the_same_words_each_time() -> None:
    failure = timeout_failure(TOOL)
    assert failure.kind is FailureKind.TIMEOUT
    assert failure.message.startswith(f"no answer from {WHERE} in time; ")


async def test_a_name_that_does_not_resolve() -> None:
    async with sending_client(lookup=Answers(socket.gaierror(socket.EAI_NONAME, "unknown"))) as client:
        failure = await failure_of(client, get("http://tool.example"))
    assert failure.kind is FailureKind.DNS
    assert failure.message == "the name tool.example does not resolve; check spec.address"


DAY = datetime.timedelta(days=1)


def expired(authority: trustme.CA) -> trustme.LeafCert:
    now = datetime.datetime.now(datetime.UTC)
    return authority.issue_cert("localhost", not_before=now - 2 * DAY, not_after=now - DAY)


@pytest.mark.nginx
@pytest.mark.parametrize(
    ("leaf", "trusted", "says"),
    [
        (lambda authority: authority.issue_cert("localhost"), False, "unable to get local issuer certificate"),
        (expired, True, "certificate has expired"),
        (
            lambda authority: authority.issue_cert("other.example"),
            True,
            "Hostname mismatch, certificate is not valid for 'localhost'.",
        ),
    ],
    ids=["unknown authority", "expired", "another name"],
)
async def test_t22_a_certificate_that_is_not_trusted(
    leaf: Callable[[trustme.CA], trustme.LeafCert],
    trusted: bool,
    says: str,
    authority: trustme.CA,
    start_nginx: StartNginx,
) -> None:
    nginx = await start_nginx("location / { return 200 ok; }", tls=leaf(authority))
    async with sending_client(*([authority] if trusted else [trustme.CA()])) as client:
        failure = await failure_of(client, get(nginx.address))
    hint = "name its CA in spec.caCertSecretRef or have it trusted for all (docs/trust.md), or correct the address"
    assert failure.kind is FailureKind.TLS
    assert failure.message == f"the certificate of localhost:{nginx.port} is not trusted: {says}; {hint}"
    assert nginx.access_log == ""


async def test_t22_a_self_signed_certificate_is_named(authority: trustme.CA) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own = trustme.CA()
    with own.cert_pem.tempfile() as certificate, own.private_key_pem.tempfile() as key:
        context.load_cert_chain(certificate, key)
    async with RawUpstream(answering(b""), tls=context) as tool, sending_client(authority) as client:
        failure = await failure_of(client, get(tool.address))
    assert failure.kind is FailureKind.TLS
    assert "self-signed certificate" in failure.message


async def speak_http(connection: RawStream) -> None:
    connection.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await connection.wait_closed()


async def test_https_where_http_is_spoken() -> None:
    async with RawUpstream(speak_http) as tool, sending_client() as client:
        failure = await failure_of(client, get(f"https://127.0.0.1:{tool.port}"))
    assert failure.kind is FailureKind.TLS
    assert failure.message.endswith("does the tool speak https there?")


def refuse_client(listener: socket.socket, context: ssl.SSLContext) -> None:
    """Take one connection and end its handshake with an alert, which asyncio's servers do not send."""
    connection, _ = listener.accept()
    with context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False) as wrapped:
        with pytest.raises(ssl.SSLError):
            wrapped.do_handshake()
        # Closing before the request is read would reset the connection, and take the alert along.
        with socket.socket(fileno=wrapped.detach()) as plain:
            plain.shutdown(socket.SHUT_WR)
            while plain.recv(4096):
                pass


async def test_a_tool_that_wants_a_client_certificate(server_tls: ssl.SSLContext, authority: trustme.CA) -> None:
    server_tls.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server(("127.0.0.1", 0)) as listener:
        refusing = asyncio.create_task(asyncio.to_thread(refuse_client, listener, server_tls))
        async with sending_client(authority) as client:
            failure = await failure_of(client, get(f"https://localhost:{listener.getsockname()[1]}"))
        await refusing
    assert failure.kind is FailureKind.TLS
    assert "certificate required" in failure.message


def test_an_exception_says_what_its_failure_says() -> None:
    failure = timeout_failure(TOOL)
    error = FetchFailedError(failure)
    assert (error.failure, str(error)) == (failure, failure.message)
