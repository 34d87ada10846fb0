from __future__ import annotations

import pytest

from connectors.kube.settings import ClusterOptions, parse_domain, parse_name, parse_named_secrets


@pytest.mark.parametrize("text", ["a", "connectors-system", "x" * 63, "0"])
def test_names(text: str) -> None:
    assert parse_name(text) == text


@pytest.mark.parametrize("text", ["", "-a", "a-", "A", "a.b", "x" * 64, "a_b", "a\n", "ä"])
def test_what_is_no_name(text: str) -> None:
    with pytest.raises(ValueError, match=r"^it takes lower-case letters"):
        parse_name(text)


@pytest.mark.parametrize(
    ("text", "domain"),
    [("cluster.local", "cluster.local"), ("Corp", "corp"), ("a.b.c.", "a.b.c"), ("x" * 63 + ".y", "x" * 63 + ".y")],
)
def test_domains(text: str, domain: str) -> None:
    assert parse_domain(text) == domain


@pytest.mark.parametrize("text", ["", ".", "a..b", ".a", "a b", "a/b", "x" * 64, "a.local:80", ".".join(["abc"] * 80)])
def test_what_is_no_domain(text: str) -> None:
    with pytest.raises(ValueError, match=r"^it takes a DNS domain$"):
        parse_domain(text)


def test_no_kubeconfig_is_the_empty_path() -> None:
    assert not ClusterOptions().kubeconfig


def test_secrets_of_upstream_proxies() -> None:
    assert parse_named_secrets("one,lab=two.x") == (("default", "one"), ("lab", "two.x"))
    for text in ("a/b", "lab=..", "A"):
        with pytest.raises(ValueError, match="names of Secrets"):
            parse_named_secrets(text)
