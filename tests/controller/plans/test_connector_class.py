from __future__ import annotations

import pytest

from connectors.objects.connector_class import (
    ClassApi,
    ClassProxy,
    ConnectorClass,
    ConnectorClassSpec,
    ServiceReference,
)
from connectors.objects.metadata import ObjectMeta
from connectors.objects.reasons import ConditionReason
from connectors.objects.violation import Severity, Violation
from controller.destination import Platform
from controller.plans.connector_class import ClusterServices, NoCluster, plan
from controller.probes.outcome import PASSED, Probed, ProbeOutcome, Probes, failed
from controller.service import ServiceKey

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
    status = plan(connector_class, violations, None, NoCluster(), "t1").status
    assert [condition.type.value for condition in status.conditions] == ["APIReady", "ProxyReady", "Ready"]
    assert [(condition.status.value, condition.reason) for condition in status.conditions] == expected
    assert status.observed_generation == 3


def test_ready_names_the_first_error() -> None:
    assert plan(PROXY, BROKEN, None, NoCluster(), "t1").status.conditions[-1].message == "spec.auth: is wrong"


def test_transition_times_stay_where_nothing_moved() -> None:
    before = plan(PROXY, (), None, NoCluster(), "t1").status
    after = plan(PROXY, BROKEN, before, NoCluster(), "t2").status
    assert [condition.last_transition_time for condition in after.conditions] == ["t1", "t1", "t2"]


PLATFORM = Platform()
BOTH_THERE = ClusterServices(PLATFORM, {PLATFORM.proxy, ServiceKey("tools", "api")})
API = ClassApi(ref=ServiceReference(kind="Service", name="api", namespace="tools"), uri="/v1")


@pytest.mark.parametrize(
    ("spec", "facts", "expected", "api", "proxy"),
    [
        pytest.param(
            ConnectorClassSpec(proxy=ClassProxy(), api=API),
            BOTH_THERE,
            [("Unknown", "ProbePending"), ("True", ""), ("Unknown", "ProbePending")],
            "http://api.tools.svc.cluster.local/v1",
            "http://connectors-proxy-service.connectors-system.svc.cluster.local",
            id="both there",
        ),
        pytest.param(
            ConnectorClassSpec(proxy=ClassProxy(), api=API),
            ClusterServices(PLATFORM),
            [("False", "APIServiceNotFound"), ("False", "ProxyServiceNotFound"), ("False", "APIServiceNotFound")],
            None,
            None,
            id="neither there",
        ),
        pytest.param(
            ConnectorClassSpec(proxy=ClassProxy(uri="https://edge.example"), api=ClassApi(uri="http://api.example/")),
            ClusterServices(PLATFORM),
            [("Unknown", "ProbePending"), ("True", ""), ("Unknown", "ProbePending")],
            "http://api.example/",
            "https://edge.example",
            id="at addresses of their own",
        ),
        pytest.param(
            ConnectorClassSpec(proxy=ClassProxy(uri="nonsense"), api=ClassApi(uri="/v1")),
            ClusterServices(PLATFORM),
            [("False", "ConnectorClassInvalid")] * 3,
            None,
            None,
            id="nowhere",
        ),
        pytest.param(
            ConnectorClassSpec(api=ClassApi(openapi={})),
            ClusterServices(PLATFORM),
            [("True", "NonAPI"), ("True", "NonProxy"), ("True", "")],
            None,
            None,
            id="an API without an address",
        ),
    ],
)
def test_in_a_cluster(
    spec: ConnectorClassSpec,
    facts: ClusterServices,
    expected: list[tuple[str, str]],
    api: str | None,
    proxy: str | None,
) -> None:
    status = plan(ConnectorClass(metadata=META, spec=spec), (), None, facts, "t1").status
    assert [(condition.status.value, condition.reason) for condition in status.conditions] == expected
    assert (status.api.address.url if status.api else None) == api
    assert (status.proxy.http_address.url if status.proxy else None) == proxy


def test_events_name_the_missing_service() -> None:
    spec = ConnectorClassSpec(proxy=ClassProxy())
    (event,) = plan(ConnectorClass(metadata=META, spec=spec), (), None, ClusterServices(PLATFORM), "t1").events
    assert event.reason == "ProxyServiceNotFound"
    assert event.message == "Service connectors-proxy-service not found in namespace connectors-system"


NOW = "2026-11-25T12:00:00Z"
GONE = failed(ConditionReason.CONNECTION_FAILED, "DNS: the name api does not resolve")


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (None, ("Unknown", "ProbePending")),
        (PASSED, ("True", "")),
        (GONE, ("False", "ConnectionFailed")),
    ],
)
def test_the_api_is_probed(outcome: ProbeOutcome | None, expected: tuple[str, str]) -> None:
    probes = Probes(api=Probed(outcome, NOW) if outcome else None)
    spec = ConnectorClassSpec(proxy=ClassProxy(), api=API)
    connector_class = ConnectorClass(metadata=META, spec=spec)
    there = ClusterServices(PLATFORM, BOTH_THERE.existing, probes)
    for facts in (there, NoCluster(probes)):
        condition = plan(connector_class, (), None, facts, NOW).status.conditions[0]
        assert (condition.status, condition.reason) == expected
        assert condition.last_probe_time == (NOW if outcome else "")
    missing = plan(connector_class, (), None, ClusterServices(PLATFORM, probes=probes), NOW).status.conditions[0]
    assert (missing.status, missing.reason) == ("False", "APIServiceNotFound")


def test_what_an_earlier_process_wrote_stands_until_the_first_probe() -> None:
    connector_class = ConnectorClass(metadata=META, spec=ConnectorClassSpec(proxy=ClassProxy(), api=API))
    there = ClusterServices(PLATFORM, BOTH_THERE.existing, Probes(api=Probed(PASSED, NOW)))
    before = plan(connector_class, (), None, there, NOW).status
    fresh = ClusterServices(PLATFORM, BOTH_THERE.existing, Probes(fresh=True))
    assert plan(connector_class, (), before, fresh, NOW).status == before


def test_what_was_written_of_another_spec_does_not_stand() -> None:
    spec = ConnectorClassSpec(proxy=ClassProxy(), api=API)
    there = ClusterServices(PLATFORM, BOTH_THERE.existing, Probes(api=Probed(PASSED, NOW)))
    before = plan(ConnectorClass(metadata=META, spec=spec), (), None, there, NOW).status
    changed = ConnectorClass(metadata=ObjectMeta(name="git", generation=4), spec=spec)
    fresh = ClusterServices(PLATFORM, BOTH_THERE.existing, Probes(fresh=True))
    condition = plan(changed, (), before, fresh, NOW).status.conditions[0]
    assert (condition.status, condition.reason) == ("Unknown", "ProbePending")


def test_standalone_an_api_without_an_address_is_none() -> None:
    connector_class = ConnectorClass(metadata=META, spec=ConnectorClassSpec(api=ClassApi(openapi={})))
    assert plan(connector_class, (), None, NoCluster(), NOW).status.conditions[0].reason == "NonAPI"
