from __future__ import annotations

import socket

import pytest

from connectors.dial.dialer import allowed_addresses
from connectors.dial.failure import DeniedError, OwnAddressError
from connectors.dial.guard import DialGuard, parse_networks
from connectors.dial.resolver import NameResolver
from connectors.objects.addresses import parse_address

NAME = parse_address("http://tool.example:8080")


def answering(*answer: str) -> NameResolver:
    return NameResolver(lambda host, port: list(answer))


async def test_the_order_stays_and_what_is_denied_is_left_out() -> None:
    resolver = answering("2001:db8::2", "127.0.0.1", "192.0.2.1", "fe80::1%eth0", "10.0.0.1")
    assert await allowed_addresses(resolver, DialGuard(), NAME) == ["2001:db8::2", "192.0.2.1", "10.0.0.1"]


async def test_the_ranges_are_named_in_one_order_and_each_once() -> None:
    answer = ["255.255.255.255", "127.0.0.1", "169.254.1.1", "::1", "0.0.0.0", "224.0.0.1", "fd00:ec2::254"]  # noqa: S104
    for turned in range(len(answer)):
        with pytest.raises(DeniedError) as caught:
            await allowed_addresses(answering(*answer[turned:], *answer[:turned]), DialGuard(), NAME)
        assert caught.value.ranges == "broadcast, link-local, loopback, metadata, multicast, unspecified"


async def test_an_empty_answer_is_denied() -> None:
    with pytest.raises(DeniedError):
        await allowed_addresses(answering(), DialGuard(), NAME)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::ffff:127.0.0.1]", "[::1]"])
async def test_an_ip_address_is_checked_too(host: str) -> None:
    with pytest.raises(DeniedError):
        await allowed_addresses(answering("192.0.2.1"), DialGuard(), parse_address(f"http://{host}"))


async def test_lists_count() -> None:
    guard = DialGuard(allow=parse_networks("127.0.0.1"), deny=parse_networks("10.0.0.0/8"))
    resolver = answering("127.0.0.1", "127.0.0.2", "10.1.1.1")
    assert await allowed_addresses(resolver, guard, NAME) == ["127.0.0.1"]


async def test_a_name_that_does_not_resolve() -> None:
    def missing(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    with pytest.raises(socket.gaierror):
        await allowed_addresses(NameResolver(missing), DialGuard(), NAME)


OWN = frozenset({("10.0.0.1", 8080), ("fd00::1", 8080)})


async def test_t35_where_the_installation_itself_listens_is_left_out() -> None:
    found = await allowed_addresses(answering("10.0.0.1", "10.0.0.2", "fd00::1"), DialGuard(), NAME, own=OWN)
    assert found == ["10.0.0.2"]


@pytest.mark.parametrize("ip", ["10.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "fd00::1", "fd00::1%eth0"])
async def test_t35_if_it_listens_at_all_of_them_none_is_dialled(ip: str) -> None:
    with pytest.raises(OwnAddressError):
        await allowed_addresses(answering(ip), DialGuard(allow=parse_networks("0.0.0.0/0,::/0")), NAME, own=OWN)
    other_port = parse_address("http://tool.example:8081")
    assert await allowed_addresses(answering(ip), DialGuard(), other_port, own=OWN) == [ip]


async def test_what_the_guard_denies_is_named_where_nothing_else_is_left() -> None:
    with pytest.raises(DeniedError, match="loopback"):
        await allowed_addresses(answering("127.0.0.1"), DialGuard(), NAME, own=OWN)
