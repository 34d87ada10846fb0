"""Which proxy is on the way, and what it is sent."""

from __future__ import annotations

import pytest

from connectors.dial.upstream_proxy import (
    DIRECT,
    UnknownProxyError,
    UpstreamProxies,
    UpstreamProxy,
    absolute_form,
    connect_request,
    login_refused,
)
from connectors.http.message import RequestHead
from connectors.objects.addresses import parse_address
from connectors.objects.secret import SecretValue
from connectors.process.no_proxy import NoProxy

PLACE = parse_address("http://proxy.example:3128")
CORPORATE = UpstreamProxy("default", PLACE)
LAB = UpstreamProxy("lab", parse_address("http://lab.example:8080"), with_login=True)
PROXIES = UpstreamProxies({"default": CORPORATE, "lab": LAB}, NoProxy.parse(".svc,10.0.0.0/8"))
LOGIN = SecretValue(b"robot:canary-p:w")
BASIC = b"Proxy-Authorization: Basic cm9ib3Q6Y2FuYXJ5LXA6dw==\r\n"


@pytest.mark.parametrize(
    ("choice", "address", "name"),
    [
        (None, "https://tool.example", "default"),
        ("default", "https://tool.example", "default"),
        ("lab", "http://tool.example", "lab"),
        ("none", "https://tool.example", None),
        (None, "http://tool.team.svc", None),
        ("lab", "https://10.1.2.3", None),
        (None, "https://192.0.2.1", "default"),
        (None, "http://127.0.0.1:3000", None),
        (None, "http://[::1]", None),
        (None, "http://[::ffff:127.0.0.1]", None),
        (None, "http://localhost", None),
        (None, "http://tool.localhost", None),
    ],
)
def test_who_is_on_the_way(choice: str | None, address: str, name: str | None) -> None:
    proxy = PROXIES.chosen(choice).toward(parse_address(address))
    assert (proxy.name if proxy else None) == name


@pytest.mark.parametrize("choice", ["other", "", "None", "lab "])
def test_an_unknown_name_is_no_proxy_and_no_way_around_one(choice: str) -> None:
    with pytest.raises(UnknownProxyError, match="write default, lab or none, or ask an operator for --upstream-proxy"):
        PROXIES.chosen(choice)


def test_without_a_default_nothing_changes_for_those_who_name_none() -> None:
    assert UpstreamProxies({"lab": LAB}).chosen(None) is DIRECT
    with pytest.raises(UnknownProxyError, match="write none, or ask"):
        UpstreamProxies().chosen("default")


def test_all_who_choose_it_have_one_instance() -> None:
    assert PROXIES.chosen(None) is PROXIES.chosen("default")


def test_t13_another_login_makes_other_connections() -> None:
    assert PROXIES.with_logins({}) is PROXIES
    known = PROXIES.with_logins({"lab": LOGIN, "default": LOGIN, "gone": LOGIN})
    assert known.with_logins({"lab": LOGIN}) is known
    other = known.with_logins({"lab": SecretValue(LOGIN.reveal())})
    labels = [proxies.by_name["lab"].label for proxies in (PROXIES, known, other)]
    assert labels == ["lab/0/forward", "lab/1/forward", "lab/2/forward"]
    # It asks for none, so it is sent none.
    assert known.by_name["default"] is CORPORATE
    assert known.chosen("lab").toward(parse_address("https://a.example")) is known.by_name["lab"]
    assert known.by_name["lab"].tunnelling().label == "lab/1/tunnel"


@pytest.mark.parametrize(
    ("address", "where"),
    [
        ("https://tool.example", b"tool.example:443"),
        ("https://tool.example.:8443", b"tool.example:8443"),
        ("https://[2001:db8::1]", b"[2001:db8::1]:443"),
        ("http://192.0.2.1", b"192.0.2.1:80"),
    ],
)
def test_the_request_for_a_tunnel(address: str, where: bytes) -> None:
    expected = b"CONNECT " + where + b" HTTP/1.1\r\nHost: " + where + b"\r\n"
    assert connect_request(CORPORATE, parse_address(address)) == expected + b"\r\n"
    known = PROXIES.with_logins({"lab": LOGIN}).by_name["lab"]
    assert connect_request(known, parse_address(address)) == expected + BASIC + b"\r\n"


@pytest.mark.parametrize(
    ("target", "absolute"),
    [
        (b"/a?b", b"http://tool.example:81/a?b"),
        (b"//a", b"http://tool.example:81//a"),
        (b"*", b"http://tool.example:81"),
    ],
)
def test_a_request_to_an_http_tool(target: bytes, absolute: bytes) -> None:
    known = PROXIES.with_logins({"lab": LOGIN}).by_name["lab"]
    head = RequestHead(b"GET", target, ((b"Host", b"tool.example:81"),))
    made = absolute_form(known, parse_address("http://tool.example:81/base"), head)
    assert made.target == absolute
    assert made.headers == (*head.headers, *known.fields())
    assert absolute_form(CORPORATE, parse_address("http://tool.example:81"), head).headers == head.headers


def test_t14_a_login_does_not_show_itself() -> None:
    known = PROXIES.with_logins({"lab": LOGIN})
    assert "canary" not in repr(known) + repr(known.by_name["lab"]) + repr(known.chosen("lab"))
    assert "proxy.example" not in login_refused(CORPORATE) + login_refused(LAB)
