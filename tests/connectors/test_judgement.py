from __future__ import annotations

from connectors.judgement import judgement_of
from connectors.objects.reasons import ConditionReason
from connectors.rules.connector_class import judge_class
from connectors.rules.examination import Inputs, examine
from tests.builders import basic_class, connector


def test_it_says_what_was_found_and_of_what() -> None:
    item, kind = connector(auth={"name": "basicAuth", "secretRef": {"name": "login"}}), basic_class()
    judgement = judgement_of(examine(Inputs(item, judge_class(kind), unread="late")))
    assert (judgement.connector, judgement.connector_class, judgement.secret) == (item, kind, None)
    assert judgement.secret_problem is not None
    assert (judgement.secret_problem.reason, judgement.unread) == (ConditionReason.SECRET_PENDING, "late")
    assert list(judgement.addresses) == [""]
    assert judgement.violations == ()


def test_another_one_is_news() -> None:
    examined = examine(Inputs(connector(), judge_class(basic_class())))
    assert judgement_of(examined) != judgement_of(examined)
