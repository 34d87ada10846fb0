from __future__ import annotations

from typing import Any

import pytest

from connectors.objects.violation import errors
from connectors.sources.api_objects import read_class
from controller.admission.judge import Known, Sibling, judge_class, judge_connector, known
from controller.admission.review import ClassReview, ConnectorReview, decode_review
from controller.admission.verdict import ReviewVerdict
from tests import builders
from tests.controller.admission.reviews import Json, body, connector, connector_class

GIT = Known(builders.connector_class("git"))
BROKEN = known(read_class(b'{"metadata": {"name": "git"}, "spec": {"params": [{"name": ""}]}}'))
DELETED = {"deletionTimestamp": "2026-01-01T00:00:00Z"}
REGO = {"authExtractor": {"rego": "x"}}


def of_connector(new: Json | None, old: Json | None = None, of_class: Known | None = GIT) -> ReviewVerdict:
    review = decode_review(body(new, old))
    assert isinstance(review, ConnectorReview)
    return judge_connector(review, of_class)


def of_class(new: Json | None, old: Json | None = None, *siblings: Sibling) -> ReviewVerdict:
    review = decode_review(body(new, old))
    assert isinstance(review, ClassReview)
    return judge_class(review, siblings)


def paths(verdict: ReviewVerdict) -> list[str]:
    return [item.path for item in verdict.denial.causes] if verdict.denial else []


def test_what_is_well() -> None:
    assert of_connector(connector()) == ReviewVerdict()
    assert of_class(connector_class(proxy={})) == ReviewVerdict()


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (connector(address="ftp://x"), ["spec.address"]),
        (connector("a.b", address=""), ["metadata.name", "spec.address"]),
        (connector(address=1), ["spec.address"]),
        (connector(params=[{"name": "x", "value": "y"}]), ["spec.params[0].name"]),
    ],
)
def test_a_connector_that_breaks_rules(new: Json, expected: list[str]) -> None:
    assert paths(of_connector(new)) == expected
    assert paths(of_connector(new, connector(auth={"name": "b"}))) == expected


@pytest.mark.parametrize("metadata", [{}, {"labels": {"a": "b"}}, {"finalizers": []}, DELETED])
def test_an_update_that_leaves_the_spec_is_let_through_with_a_word(metadata: Json) -> None:
    verdict = of_connector(connector(address="ftp://x", metadata=metadata), connector(address="ftp://x"))
    assert verdict.allowed
    assert verdict.warnings[0].startswith("spec.address: ")


def test_what_is_being_deleted_is_let_through() -> None:
    assert of_connector(connector(address="ftp://x", metadata=DELETED), connector()).allowed
    assert of_class(connector_class(params=[{"name": ""}], metadata=DELETED), connector_class()).allowed


def test_a_missing_class_is_a_warning_that_names_it() -> None:
    verdict = of_connector(connector(params=[{"name": "x", "value": "y"}]), None, None)
    assert verdict.allowed
    assert verdict.warnings == (
        'spec.connectorClassName: connectorclass "git" not found; until it is created this Connector is not served',
    )


def test_without_a_class_the_rules_that_need_none_are_judged() -> None:
    assert paths(of_connector(connector(address=""), None, None)) == ["spec.address"]


def test_a_name_that_can_be_no_class_s_is_refused() -> None:
    verdict = of_connector(connector(connectorClassName="a/b"), None, None)
    assert paths(verdict) == ["spec.connectorClassName"]
    assert verdict.warnings == ()


def test_a_broken_class_is_a_warning_and_judges_nobody() -> None:
    assert errors(BROKEN.violations)
    verdict = of_connector(connector(params=[{"name": "x", "value": "y"}]), None, BROKEN)
    assert verdict.allowed
    assert verdict.warnings[0].startswith("spec.connectorClassName: ConnectorClass git is invalid, correct it first: ")


def test_a_deletion_of_a_connector_is_nobody_s_business() -> None:
    assert of_connector(None, connector(address="")) == ReviewVerdict()


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (connector_class(params=[{"name": "a"}, {"name": "a"}]), ["spec.params[1].name"]),
        (connector_class(proxy=REGO), ["spec.proxy.authExtractor.rego"]),
        (connector_class(params="x"), ["spec.params"]),
    ],
)  # fmt: skip
def test_a_class_that_breaks_rules(new: Json, expected: list[str]) -> None:
    assert paths(of_class(new)) == expected
    assert paths(of_class(new, connector_class())) == expected


def test_a_class_s_update_that_leaves_the_spec_is_let_through() -> None:
    broken = connector_class(params=[{"name": ""}])
    verdict = of_class({**broken, "metadata": {"name": "git", "labels": {"a": "b"}}}, broken)
    assert verdict.allowed
    assert verdict.warnings


def siblings(count: int, *, broken: bool = False, **spec: Any) -> list[Sibling]:
    found = (builders.connector(f"c-{index:02}", namespace="team", **spec) for index in range(count))
    return [Sibling(item, broken) for item in found]


def test_connectors_that_a_change_harms_are_named() -> None:
    verdict = of_class(connector_class(params=[{"name": "new"}]), connector_class(), *siblings(12))
    assert verdict.allowed
    assert verdict.warnings[0].startswith(
        "Connectors broken by this change of class git, and not served any more (12): "
    )
    told = " ".join(verdict.warnings)
    assert "team/c-00, " in told
    assert "team/c-09, and 2 more" in told
    assert "team/c-10" not in told


def test_connectors_that_were_broken_before_or_are_not_harmed_are_not_named() -> None:
    new = connector_class(params=[{"name": "new"}])
    given = siblings(3, params=[{"name": "new", "value": "x"}])
    assert of_class(new, connector_class(), *siblings(3, broken=True), *given).warnings == ()
    assert of_class(new, None, *siblings(3)).warnings == ()


def test_a_class_that_is_deleted_with_connectors_left() -> None:
    verdict = of_class(None, connector_class(), *siblings(2))
    assert verdict == ReviewVerdict(
        warnings=("Connectors not served any more without class git (2): team/c-00, team/c-01",)
    )
    assert of_class(None, connector_class()) == ReviewVerdict()


def test_a_class_that_cannot_be_read_is_not_usable() -> None:
    assert not known(read_class(b'{"metadata": {"name": "git"}, "spec": {"params": 1}}')).usable
    assert known(read_class(b'{"metadata": {"name": "git"}}')).usable
