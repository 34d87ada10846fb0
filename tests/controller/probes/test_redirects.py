from __future__ import annotations

from dataclasses import replace

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from connectors.http.response import Response
from connectors.objects.addresses import parse_address
from connectors.objects.secret import KeyPair, SecretValue
from controller.probes.redirects import is_redirect, may_quote_secret, redirected
from controller.probes.request import ProbeField, ProbeRequest, origin_of
from tests.peers.trust import trust

KEPT = ProbeField("X-Fixed", SecretValue(b"1"))
SECRET = ProbeField("Authorization", SecretValue(b"Bearer canary"), from_secret=True)


def request(method: str = "GET", target: bytes = b"/a/b?q=1") -> ProbeRequest:
    return ProbeRequest(method, parse_address("https://tool.example:8443"), SecretValue(target), (KEPT, SECRET))


def answer(location: str, status: int = 302) -> Response:
    return Response(status, (("Location", location),))


LEADS = [
    ("/c", "https://tool.example:8443", b"/c"),
    ("c", "https://tool.example:8443", b"/a/c"),
    ("?x", "https://tool.example:8443", b"/a/b?x"),
    ("../d", "https://tool.example:8443", b"/d"),
    ("/a%2Fb?x=%20", "https://tool.example:8443", b"/a%2Fb?x=%20"),
    ("/c#part", "https://tool.example:8443", b"/c"),
    ("//other.example/c", "https://other.example", b"/c"),
    ("https://TOOL.example:8443/c", "https://tool.example:8443", b"/c"),
    ("https://tool.example/c", "https://tool.example", b"/c"),
    ("http://tool.example:8443/c", "http://tool.example:8443", b"/c"),
    ("http://169.254.169.254", "http://169.254.169.254", b"/"),
    ("https://other.example?x", "https://other.example", b"/?x"),
]


@pytest.mark.parametrize(("location", "origin", "target"), LEADS)
def test_where_it_leads(location: str, origin: str, target: bytes) -> None:
    found = redirected(request(), answer(location))
    assert found is not None
    assert (origin_of(found.address), found.target.reveal()) == (origin, target)


@pytest.mark.parametrize(("location", "origin", "target"), LEADS)
def test_t25_a_change_of_origin_leaves_the_secret_behind(location: str, origin: str, target: bytes) -> None:
    found = redirected(request(), answer(location))
    assert found is not None
    assert (SECRET in found.headers) is (origin == "https://tool.example:8443")
    assert KEPT in found.headers


def test_t25_it_does_not_come_back() -> None:
    there = redirected(request(), answer("https://other.example/"))
    assert there is not None
    back = redirected(there, answer("https://tool.example:8443/a"))
    assert back is not None
    assert back.headers == (KEPT,)


@pytest.mark.parametrize(
    "location",
    ["ftp://tool.example/", "javascript:alert(1)", "http://", "https://user:pw@tool.example/", "https://a b/", "/a b",
     "https://tool.example:99999/", "http://[::1", "mailto:a@b", "/\u00e9", "/" + "x" * 9000, "http://1.2.3/"],
)  # fmt: skip
def test_what_cannot_be_followed_is_the_last_answer(location: str) -> None:
    assert redirected(request(), answer(location)) is None


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [(301, "POST", "GET"), (302, "POST", "GET"), (303, "POST", "GET"), (307, "POST", "POST"), (308, "POST", "POST"),
     (302, "GET", "GET")],
)  # fmt: skip
def test_methods(status: int, method: str, then: str) -> None:
    found = redirected(request(method), answer("/c", status))
    assert found is not None
    assert found.method == then


@pytest.mark.parametrize("status", [200, 201, 300, 304, 305, 306, 401, 500])
def test_other_statuses_lead_nowhere(status: int) -> None:
    assert not is_redirect(answer("/c", status))
    assert redirected(request(), answer("/c", status)) is None


def test_a_redirect_without_a_location() -> None:
    assert redirected(request(), Response(302)) is None


@given(st.text(max_size=60), st.sampled_from([301, 302, 303, 307, 308]))
def test_t25_whatever_a_tool_answers_the_secret_stays_with_its_origin(location: str, status: int) -> None:
    found = redirected(request(), answer(location, status))
    if found is not None:
        assert (SECRET in found.headers) is (found.address.origin == request().address.origin)
        assert found.target.reveal().startswith(b"/")
        assert not set(found.target.reveal()) & set(b" \r\n\0#")


@pytest.mark.parametrize(
    ("location", "may"),
    [("/c", False), ("https://TOOL.example.:8443/", False), ("http://tool.example:8443/", False),
     ("https://tool.example/", False), ("http://tool.example/", False), ("https://tool.example:4711/", True),
     ("https://canary.example/", True)],
)  # fmt: skip
def test_t14_which_hosts_and_ports_may_be_a_credential(location: str, may: bool) -> None:
    found = redirected(request(), answer(location))
    assert found is not None
    assert may_quote_secret(request(), found) is may
    bare = ProbeRequest("GET", request().address, SecretValue(b"/"), (KEPT,))
    assert not may_quote_secret(bare, found)


@pytest.mark.parametrize(("own", "written"), [("nexus.dev", "nexus.dev."), ("nexus.dev.", "nexus.dev")])
def test_t25_a_dot_behind_the_host_does_not_lead_to_another_server(own: str, written: str) -> None:
    asked = ProbeRequest("GET", parse_address(f"http://{own}"), SecretValue(b"/"), (SECRET,))
    found = redirected(asked, answer(f"http://{written}/c"))
    assert found is not None
    assert (found.address.host, found.target.reveal(), found.headers) == (own, b"/c", (SECRET,))


@pytest.mark.parametrize(("location", "origin", "target"), LEADS)
def test_t25_a_change_of_origin_leaves_the_client_certificate_behind(location: str, origin: str, target: bytes) -> None:
    shown, known = KeyPair(b"chain", SecretValue(b"key")), trust(trustme.CA())
    found = redirected(replace(request(), certificate=shown, trust=known), answer(location))
    assert found is not None
    assert (found.certificate is shown) is (origin == "https://tool.example:8443")
    assert found.trust is known
