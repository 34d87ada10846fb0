from __future__ import annotations

import pytest

from connectors.objects.connector import ConnectorKey
from connectors.objects.names import (
    HostForm,
    connector_name_problem,
    namespace_problem,
    object_name_problem,
    proxy_host,
    service_name,
)


@pytest.mark.parametrize("name", ["a", "git-github", "0", "a" * 61])
def test_a_connector_may_be_named(name: str) -> None:
    assert connector_name_problem(name) is None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "is missing"),
        ("a.b", "dot"),
        ("a" * 62, "at most 61"),
        ("Git", "lower-case"),
        ("-a", "beginning"),
        ("a-", "ending"),
        ("a_b", "lower-case"),
        ("ä", "lower-case"),
        ("a\n", "lower-case"),
        ("a/b", "lower-case"),
        ("٣", "lower-case"),
    ],
)
def test_a_connector_may_not_be_named(name: str, said: str) -> None:
    assert said in (connector_name_problem(name) or "")


@pytest.mark.parametrize(
    ("namespace", "well"),
    [("default", True), ("a" * 63, True), ("a" * 64, False), ("", False), ("a.b", False), ("A", False)],
)
def test_namespaces_are_labels(namespace: str, *, well: bool) -> None:
    assert (namespace_problem(namespace) is None) is well


@pytest.mark.parametrize(
    ("name", "well"),
    [
        ("my.secret-1", True),
        ("a" * 253, True),
        ("a" * 254, False),
        ("a..b", False),
        (".a", False),
        ("A", False),
        ("", False),
    ],
)
def test_objects_are_named_by_subdomains(name: str, *, well: bool) -> None:
    assert (object_name_problem(name) is None) is well


def test_service_and_host_are_made_of_the_name() -> None:
    assert service_name("git") == "c-git"
    assert proxy_host(ConnectorKey("team", "git"), "svc.cluster.local") == "c-git.team.svc.cluster.local"


@pytest.mark.parametrize(
    ("host", "private"),
    [
        ("c-tool.team.svc", True),
        ("c-tool.team.svc.cluster.local", True),
        ("c-tool.team.localhost", True),
        ("c-tool.team.localhost.", True),
        ("c-tool.team", False),
        ("c-tool.team.", False),
        ("c-git.dev", False),
        ("c-tool.team.svc.evil.example", False),
        ("tool.team.svc", False),
        ("c-tool.team.localhost.evil.example", False),
        ("", False),
        ("\xff", False),
    ],
)
def test_t38_hosts_that_no_other_name_server_answers_for(host: str, *, private: bool) -> None:
    assert HostForm(localhost=True).private(host) is private
