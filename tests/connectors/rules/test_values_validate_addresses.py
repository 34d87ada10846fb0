from __future__ import annotations

from typing import Any

import pytest

from connectors.objects.violation import Severity, errors
from connectors.rules.values import is_loopback, parsed, validate_addresses
from tests.builders import connector, connector_class

CLASS = connector_class(
    addressExtensions=[
        {"name": "api"},
        {"name": "raw", "default": ""},
    ]
)
API = {"name": "api", "value": "https://api.example.com"}


@pytest.mark.parametrize(
    ("extensions", "paths"),
    [
        pytest.param([API], [], id="all given that must be"),
        pytest.param([], ["spec.addressExtensions"], id="rule 1: one without a default is missing"),
        pytest.param(
            [API, {"name": "x", "value": "https://x"}], ["spec.addressExtensions[1].name"], id="rule 2: unknown"
        ),
        pytest.param(
            [API, {"name": "api", "value": "https://x"}], ["spec.addressExtensions[1].name"], id="rule 3: twice"
        ),
        pytest.param(
            [{"name": "api", "value": "HTTPS://Tool.Example.com:443/"}],
            ["spec.addressExtensions[0].value"],
            id="rule 4: spec.address in other words",
        ),
        pytest.param([{"name": "api", "value": ""}], ["spec.addressExtensions[0].value"], id="empty"),
        pytest.param([{"name": "api", "value": "/api"}], ["spec.addressExtensions[0].value"], id="not absolute"),
        pytest.param([{"name": "api", "value": 5}], ["spec.addressExtensions[0].value"], id="not a string"),
        pytest.param([{"name": "api"}], ["spec.addressExtensions[0].value"], id="no value"),
    ],
)
def test_extensions(extensions: list[dict[str, Any]], paths: list[str]) -> None:
    found = tuple(validate_addresses(connector(addressExtensions=extensions), CLASS))
    assert [violation.path for violation in found] == paths
    assert all(violation.severity is Severity.ERROR for violation in found)


def test_two_extensions_of_one_address_are_a_warning() -> None:
    both = [API, {"name": "raw", "value": "https://API.example.com/"}]
    (found,) = validate_addresses(connector(addressExtensions=both), CLASS)
    assert (found.path, found.severity) == ("spec.addressExtensions[1].value", Severity.WARNING)


def test_without_the_class_only_what_needs_none() -> None:
    two = [{"name": "x", "value": "https://x"}, {"name": "x", "value": "nonsense"}]
    found = validate_addresses(connector(address="", addressExtensions=two), None)
    assert [violation.path for violation in found] == [
        "spec.address",
        "spec.addressExtensions[1].name",
        "spec.addressExtensions[1].value",
    ]


@pytest.mark.parametrize(
    ("address", "auth", "warned"),
    [
        ("http://tool.example.com", {"name": "a", "secretRef": {"name": "s"}}, True),
        ("http://10.0.0.1", {"name": "a", "secretRef": {"name": "s"}}, True),
        ("https://tool.example.com", {"name": "a", "secretRef": {"name": "s"}}, False),
        ("http://127.0.0.1:3000", {"name": "a", "secretRef": {"name": "s"}}, False),
        ("http://[::1]", {"name": "a", "secretRef": {"name": "s"}}, False),
        ("http://git.localhost", {"name": "a", "secretRef": {"name": "s"}}, False),
        ("http://tool.example.com", {"name": "a"}, False),
        ("http://tool.example.com", None, False),
    ],
)
def test_a_credential_in_clear_text_is_a_warning(address: str, auth: Any, *, warned: bool) -> None:
    found = tuple(validate_addresses(connector(address=address, auth=auth), None))
    assert [violation.severity for violation in found] == [Severity.WARNING] * warned


def test_parsed_tells_an_address_from_a_problem() -> None:
    address, problem = parsed("https://h")
    assert (str(address), problem) == ("https://h", None)
    assert parsed("h")[0] is None
    assert parsed(5) == (None, None)


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("localhost", True),
        ("a.localhost", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost.example", False),
        ("::2", False),
    ],
)
def test_loopback(host: str, *, own: bool) -> None:
    assert is_loopback(host) is own


def test_as_many_repetitions_as_a_spec_can_hold_cost_a_warning_each_and_no_more() -> None:
    """Pairs of them would be millions: that took seconds, and memory beyond a process's limit, in every replica."""
    many = [{"name": str(number), "value": f"http://b/{number % 2}"} for number in range(1800)]
    found = tuple(validate_addresses(connector(addressExtensions=many), None))
    assert len(found) == 1798
    assert {violation.message for violation in found} == {
        "is the same address as spec.addressExtensions[0].value; was another one meant?",
        "is the same address as spec.addressExtensions[1].value; was another one meant?",
    }


@pytest.mark.parametrize(
    ("kind", "auth", "paths"),
    [
        ("kubernetes.io/tls", {"name": "auth", "secretRef": {"name": "s"}}, ["spec.address"]),
        ("kubernetes.io/tls", {"name": "auth"}, []),
        ("kubernetes.io/basic-auth", {"name": "auth", "secretRef": {"name": "s"}}, []),
    ],
    ids=["a client certificate", "none is shown", "another type"],
)
def test_a_client_certificate_needs_https(kind: str, auth: Any, paths: list[str]) -> None:
    demo = connector_class(auth={"types": [{"name": "auth", "secretType": kind, "optional": True}]})
    for address in ("http://tool.example.com", "http://127.0.0.1:8080"):
        found = errors(tuple(validate_addresses(connector(address=address, auth=auth), demo)))
        assert [violation.path for violation in found] == paths
    assert not errors(tuple(validate_addresses(connector(address="https://tool.example.com", auth=auth), demo)))
