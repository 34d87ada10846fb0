from __future__ import annotations

from typing import Any

import pytest

from connectors.objects.connector import Connector
from connectors.objects.connector_class import ConnectorClass
from connectors.objects.violation import Violation
from connectors.sources.fields import decode, unknown_fields, without_nulls


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"spec": {"address": 1}}, "spec.address: must be a string, not a whole number; put it in quotes"),
        ({"spec": {"address": True}}, "spec.address: must be a string, not true or false; put it in quotes"),
        ({"spec": []}, "spec: must be a mapping, not a list"),
        ({"spec": {"auth": "x"}}, "spec.auth: must be a mapping, not a string"),
        ({"spec": {"params": {}}}, "spec.params: must be a list, not a mapping"),
        (
            {"spec": {"auth": {"params": [{"name": "a"}, {"name": 1.5}]}}},
            "spec.auth.params[1].name: must be a string, not a number; put it in quotes",
        ),
        (
            {"metadata": {"labels": {"a": 1}}},
            "metadata.labels: holds a value that must be a string, not a whole number; put it in quotes",
        ),
        ({"metadata": {"generation": "x"}}, "metadata.generation: must be a whole number, not a string"),
    ],
)
def test_wrong_types_in_plain_words(data: Any, text: str) -> None:
    assert str(decode(data, Connector)) == text


def test_what_fits_is_decoded() -> None:
    found = decode({"spec": {"address": "https://h"}}, Connector)
    assert not isinstance(found, Violation)
    assert found.spec.address == "https://h"


@pytest.mark.parametrize(
    ("data", "texts"),
    [
        ({"metadata": {}, "spec": {}}, []),
        ({"kind": "Connector"}, []),
        ({"spec": {"adress": "x"}}, ['spec.adress: unknown field; did you mean "address"?']),
        ({"spec": {"zzz": "x"}}, ["spec.zzz: unknown field; remove it"]),
        ({"spec": {"auth": {"secretref": {}}}}, ['spec.auth.secretref: unknown field; did you mean "secretRef"?']),
        ({"spec": {"params": [{}, {"nam": 1}]}}, ['spec.params[1].nam: unknown field; did you mean "name"?']),
        ({"spec": {"params": [{"value": {"anything": 1}}]}}, []),
        ({"metadata": {"labels": {"any.thing/x": "y"}}}, []),
    ],
)
def test_unknown_fields(data: Any, texts: list[str]) -> None:
    assert [str(violation) for violation in unknown_fields(data, Connector, "", {"kind"})] == texts


def test_unknown_fields_of_a_class() -> None:
    spec = {
        "proxy": {"CACerts": "x", "ref": {"knd": "x"}},
        "api": {"openapi": {"paths": {}}},
        "params": [{"defualt": 1}],
    }
    found = [violation.path for violation in unknown_fields({"spec": spec}, ConnectorClass, "")]
    assert found == ["spec.proxy.ref.knd", "spec.params[0].defualt"]


def test_null_is_no_field() -> None:
    assert without_nulls({"a": None, "b": [{"c": None}, None], "d": {"e": None}}) == {"b": [{}, None], "d": {}}
