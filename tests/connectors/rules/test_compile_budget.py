from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from connectors.expressions.check import compile_check
from connectors.rules.compile_budget import MOST_CHARACTERS, MOST_EXPRESSIONS, over_budget
from connectors.rules.connector_class import validate_connector_class
from tests.builders import connector_class

Spec = dict[str, Any]


def headers(sources: list[str]) -> Spec:
    generated = [{"name": f"X-{index}", "value": source} for index, source in enumerate(sources)]
    return {"auth": {"types": [{"name": "a", "secretType": "Opaque", "generator": {"headers": generated}}]}}


def queries(sources: list[str]) -> Spec:
    generated = [{"name": f"q{index}", "value": source} for index, source in enumerate(sources)]
    return {"auth": {"types": [{"name": "a", "secretType": "Opaque", "generator": {"query": generated}}]}}


def probe_headers(sources: list[str]) -> Spec:
    sent = [{"name": f"X-{index}", "value": source} for index, source in enumerate(sources)]
    return {"livenessProbe": {"http": {"path": "", "httpHeaders": sent}}}


def checks(sources: list[str]) -> Spec:
    probes = [{"authName": "", "probe": {"http": {"path": "", "response": {"cel": source}}}} for source in sources]
    return {"authProbes": probes}


def paths(sources: list[str]) -> Spec:
    return {"authProbes": [{"authName": "", "probe": {"http": {"path": source}}} for source in sources]}


def api_paths(sources: list[str]) -> Spec:
    return {"authProbes": [{"authName": "", "probe": {"api": {"path": source}}} for source in sources]}


EVERYWHERE = [headers, queries, probe_headers, checks, paths, api_paths]


@pytest.mark.parametrize("place", EVERYWHERE)
def test_t36_each_expression_counts_and_each_character(place: Callable[[list[str]], Spec]) -> None:
    most = ["x"] * MOST_EXPRESSIONS
    assert over_budget(connector_class(**place(most))) is None
    assert over_budget(connector_class(**place([*most, "x"]))) is not None
    long = ["x" * (MOST_CHARACTERS // 2)] * 2
    assert over_budget(connector_class(**place(long))) is None
    assert over_budget(connector_class(**place([*long, "x"]))) is not None


def test_t36_all_of_a_class_counts_together() -> None:
    half = ["x"] * (MOST_EXPRESSIONS // 2)
    assert over_budget(connector_class(**headers(half), **probe_headers(half))) is None
    assert over_budget(connector_class(**headers(half), **probe_headers([*half, "x"]))) is not None


def test_t36_what_is_too_much_is_said_once_and_not_compiled() -> None:
    sources = [f"statusCode == {index} ||| " for index in range(10_000)]
    before = compile_check.cache_info().misses
    begun = time.process_time()
    found = [item for item in validate_connector_class(connector_class(**checks(sources))) if item.path == "spec"]
    assert time.process_time() - begun < 1.0
    assert compile_check.cache_info().misses == before
    characters = sum(map(len, sources))
    said = (
        f"spec: too much to compile: 10000 expressions of {characters} characters, at most 512 of 65536;"
        " make several classes of it"
    )
    assert [str(item) for item in found] == [said]
