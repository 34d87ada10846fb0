from __future__ import annotations

from typing import Any

import pytest

from connectors.sources.secrets import decode_secret


def test_string_data_goes_over_data() -> None:
    manifest = {
        "metadata": {"name": "s", "labels": {"a": "b"}},
        "type": "kubernetes.io/basic-auth",
        "data": {"username": "dXNlcg==", "password": "b2xk\n"},
        "stringData": {"password": "neü"},
    }
    found, violations = decode_secret(manifest)
    assert violations == ()
    assert found is not None
    assert found.type == "kubernetes.io/basic-auth"
    assert found.metadata.labels == {"a": "b"}
    assert {key: value.reveal() for key, value in found.data.items()} == {
        "username": b"user",
        "password": "neü".encode(),
    }


def test_the_type_is_opaque_by_default() -> None:
    found, _ = decode_secret({"metadata": {"name": "s"}})
    assert found is not None
    assert (found.type, dict(found.data)) == ("Opaque", {})


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"data": {"token": "canary!"}}, "data.token"),
        ({"data": {"token": "Y2FuYXJ5canary"}}, "data.token"),
        ({"data": {"token": "canary="}}, "data.token"),
        ({"data": {"token": "Y2Fu YXJ5canary"}}, "data.token"),
        ({"data": {"token": "canäry"}}, "data.token"),
        ({"data": {"ca.crt": 5}}, "data[ca.crt]"),
        ({"stringData": {"token": 4711}}, "stringData.token"),
        ({"stringData": {"token": True}}, "stringData.token"),
        ({"stringData": {"token": ["canary"]}}, "stringData.token"),
        ({"data": ["canary"]}, "data"),
        ({"stringData": "canary"}, "stringData"),
        ({"type": 5}, "type"),
        ({"metadata": {"labels": []}}, "metadata.labels"),
    ],
)
def test_t14_a_broken_value_names_its_key_and_not_itself(fields: dict[str, Any], path: str) -> None:
    found, violations = decode_secret({"metadata": {"name": "s"}, **fields})
    assert found is None
    assert [violation.path for violation in violations] == [path]
    text = str(violations)
    assert "canary" not in text
    assert "4711" not in text


def test_all_broken_values_are_told_at_once() -> None:
    _, violations = decode_secret({"data": {"a": "!", "b": "!"}, "stringData": {"c": 1}})
    assert [violation.path for violation in violations] == ["data.a", "data.b", "stringData.c"]
