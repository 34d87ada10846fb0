from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading
import time
import traceback

import pytest
import trustme

from connectors.dial.dial_settings import DialSettings
from connectors.dial.dialer import Dialer
from connectors.dial.fetch import FetchFailedError, HttpClient
from connectors.dial.kind import FailureKind
from connectors.dial.resolver import NameResolver
from connectors.http.response_reader import MAX_BODY
from tests.connectors.dial.sending import USER_AGENT, Answers, answer_of, failure_of, get, header, sending_client
from tests.peers.fixtures import StartNginx
from tests.peers.raw_stream import RawStream
from tests.peers.raw_upstream import RawUpstream, answering
from tests.peers.trust import LOOPBACK, dialer

CANARY = "canary-7d02"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GIB = 1024**3
NGINX = """
location = / { return 200 "fine"; }
location = /401 { add_header WWW-Authenticate 'Basic realm="x"' always; return 401; }
location = /403 { return 403; }
location = /500 { return 500; }
location = /moved { return 302 /elsewhere; }
location = /away { return 307 https://elsewhere.example/; }
"""


async def wire(target: str = "/", *headers: tuple[str, str], method: str = "GET", host: str = "127.0.0.1") -> str:
    """The bytes of a request, as they arrived."""
    async with RawUpstream(answering(OK)) as tool, sending_client(lookup=lambda *_: ["127.0.0.1"]) as client:
        made = get(f"http://{host}:{tool.port}", target, *(header(*field) for field in headers), method=method)
        await client.send(made, read_body=False)
        return tool.connections[0].received.decode().replace(f":{tool.port}", ":PORT")


@pytest.mark.nginx
async def test_answers_of_nginx_are_returned_as_they_are(start_nginx: StartNginx) -> None:
    nginx = await start_nginx(NGINX)
    fine = await answer_of(nginx.address)
    assert (fine.status, fine.body, fine.complete) == (200, b"fine", True)
    assert fine.header("content-length") == "4"
    assert [name for name, _ in fine.headers][:2] == ["Server", "Date"]
    unauthorized = await answer_of(nginx.address, "/401")
    assert (unauthorized.status, unauthorized.header("www-authenticate")) == (401, 'Basic realm="x"')
    assert (await answer_of(nginx.address, "/403")).status == 403
    assert (await answer_of(nginx.address, "/500")).status == 500
    moved = await answer_of(nginx.address, "/moved")
    assert (moved.status, moved.header("location")) == (302, f"{nginx.address}/elsewhere")
    assert (await answer_of(nginx.address, "/away")).header("location") == "https://elsewhere.example/"
    log = await nginx.logged(6)
    assert log.count("\n") == 6
    assert log.count("elsewhere") == 0


@pytest.mark.nginx
async def test_tls_of_a_trusted_authority(
    start_nginx: StartNginx, authority: trustme.CA, localhost_certificate: trustme.LeafCert
) -> None:
    nginx = await start_nginx(NGINX, tls=localhost_certificate)
    assert (await answer_of(nginx.address, "/", authority)).body == b"fine"
    assert (await answer_of(f"https://127.0.0.1:{nginx.port}", "/", authority)).body == b"fine"
    async with sending_client(authority, lookup=lambda *_: ["127.0.0.1"]) as client:
        assert (await client.send(get(f"https://localhost.:{nginx.port}"), read_body=True)).body == b"fine"


async def test_what_is_sent() -> None:
    assert await wire("/status?full=1") == (
        "GET /status?full=1 HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nAccept-Encoding: identity\r\nAccept: */*\r\n"
        f"User-Agent: {USER_AGENT}\r\nConnection: close\r\n\r\n"
    )


async def test_a_post_has_no_body_and_says_so() -> None:
    sent = await wire(method="POST")
    assert sent.startswith("POST / HTTP/1.1\r\n")
    assert "\r\nContent-Length: 0\r\n" in sent
    assert "Content-Type" not in sent


@pytest.mark.parametrize(
    "target",
    [
        "/a%2Fb",
        "//a//b",
        "/a?",
        "/?",
        "/a;b?x=;&&",
        "/../x/./y",
        "/%41%zz",
        "/a?b?c=d/e",
        "/@scope%2fname",
        "/a:b@c|[]",
    ],
)
async def test_the_target_is_sent_byte_for_byte(target: str) -> None:
    assert (await wire(target)).startswith(f"GET {target} HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("host", "sent"),
    [("tool.example", "tool.example"), ("tool.example.", "tool.example"), ("TOOL.example", "tool.example")],
)
async def test_host_is_the_declared_name(host: str, sent: str) -> None:
    assert f"\r\nHost: {sent}:PORT\r\n" in await wire(host=host)


async def test_own_fields_replace_ours_and_double_nothing() -> None:
    own = [
        ("accept", "application/json"), ("USER-AGENT", "mine"), ("host", "elsewhere"), ("Connection", "keep-alive"),
        ("Content-Length", "5"), ("Transfer-Encoding", "chunked"), ("Accept-Encoding", "gzip"), ("X-Own", "é"),
        ("Expect", "100-continue"), ("X-Own", ""), ("Cookie", "a=b"),
    ]  # fmt: skip
    assert await wire("/", *own) == (
        "GET / HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nAccept-Encoding: identity\r\naccept: application/json\r\n"
        "USER-AGENT: mine\r\nX-Own: é\r\nX-Own: \r\nCookie: a=b\r\nConnection: close\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [("X", "a\r\nY: b"), ("X", "a\nb"), ("X", "a\rb"), ("X", "a\x00"), ("X", "\x7f"), ("X", b"\xff"), ("X\r\nY", "b"),
     ("X Y", "b"), ("", "b"), ("X:", "b"), ("É", "b")],
)  # fmt: skip
async def test_a_header_that_cannot_be_sent(raw_upstream: RawUpstream, name: str, value: str | bytes) -> None:
    async with sending_client() as client:
        with pytest.raises(ValueError, match=r"header"):
            await client.send(get(raw_upstream.address, "/", header(name, value)), read_body=False)
    assert raw_upstream.connections == []


@pytest.mark.parametrize(
    ("method", "target"),
    [("GET", ""), ("GET", "a"), ("GET", "/ b"), ("GET", "/\r\nX: y"), ("GET", "/\n"), ("GET", "/#f"), ("GET", "/é"),
     ("GET", "http://elsewhere/"), ("G T", "/"), ("GET\r\n", "/"), ("", "/")],
)  # fmt: skip
async def test_a_request_line_that_cannot_be_sent(raw_upstream: RawUpstream, method: str, target: str) -> None:
    async with sending_client() as client:
        with pytest.raises(ValueError, match=r"the (target|method) is not a"):
            await client.send(get(raw_upstream.address, target, method=method), read_body=False)
    assert raw_upstream.connections == []


@pytest.mark.parametrize("read_body", [True, False])
@pytest.mark.parametrize("tls", [True, False])
@pytest.mark.parametrize("head", [b"Content-Length: %d" % (10 * GIB), b"Transfer-Encoding: chunked"])
async def test_ten_gibibytes_cost_nothing(
    read_body: bool, tls: bool, head: bytes, server_tls: ssl.SSLContext, authority: trustme.CA
) -> None:
    sent = 0

    async def flood(connection: RawStream) -> None:
        nonlocal sent
        await connection.read_head()
        connection.send(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n")
        piece = b"ffff\r\n" + b"x" * 0xFFFF + b"\r\n"
        while not connection.lost and sent < 10 * GIB:
            await connection.send_all(piece)
            sent += len(piece)
            await asyncio.sleep(0)  # where there is room, and where the connection broke, nothing above waits

    async with RawUpstream(flood, tls=server_tls if tls else None) as tool, sending_client(authority) as client:
        begun = time.monotonic()
        answer = await client.send(get(tool.address), read_body=read_body)
        assert (len(answer.body), answer.complete) == (MAX_BODY if read_body else 0, False)
        await tool.connections[0].wait_lost()
        assert time.monotonic() - begun < 5
    # The kernel's buffers on both sides hold some MiB.
    assert sent < 32 * 1024**2


@pytest.mark.parametrize("tls", [True, False])
async def test_a_cancelled_probe_closes_its_connection(
    tls: bool, server_tls: ssl.SSLContext, authority: trustme.CA
) -> None:
    async with RawUpstream(tls=server_tls if tls else None) as tool, sending_client(authority) as client:
        for begun in (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"):
            sending = asyncio.create_task(client.send(get(tool.address), read_body=True))
            connection = await tool.accept()
            await connection.read_head()
            connection.send(begun)
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            await connection.wait_closed()


def never_close(listener: socket.socket, context: ssl.SSLContext, asked: threading.Event) -> bytes:
    """Take one connection, read a request, and never say anything of TLS again. Returns what comes up to its end."""
    connection, _ = listener.accept()
    connection.settimeout(5)
    with context.wrap_socket(connection, server_side=True) as wrapped:
        assert wrapped.recv(4096).startswith(b"GET ")
        with socket.socket(fileno=wrapped.detach()) as plain:
            plain.settimeout(5)
            asked.set()
            return b"".join(iter(lambda: plain.recv(4096), b""))


async def test_a_tool_that_does_not_close_tls_in_order_is_not_waited_for(
    server_tls: ssl.SSLContext, authority: trustme.CA
) -> None:
    asked = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        tool = asyncio.create_task(asyncio.to_thread(never_close, listener, server_tls, asked))
        async with sending_client(authority) as client:
            probe = get(f"https://localhost:{listener.getsockname()[1]}")
            sending = asyncio.create_task(client.send(probe, read_body=True))
            assert await asyncio.to_thread(asked.wait, 5)
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            await tool  # asyncio itself would wait for half a minute


async def test_a_closed_client_drops_what_it_sends_and_sends_no_more(raw_upstream: RawUpstream) -> None:
    async with sending_client() as client:
        sending = asyncio.create_task(failure_of(client, get(raw_upstream.address)))
        connection = await raw_upstream.accept()
        await connection.read_head()
        client.close()
        assert (await sending).kind is FailureKind.UNREACHABLE
        await connection.wait_closed()
        assert (await failure_of(client, get(raw_upstream.address))).kind is FailureKind.UNREACHABLE
    assert len(raw_upstream.connections) == 1


async def test_t13_two_probes_share_no_connection_and_no_cookie() -> None:
    answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: sid=1; Path=/\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok"
    async with RawUpstream(answering(answer)) as tool, sending_client() as client:
        for _ in range(2):
            await client.send(get(tool.address), read_body=True)
        await asyncio.gather(*(client.send(get(tool.address), read_body=True) for _ in range(2)))
        assert len(tool.connections) == 4
        assert all(connection.received.count(b"GET ") == 1 for connection in tool.connections)
        assert not any(b"ookie" in connection.received for connection in tool.connections)
        for connection in tool.connections:
            await connection.wait_closed()


async def test_t13_a_lost_request_is_not_sent_again() -> None:
    async def hang_up(connection: RawStream) -> None:
        await connection.read_head()
        connection.close()

    async with RawUpstream(hang_up) as tool, sending_client() as client:
        await failure_of(client, get(tool.address))
        assert len(tool.connections) == 1


async def test_t22_the_systems_pool_does_not_trust_whom_nobody_knows(server_tls: ssl.SSLContext) -> None:
    async with RawUpstream(answering(OK), tls=server_tls) as tool:
        failure = await failure_of(HttpClient(dialer(), USER_AGENT), get(tool.address))
    assert failure.kind is FailureKind.TLS
    assert not any(connection.received for connection in tool.connections)


@pytest.mark.parametrize("answer", [b"", b"rubbish\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"])
@pytest.mark.parametrize("debug", [True, False])
async def test_t14_no_failure_and_no_log_shows_what_was_sent(
    answer: bytes, debug: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def spoil(connection: RawStream) -> None:
        head = await connection.read_head()
        assert head.count(CANARY.encode()) == 2
        connection.send(answer)
        connection.close()

    asyncio.get_running_loop().set_debug(debug)
    with caplog.at_level(logging.DEBUG):
        async with RawUpstream(spoil) as tool, sending_client() as client:
            request = get(tool.address, f"/?key={CANARY}", header("Authorization", f"Bearer {CANARY}"))
            with pytest.raises(FetchFailedError) as caught:
                await client.send(request, read_body=True)
    logging.getLogger("test").error("probe failed", exc_info=caught.value)
    assert (caught.value.__context__, caught.value.__cause__) == (None, None)
    shown = caplog.text + repr(caught.value) + "".join(traceback.format_exception(caught.value))
    assert "probe failed" in shown
    assert CANARY not in shown


@pytest.mark.parametrize("target", [f"/{CANARY}\n", f"/{CANARY} "])
async def test_t14_a_refused_request_is_not_quoted(target: str) -> None:
    tool = "http://127.0.0.1:9"
    async with sending_client() as client:
        for request in (get(tool, target), get(tool, "/", header("X", f"{CANARY}\n"))):
            with pytest.raises(ValueError, match=r"not a|control") as caught:
                await client.send(request, read_body=False)
            assert CANARY not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("silent", [False, True], ids=["nobody there", "no answer in time"])
async def test_after_a_failure_the_name_is_looked_up_again(silent: bool) -> None:
    names = Answers(["127.0.0.1"])
    client = HttpClient(Dialer(DialSettings(LOOPBACK), NameResolver(names, cache=60.0)), USER_AGENT)
    async with RawUpstream() as tool:
        port = tool.port
        if silent:
            for _ in range(2):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await client.send(get(f"http://tool.example:{port}"), read_body=False)
    if not silent:
        for _ in range(2):
            await failure_of(client, get(f"http://tool.example:{port}"))
    assert names.asked == ["tool.example"] * 2


async def test_after_an_answer_it_is_not() -> None:
    names = Answers(["127.0.0.1"])
    client = HttpClient(Dialer(DialSettings(LOOPBACK), NameResolver(names, cache=60.0)), USER_AGENT)
    async with RawUpstream(answering(OK)) as tool:
        for _ in range(2):
            await client.send(get(f"http://tool.example:{tool.port}"), read_body=True)
    assert names.asked == ["tool.example"]
