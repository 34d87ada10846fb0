"""What is dialled where an upstream proxy is on the way."""

from __future__ import annotations

import pytest

from connectors.dial.guard import DialGuard, parse_networks
from connectors.dial.upstream_proxy import UpstreamProxy
from connectors.objects.addresses import parse_address
from connectors.objects.reasons import Reason, RefusedError
from connectors.tls.pool import SYSTEM_TLS
from proxy.upstream import Upstreams
from tests.connectors.dial.sending import Answers
from tests.peers.raw_upstream import RawUpstream
from tests.proxy.decisions import plan_of, pool_key, tool
from tests.proxy.test_dialling import upstreams

KEY = pool_key(plan_of(tool()))


async def refused(made: Upstreams, address: str, proxy: UpstreamProxy) -> Reason:
    with pytest.raises(RefusedError) as caught:
        await made.dial(KEY, parse_address(address), SYSTEM_TLS, proxy)
    return caught.value.refusal.reason


def named(port: int) -> UpstreamProxy:
    return UpstreamProxy("lab", parse_address(f"http://proxy.example:{port}"))


async def test_its_name_is_looked_up_and_the_tools_is_not(raw_upstream: RawUpstream) -> None:
    names = Answers(["127.0.0.1"])
    made = upstreams(names)
    connection = await made.dial(KEY, parse_address("http://tool.example"), SYSTEM_TLS, named(raw_upstream.port))
    assert names.asked == ["proxy.example"]
    assert connection.peer()[:2] == ("127.0.0.1", raw_upstream.port)
    connection.abort()


async def test_where_it_does_not_answer_its_name_is_looked_up_again(raw_upstream: RawUpstream) -> None:
    raw_upstream.stop_listening()
    names = Answers(["127.0.0.1"])
    made = upstreams(names, cache=60.0)
    for _ in range(2):
        assert await refused(made, "http://tool.example", named(raw_upstream.port)) is Reason.UPSTREAM_UNREACHABLE
    assert names.asked == ["proxy.example"] * 2


async def test_t35_this_proxy_is_not_reached_through_another_one(raw_upstream: RawUpstream) -> None:
    made = upstreams(Answers(["127.0.0.1"]), own=["192.0.2.1"])
    assert await refused(made, "http://192.0.2.1:8081", named(raw_upstream.port)) is Reason.LOOP_DETECTED
    assert await refused(made, "https://192.0.2.1:8081", named(raw_upstream.port)) is Reason.LOOP_DETECTED
    assert raw_upstream.connections == []


async def test_this_proxy_is_not_its_own_upstream_proxy(raw_upstream: RawUpstream) -> None:
    made = upstreams(Answers(["127.0.0.1"]), own=["127.0.0.1"])
    assert await refused(made, "https://tool.example", named(raw_upstream.port)) is Reason.LOOP_DETECTED
    assert raw_upstream.connections == []


async def test_t09_of_its_addresses_the_allowed_ones_are_dialled(raw_upstream: RawUpstream) -> None:
    guard = DialGuard(allow=parse_networks("127.0.0.1"))
    made = upstreams(Answers(["169.254.169.254", "127.0.0.2", "127.0.0.1"]), guard=guard)
    connection = await made.dial(KEY, parse_address("http://tool.example"), SYSTEM_TLS, named(raw_upstream.port))
    assert connection.peer()[0] == "127.0.0.1"
    connection.abort()


async def test_a_name_that_does_not_resolve_is_told_of_the_proxy() -> None:
    made = upstreams(Answers(OSError()))
    with pytest.raises(RefusedError) as caught:
        await made.dial(KEY, parse_address("https://tool.example"), SYSTEM_TLS, named(1))
    assert caught.value.refusal.message.startswith("upstream proxy lab cannot be reached")
