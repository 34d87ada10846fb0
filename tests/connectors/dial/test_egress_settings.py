"""The operator's words on upstream proxies."""

from __future__ import annotations

from dataclasses import replace

import pytest

from connectors.dial.egress_settings import EgressSettings, parse_upstream_proxies
from connectors.objects.addresses import parse_address
from connectors.process.declaration import SettingError

PROXIES = parse_upstream_proxies("http://proxy.example:3128,lab=http://192.0.2.1/")


def test_urls_and_names() -> None:
    assert [(name, str(address)) for name, address in PROXIES] == [
        ("default", "http://proxy.example:3128"),
        ("lab", "http://192.0.2.1"),
    ]
    assert parse_upstream_proxies("") == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("http://robot:canary@proxy.example", "a list of processes shows it"),
        ("lab=http://canary@proxy.example", "--upstream-proxy-credentials"),
        ("https://proxy.example", "write http://"),
        ("proxy.example:3128", "absolute URL"),
        ("http://proxy.example/path", "has no path"),
        ("socks5://proxy.example", "begins with http:// or https://"),
        ("none=http://proxy.example", "stands for no proxy"),
        ("http://a.example,http://b.example", "two have the same name"),
        ("http://a.example,default=http://b.example", "two have the same name"),
        ("Lab=http://a.example", "lower-case"),
        ("lab=", "empty"),
        ("http://a.example,", "empty"),
    ],
)
def test_what_is_not_taken_is_told_and_not_quoted(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as caught:
        parse_upstream_proxies(text)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (EgressSettings(PROXIES, files=(("other", "/x"),)), "--upstream-proxy-credentials: there is no proxy other"),
        (EgressSettings(PROXIES, secrets=(("other", "s"),)), "--upstream-proxy-secret: there is no proxy other"),
        (EgressSettings(PROXIES, (("lab", "/x"),), secrets=(("lab", "s"),)), "proxy lab has both"),
        (EgressSettings(files=(("default", "/x"),)), "there is no proxy default"),
    ],
)
def test_what_does_not_fit_together(settings: EgressSettings, problem: str) -> None:
    with pytest.raises(SettingError, match=problem):
        settings.require_fit()


def test_what_connectors_choose_from() -> None:
    settings = EgressSettings(PROXIES, (("default", "/x"),), ".svc", (("lab", "s"),))
    settings.require_fit()
    made = settings.compiled()
    assert {name: (str(proxy.address), proxy.with_login) for name, proxy in made.by_name.items()} == {
        "default": ("http://proxy.example:3128", True),
        "lab": ("http://192.0.2.1", True),
    }
    assert made.chosen(None).toward(parse_address("http://a.svc")) is None
    bare = replace(settings, files=(), secrets=()).compiled()
    assert [proxy.with_login for proxy in bare.by_name.values()] == [False, False]
