from __future__ import annotations

import time

import pytest

from connectors.http.message import Headers
from connectors.objects.addresses import Origin
from connectors.objects.connector import ConnectorKey
from connectors.objects.reasons import Reason, RefusedError
from proxy.inject import outgoing
from proxy.loops import MAX_HOPS, Loops
from proxy.settings import Installation
from tests.proxy.decisions import forward_of, request, tool

LOOPS = Loops(Installation(services=frozenset({"proxy.system.svc"})), "one")
OWN = LOOPS.mark(ConnectorKey("team", "tool"))
OTHERS = [LOOPS.mark(ConnectorKey("team", f"other-{number}")) for number in range(MAX_HOPS)]


def left(address: str, *values: bytes, further: Headers = ()) -> list[bytes]:
    """What the tool gets in CDN-Loop from a client that sends these values."""
    head = request(b"/", (*((b"cdn-loop", value) for value in values), *further))
    forward = LOOPS.require_none(head, forward_of(head, tool(address)))
    return [value for name, value in outgoing(head, forward).headers if name.lower() == b"cdn-loop"]


def refused(*values: bytes, address: str = "http://10.0.0.1") -> str:
    with pytest.raises(RefusedError) as error:
        left(address, *values)
    assert error.value.refusal.reason is Reason.LOOP_DETECTED
    return error.value.refusal.message


def test_a_mark_is_the_same_in_every_process_of_an_installation() -> None:
    key = ConnectorKey("team", "tool")
    assert Loops(Installation(), "one").mark(key) == OWN
    assert Loops(Installation(), "two").mark(key) != OWN
    assert len({OWN, *OTHERS}) == 1 + len(OTHERS)
    later = Loops(Installation(), "two")
    later.identify("one")
    assert later.mark(key) == OWN


def test_a_mark_tells_no_name() -> None:
    assert b"team" not in OWN
    assert b"tool" not in OWN.removeprefix(b"connectors-")


@pytest.mark.parametrize(
    "address",
    [
        "http://10.0.0.1",
        "http://127.0.0.1:1",
        "http://100.64.0.1",
        "http://[fd00::1]",
        "http://[64:ff9b::a00:1]",
        "https://github.com",
        "http://tool",
        "http://tool.team.svc.cluster.local.",
    ],
)
def test_t34_what_may_lead_back_is_marked(address: str) -> None:
    assert left(address) == [OWN]


@pytest.mark.parametrize("address", ["https://8.8.8.8", "http://[2606:4700::1111]:8080"])
def test_a_public_address_sees_no_mark(address: str) -> None:
    assert left(address) == []
    assert left(address, b"somebody") == [b"somebody"]


def test_t34_a_public_address_of_the_installation_is_marked() -> None:
    loops = Loops(Installation(published=frozenset({Origin("https", "8.8.8.8", 443)})), "one")
    forward = forward_of(request(b"/"), tool("https://8.8.8.8"))
    assert loops.require_none(request(b"/"), forward).mark == OWN


def test_t34_what_others_have_said_stays_as_it_is() -> None:
    theirs = (b"cdn.example;hop=1, other", b"", b'"', OTHERS[0])
    assert left("http://10.0.0.1", *theirs) == [*theirs, OWN]


def test_t34_connection_does_not_take_the_marks_away() -> None:
    assert left("http://10.0.0.1", OTHERS[0], further=((b"Connection", b"CDN-Loop"),)) == [OTHERS[0], OWN]


@pytest.mark.parametrize(
    "value",
    [OWN, b"cdn.example, %b" % OWN, b"a,%b,b" % OWN, b"%b;x=1" % OWN, b'"never closed, %b' % OWN, b"\xff %b" % OWN],
)
def test_t34_the_same_connector_twice_is_a_loop(value: bytes) -> None:
    assert "Connector team/tool" in refused(value)
    assert "team/tool" in refused(b"somebody", value)
    refused(value, address="https://8.8.8.8")


def test_t34_eight_hops_are_a_loop() -> None:
    assert left("http://10.0.0.1", b", ".join(OTHERS[:-1])) == [b", ".join(OTHERS[:-1]), OWN]
    assert "8 Connectors" in refused(b", ".join(OTHERS))
    assert "8 Connectors" in refused(*OTHERS)
    strangers = [Loops(Installation(), "two").mark(ConnectorKey("a", str(number))) for number in range(MAX_HOPS)]
    assert "8 Connectors" in refused(*strangers)


@pytest.mark.parametrize(
    "value",
    [
        b"cdn.example, " * 1000,
        b"," * 60_000,
        b"connectors-" * 5000,
        b"connectors-" + b"0" * 60_000,
        OWN[:-1],
        OWN + b"0",
        b"x" + OWN,
        b"x-" + OWN,
        b"connectors",
        b"\x80\xff",
    ],
)
def test_garbage_passes_at_little_cost(value: bytes) -> None:
    began = time.process_time()
    assert left("http://10.0.0.1", value) == [value, OWN]
    assert time.process_time() - began < 0.05


@pytest.mark.parametrize("address", ["http://proxy.system.svc", "https://PROXY.system.svc.:8443/x"])
def test_t35_a_service_of_the_installation_is_no_tool(address: str) -> None:
    assert "Service of the Connectors installation" in refused(address=address)


def test_a_name_beside_it_is_one() -> None:
    assert left("http://my-proxy.system.svc") == [OWN]
