from __future__ import annotations

import asyncio
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from connectors.dial.dialer import connected_socket
from connectors.dial.guard import DialGuard, parse_networks
from connectors.dial.kind import FailureKind
from tests.connectors.dial.sending import Answers, failure_of, get, sending_client
from tests.peers.ports import bound
from tests.peers.raw_upstream import RawUpstream, answering

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
FIRST = DialGuard(allow=parse_networks("127.0.0.1"))
"""127.0.0.1 may be dialled, and nothing else of loopback."""


@pytest.mark.parametrize(
    ("host", "ranges"),
    [
        ("127.0.0.1", "loopback"),
        ("[::1]", "loopback"),
        ("[::ffff:127.0.0.1]", "loopback"),
        ("[::ffff:7f00:1]", "loopback"),
        ("[64:ff9b::127.0.0.1]", "loopback"),
        ("[2002:7f00:1::]", "loopback"),
        ("0.0.0.0", "unspecified"),  # noqa: S104 - an address that is refused
        ("[::]", "unspecified"),
        ("169.254.169.254", "link-local"),
        ("[fd00:ec2::254]", "metadata"),
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_t09_a_probe_never_dials_a_denied_ip_address(host: str, ranges: str, scheme: str) -> None:
    async with RawUpstream() as tool, sending_client(guard=DialGuard()) as client:
        failure = await failure_of(client, get(f"{scheme}://{host}:{tool.port}"))
        assert tool.connections == []
    assert failure.kind is FailureKind.DENIED
    assert f"may not be dialled ({ranges})" in failure.message


async def test_t09_a_probe_never_dials_a_name_of_denied_addresses() -> None:
    names = Answers(["169.254.169.254", "127.0.0.1", "::ffff:127.0.0.1"])
    async with RawUpstream() as tool, sending_client(guard=DialGuard(), lookup=names) as client:
        failure = await failure_of(client, get(f"http://tool.example:{tool.port}"))
        assert tool.connections == []
    assert failure.kind is FailureKind.DENIED
    assert failure.message.startswith("tool.example may not be dialled (link-local, loopback); ")
    assert not any(ip in failure.message for ip in ("169.254", "127.0.0"))


async def test_t09_a_probe_leaves_denied_addresses_out_and_dials_the_others() -> None:
    names = Answers(["127.0.0.2", "::1", "127.0.0.1", "169.254.169.254"])
    async with RawUpstream(answering(OK)) as tool, sending_client(guard=FIRST, lookup=names) as client:
        assert (await client.send(get(f"http://tool.example:{tool.port}"), read_body=True)).body == b"ok"
        assert len(tool.connections) == 1


async def test_t09_a_probe_dials_the_address_that_was_checked_whatever_a_second_answer_says() -> None:
    # The name server lets the check pass, and would send whoever asks again to another listener.
    names = Answers(["127.0.0.1"], ["127.0.0.2"])
    its, other = bound("127.0.0.1", "127.0.0.2")
    async with RawUpstream(answering(OK), listener=its) as tool:
        with other:
            other.listen()
            async with sending_client(guard=FIRST, lookup=names) as client:
                request = get(f"http://tool.example:{tool.port}")
                assert (await client.send(request, read_body=True)).body == b"ok"
                assert names.asked == ["tool.example"]
                # The next probe asks again, and is not deceived.
                assert (await failure_of(client, request)).kind is FailureKind.DENIED
                assert names.asked == ["tool.example"] * 2
            other.setblocking(False)
            with pytest.raises(BlockingIOError):
                other.accept()
        assert len(tool.connections) == 1


@pytest.mark.parametrize("order", [["127.0.0.1", "127.0.0.2", "::1"], ["127.0.0.2", "::1", "127.0.0.1"]])
async def test_where_one_address_is_dead_the_next_is_dialled(order: list[str]) -> None:
    async with RawUpstream(answering(OK)) as tool, sending_client(lookup=Answers(order)) as client:
        assert (await client.send(get(f"http://tool.example:{tool.port}"), read_body=True)).body == b"ok"
        assert len(tool.connections) == 1


async def test_where_all_are_dead_the_message_names_none() -> None:
    async with RawUpstream() as tool, sending_client(lookup=Answers(["127.0.0.1", "127.0.0.2"])) as client:
        tool.stop_listening()
        failure = await failure_of(client, get(f"http://tool.example:{tool.port}"))
    assert failure.kind is FailureKind.REFUSED
    assert failure.message == f"tool.example:{tool.port} refuses connections; is the tool running?"


async def test_a_name_server_that_hangs_delays_nobody_else() -> None:
    asked, release = threading.Event(), threading.Event()

    def lookup(host: str, port: int) -> list[str]:
        if host == "slow.example":
            asked.set()
            assert release.wait(10)
        return ["127.0.0.1"]

    async with RawUpstream(answering(OK)) as tool, sending_client(lookup=lookup) as client:
        slow = [
            asyncio.create_task(client.send(get(f"http://slow.example:{tool.port}"), read_body=True)) for _ in range(20)
        ]
        assert await asyncio.to_thread(asked.wait, 10)
        assert (await client.send(get(f"http://tool.example:{tool.port}"), read_body=True)).body == b"ok"
        for task in slow[1:]:
            task.cancel()
        outcomes = await asyncio.gather(*slow[1:], return_exceptions=True)
        assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
        release.set()
        assert (await slow[0]).body == b"ok"
        assert len(tool.connections) == 2


async def test_t09_no_socket_is_made_for_an_address_that_was_not_checked() -> None:
    # What connects is told addresses and no name, so there is nothing that it could look up again.
    checked, *others = bound("127.0.0.1", "127.0.0.2", *(["::1"] if Path("/proc/net/if_inet6").exists() else []))
    port = checked.getsockname()[1]
    with ExitStack() as ends:
        for made in (checked, *others):
            ends.enter_context(made)
        for made in others:
            made.listen()
            made.setblocking(False)
        with pytest.raises(ConnectionRefusedError):
            await connected_socket(["127.0.0.1"], port)
        for made in others:
            with pytest.raises(BlockingIOError):
                made.accept()
