from __future__ import annotations

from connectors.objects.violation import Severity, Violation
from connectors.rules.connector_class import judge_class
from tests.builders import basic_class, connector_class


def test_a_class_that_can_be_used() -> None:
    judged = judge_class(basic_class())
    assert (judged.violations, judged.usable) == ((), True)
    assert judged.owned.headers >= {b"authorization", b"proxy-authorization"}


def test_what_is_malformed_has_nothing_else_wrong_with_it() -> None:
    wrong = Violation("spec.auth.types", "must be a list")
    judged = judge_class(connector_class(proxy={"authExtractor": {"header": "Host"}}), wrong)
    assert (judged.violations, judged.usable) == ((wrong,), False)


def test_a_warning_breaks_nothing() -> None:
    judged = judge_class(connector_class(proxy={"authExtractor": {"header": "Cookie"}}))
    assert [violation.severity for violation in judged.violations] == [Severity.WARNING]
    assert judged.usable


def test_t21_the_names_are_owned_even_of_a_class_that_is_broken() -> None:
    field = {"name": "X_Key", "value": "{{ nope }}"}
    broken = connector_class(
        auth={"types": [{"name": "a", "generator": {"headers": [field]}}]},
        proxy={"authExtractor": {"header": "Private-Token"}},
    )
    judged = judge_class(broken)
    assert not judged.usable
    assert judged.owned.headers >= {b"x-key", b"private-token"}
