from __future__ import annotations

import pytest

from connectors.model.connector_class import ClassApi, ClassProxy, ConnectorClass, ConnectorClassSpec
from connectors.model.metadata import ObjectMeta
from connectors.model.violation import Severity, Violation
from controller.kinds.connector_class import plan

META = ObjectMeta(name="git", generation=3)
PROXY = ConnectorClass(metadata=META, spec=ConnectorClassSpec(proxy=ClassProxy()))
BARE = ConnectorClass(metadata=META)
WITH_API = ConnectorClass(metadata=META, spec=ConnectorClassSpec(api=ClassApi(uri="http://api")))
BROKEN = (Violation("spec.params", "odd", Severity.WARNING), Violation("spec.auth", "is wrong"))


@pytest.mark.parametrize(
    ("connector_class", "violations", "expected"),
    [
        pytest.param(PROXY, (), [("True", "NonAPI"), ("True", ""), ("True", "")], id="proxy"),
        pytest.param(BARE, (), [("True", "NonAPI"), ("True", "NonProxy"), ("True", "")], id="nothing"),
        pytest.param(
            WITH_API,
            (),
            [("Unknown", "ProbePending"), ("True", "NonProxy"), ("Unknown", "ProbePending")],
            id="an API that nobody has asked",
        ),
        pytest.param(
            PROXY, BROKEN, [("True", "NonAPI"), ("True", ""), ("False", "ConnectorClassInvalid")], id="rules broken"
        ),
        pytest.param(PROXY, BROKEN[:1], [("True", "NonAPI"), ("True", ""), ("True", "")], id="a warning only"),
    ],
)
def test_conditions(
    connector_class: ConnectorClass, violations: tuple[Violation, ...], expected: list[tuple[str, str]]
) -> None:
    status = plan(connector_class, violations, None, "t1").status
    assert [condition.type.value for condition in status.conditions] == ["APIReady", "ProxyReady", "Ready"]
    assert [(condition.status.value, condition.reason) for condition in status.conditions] == expected
    assert status.observed_generation == 3


def test_ready_names_the_first_error() -> None:
    assert plan(PROXY, BROKEN, None, "t1").status.conditions[-1].message == "spec.auth: is wrong"


def test_transition_times_stay_where_nothing_moved() -> None:
    before = plan(PROXY, (), None, "t1").status
    after = plan(PROXY, BROKEN, before, "t2").status
    assert [condition.last_transition_time for condition in after.conditions] == ["t1", "t1", "t2"]
