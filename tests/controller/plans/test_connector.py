from __future__ import annotations

from typing import Any

import msgspec
import pytest

from connectors.credentials.credential import CredentialError
from connectors.judgement import Judgement
from connectors.objects.conditions import ConditionType, ConnectorStatus
from connectors.objects.connector import Connector, ConnectorKey
from connectors.objects.connector_class import (
    RESOLVER_ANNOTATION,
    ApiProbe,
    AuthProbe,
    AuthType,
    ClassAuth,
    ClassProxy,
    ConnectorClass,
    ConnectorClassSpec,
    HttpProbe,
    Probe,
)
from connectors.objects.metadata import ObjectMeta
from connectors.objects.reasons import ConditionReason
from connectors.objects.violation import Severity, Violation
from connectors.tls.certificates import Bundle
from connectors.trust import OwnAuthority
from controller.destination import ClusterProxy, LocalProxy, Platform
from controller.plans.connector import ConnectorFacts, plan
from controller.service import Create, ServiceKey
from tests.builders import connector

KEY = ConnectorKey("team", "repo")
A_PROXY = ClassProxy()
LOCAL = ConnectorFacts(LocalProxy("http://c-repo.team.localhost:8080"))
NAMES = ["ConnectorClassReady", "SecretReady", "LivenessReady", "AuthReady", "ProxyServiceReady", "Ready"]


def repo(*, secret: bool = False) -> Connector:
    """The Connector KEY."""
    spec: dict[str, Any] = {"auth": {"name": "basic", "secretRef": {"name": "s"}}} if secret else {}
    address, metadata = "https://tool.example", {"generation": 7}
    return connector(
        KEY.name, namespace=KEY.namespace, metadata=metadata, connectorClassName="git", address=address, **spec
    )


def git(resolver: str = "host", proxy: ClassProxy | None = A_PROXY, **fields: object) -> ConnectorClass:
    spec = ConnectorClassSpec(auth=ClassAuth(types=(AuthType(name="basic", optional=True),)), proxy=proxy)
    metadata = ObjectMeta(name="git", annotations={RESOLVER_ANNOTATION: resolver})
    return ConnectorClass(metadata=metadata, spec=msgspec.structs.replace(spec, **fields))


def summary(status: ConnectorStatus) -> list[tuple[str, str]]:
    return [(condition.status.value, condition.reason) for condition in status.conditions]


WELL = [("True", ""), ("True", "SecretOptional"), ("True", "NonLivenessProbe"), ("True", "NonAuthProbe"), ("True", "")]
PROBE = Probe(http=HttpProbe(path="/"))
NOT_FOUND = CredentialError(ConditionReason.SECRET_NOT_FOUND, 'secrets "s" not found')
BROKEN = (
    Violation("spec.params", "unusual", Severity.WARNING),
    Violation("spec.address", "is missing"),
    Violation("spec.auth.name", "is not known"),
)
CLASS_BROKEN = (Violation("spec.connectorClassName", "ConnectorClass git is invalid"),)
MISNAMED = (Violation("spec.connectorClassName", "has more than 253 characters"),)
NAMELESS = (Violation("spec.connectorClassName", "is missing; name it"),)
NOTE = "key token of Secret s: the line end behind the value is left out"
LOST = ("Unknown", "ConnectorClassNotFound")
PENDING = CredentialError(ConditionReason.SECRET_PENDING, "is being read")
MALFORMED = (Violation("spec.address", "must be a string"),)


@pytest.mark.parametrize(
    ("judgement", "expected"),
    [
        pytest.param(Judgement(repo(), git()), [*WELL, ("True", "")], id="well"),
        pytest.param(
            Judgement(repo(secret=True), git()),
            [WELL[0], ("True", ""), *WELL[2:], ("True", "")],
            id="Secret there",
        ),
        pytest.param(
            Judgement(repo(secret=True), git(), secret_problem=NOT_FOUND),
            [WELL[0], ("False", "SecretNotFound"), *WELL[2:], ("False", "SecretNotFound")],
            id="Secret missing",
        ),
        pytest.param(
            Judgement(repo(secret=True), git(), secret_problem=PENDING),
            [WELL[0], ("Unknown", "SecretPending"), *WELL[2:], ("Unknown", "SecretPending")],
            id="Secret not read yet",
        ),
        pytest.param(
            Judgement(Connector(metadata=repo().metadata), None, violations=MALFORMED),
            [*([("Unknown", "ConnectorInvalid")] * 5), ("False", "ConnectorInvalid")],
            id="malformed",
        ),
        pytest.param(
            Judgement(repo(), git(proxy=None)), [*WELL[:4], ("True", "NonProxy"), ("True", "")], id="no proxy"
        ),
        pytest.param(
            Judgement(repo(), git(liveness_probe=PROBE)),
            [*WELL[:2], ("Unknown", "ProbePending"), *WELL[3:], ("Unknown", "ProbePending")],
            id="liveness probe that nobody has run",
        ),
        pytest.param(Judgement(repo(), git(liveness_probe=Probe())), [*WELL, ("True", "")], id="empty probe"),
        pytest.param(
            Judgement(
                repo(secret=True),
                git(auth_probes=(AuthProbe(auth_name="basic", probe=Probe(api=ApiProbe(path="/"))),)),
            ),
            [WELL[0], ("True", ""), WELL[2], ("Unknown", "ProbePending"), WELL[4], ("Unknown", "ProbePending")],
            id="auth probe of the chosen type",
        ),
        pytest.param(
            Judgement(repo(secret=True), git(auth_probes=(AuthProbe(auth_name="other", probe=PROBE),))),
            [WELL[0], ("True", ""), *WELL[2:], ("True", "")],
            id="auth probe of another type",
        ),
        pytest.param(
            Judgement(repo(secret=True), git(), violations=BROKEN),
            [WELL[0], ("Unknown", "ConnectorInvalid"), *WELL[2:], ("False", "ConnectorInvalid")],
            id="rules broken",
        ),
        pytest.param(
            Judgement(repo(), git(), violations=BROKEN[:1]), [*WELL, ("True", "")], id="a warning changes nothing"
        ),
        pytest.param(
            Judgement(repo(secret=True), git(), violations=CLASS_BROKEN),
            [
                ("False", "ConnectorClassInvalid"),
                *([("Unknown", "ConnectorClassInvalid")] * 3),
                WELL[4],
                ("False", "ConnectorClassInvalid"),
            ],
            id="class invalid",
        ),
        pytest.param(
            Judgement(Connector(), None, violations=NAMELESS),
            [("False", "ConnectorInvalid"), *([("Unknown", "ConnectorInvalid")] * 4), ("False", "ConnectorInvalid")],
            id="class not named",
        ),
        pytest.param(
            Judgement(repo(secret=True), None, violations=BROKEN),
            [("False", "ConnectorClassNotFound"), LOST, LOST, LOST, LOST, ("False", "ConnectorClassNotFound")],
            id="class missing",
        ),
    ],
)
def test_conditions(judgement: Judgement, expected: list[tuple[str, str]]) -> None:
    status = plan(judgement, None, LOCAL, "t1").status
    assert [condition.type.value for condition in status.conditions] == NAMES
    assert summary(status) == expected


@pytest.mark.parametrize(
    ("judgement", "message"),
    [
        pytest.param(
            Judgement(repo(), None), 'connectorclass.connectors.alauda.io "git" not found', id="class missing"
        ),
        pytest.param(Judgement(repo(), git(), violations=BROKEN), "spec.address: is missing", id="rules broken"),
        pytest.param(
            Judgement(Connector(), None, violations=MALFORMED), "spec.address: must be a string", id="malformed"
        ),
        pytest.param(
            Judgement(repo(secret=True), git(), secret_problem=NOT_FOUND), 'secrets "s" not found', id="no Secret"
        ),
    ],
)
def test_ready_says_what_is_wrong(judgement: Judgement, message: str) -> None:
    assert plan(judgement, None, LOCAL, "t1").status.conditions[-1].message == message


def test_an_invalid_class_is_told_once_and_referred_to() -> None:
    class_ready, secret_ready, *_ = plan(
        Judgement(repo(secret=True), git(), violations=CLASS_BROKEN), None, LOCAL, "t1"
    ).status.conditions
    assert class_ready.message == "ConnectorClass git is invalid"
    assert secret_ready.message == "not judged while ConnectorClass git is invalid"


def test_a_class_that_vanishes_leaves_no_stale_true() -> None:
    before = plan(Judgement(repo(), git()), None, LOCAL, "t1").status
    after = plan(Judgement(repo(), None), before, LOCAL, "t2").status
    assert {condition.status.value for condition in after.conditions} == {"False", "Unknown"}
    assert {condition.last_transition_time for condition in after.conditions} == {"t2"}
    assert after.proxy is None


def test_transition_times_stay_where_nothing_moved() -> None:
    before = plan(Judgement(repo(secret=True), git()), None, LOCAL, "t1").status
    after = plan(Judgement(repo(secret=True), git(), secret_problem=NOT_FOUND), before, LOCAL, "t2").status
    assert [condition.last_transition_time for condition in after.conditions] == ["t1", "t2", "t1", "t1", "t1", "t2"]


@pytest.mark.parametrize(
    ("connector_class", "url"),
    [
        (git(), "http://c-repo.team.localhost:8080"),
        (git("path"), "http://c-repo.team.localhost:8080/namespaces/team/connectors/repo"),
        (git(proxy=None), None),
        (git("path", proxy=None), None),
    ],
    ids=["host", "path", "no proxy", "path without proxy"],
)
def test_proxy_address(connector_class: ConnectorClass, url: str | None) -> None:
    proxy = plan(Judgement(repo(), connector_class), None, LOCAL, "t1").status.proxy
    assert (proxy.http_address.url if proxy else None) == url


def test_api_path_and_generation() -> None:
    status = plan(Judgement(repo(), git()), None, LOCAL, "t1").status
    assert status.api is not None
    assert status.api.path == "/connectors/v1alpha1/team/repo/path"
    assert status.observed_generation == 7


def test_what_is_served_has_the_api_servers_names() -> None:
    status = msgspec.to_builtins(plan(Judgement(repo(), git()), None, LOCAL, "t1").status)
    assert status["proxy"] == {"httpAddress": {"url": "http://c-repo.team.localhost:8080"}}
    assert status["conditions"][0] == {"type": "ConnectorClassReady", "status": "True", "lastTransitionTime": "t1"}
    assert status["observedGeneration"] == 7


def test_the_service_is_part_of_the_plan() -> None:
    facts = ConnectorFacts(ClusterProxy(Platform()))
    wanted = plan(Judgement(repo(), git()), None, facts, "t1")
    assert isinstance(wanted.service, Create)
    assert wanted.service.key == ServiceKey("team", "c-repo")
    assert summary(wanted.status)[4:] == [("Unknown", "ProxyServicePending")] * 2
    assert plan(Judgement(repo(), None), None, facts, "t1").service is None
    assert plan(Judgement(repo(), git()), None, LOCAL, "t1").service is None


def test_events_tell_transitions_once() -> None:
    missing = Judgement(repo(secret=True), git(), secret_problem=NOT_FOUND)
    first = plan(missing, None, LOCAL, "t1")
    assert [(event.type.value, event.reason) for event in first.events] == [("Warning", "SecretNotFound")]
    assert plan(missing, first.status, LOCAL, "t2").events == ()
    well = plan(Judgement(repo(secret=True), git()), first.status, LOCAL, "t3")
    assert [(event.type.value, event.reason) for event in well.events] == [("Normal", "Ready")]


def test_nothing_new_leaves_the_status_equal() -> None:
    first = plan(Judgement(repo(), git()), None, LOCAL, "t1").status
    assert plan(Judgement(repo(), git()), first, LOCAL, "t2").status == first


def test_a_class_name_that_breaks_a_rule_is_told_as_such() -> None:
    status = plan(Judgement(repo(), None, violations=MISNAMED), None, LOCAL, "t1").status
    assert summary(status) == [
        ("False", "ConnectorInvalid"),
        *([("Unknown", "ConnectorInvalid")] * 4),
        summary(status)[0],
    ]
    assert status.conditions[0].message == status.conditions[-1].message == str(MISNAMED[0])


def test_a_refusal_keeps_its_first_message_until_the_connector_changes() -> None:
    def refused(problem: str, judgement: Judgement, previous: ConnectorStatus | None = None) -> ConnectorStatus:
        return plan(judgement, previous, ConnectorFacts(ClusterProxy(Platform(), problem=problem)), "t1").status

    judgement = Judgement(repo(), git())
    first = refused("at 0xc00e2daa74", judgement)
    assert summary(first)[-1] == ("False", "ProxyServiceFailed")
    assert refused("at 0xc00e2dbb75", judgement, first) == first
    metadata = msgspec.structs.replace(repo().metadata, generation=8)
    newer = Judgement(msgspec.structs.replace(repo(), metadata=metadata), git())
    told = refused("at 0xc00e2dbb75", newer, first)
    assert [item.message for item in told.conditions[-2:]] == ["Service c-repo: at 0xc00e2dbb75"] * 2


INVALID = OwnAuthority("ca", Bundle())


@pytest.mark.parametrize(
    ("authority", "told"),
    [(None, None), (OwnAuthority(), ("True", "NoCACert")), (INVALID, ("False", "InvalidPEM"))],
)
def test_what_is_said_of_a_ca_stands_before_ready_and_does_not_count(
    authority: OwnAuthority | None, told: tuple[str, str] | None
) -> None:
    found = plan(Judgement(repo(), git(), authority=authority), None, LOCAL, "t1")
    assert [item.type.value for item in found.status.conditions] == [
        *NAMES[:5],
        *(["CACertReady"] if told else []),
        "Ready",
    ]
    assert summary(found.status) == [*WELL, *([told] if told else []), ("True", "")]
    lost = plan(Judgement(repo(), None, authority=authority), None, LOCAL, "t1")
    assert lost.status.condition(ConditionType.READY).reason == "ConnectorClassNotFound"  # type: ignore[union-attr]
    assert len(lost.status.conditions) == len(found.status.conditions)


def test_events_of_a_ca() -> None:
    before = plan(Judgement(repo(), git(), authority=OwnAuthority("ca")), None, LOCAL, "t1")
    assert [event.reason for event in before.events] == ["CACertSecretNotFound", "Ready"]
    after = plan(Judgement(repo(), git(), authority=INVALID), before.status, LOCAL, "t2")
    assert [event.reason for event in after.events] == ["InvalidCACert"]
    off = plan(Judgement(repo(), git()), after.status, LOCAL, "t3")
    assert off.events == ()


def test_t40_what_a_person_should_know_of_a_secret_stands_in_its_condition() -> None:
    judgement = Judgement(repo(secret=True), git(), secret_note=NOTE)
    (found,) = (item for item in plan(judgement, None, LOCAL, "t").status.conditions if item.message)
    assert (found.type, found.status.value, found.reason, found.message) == ("SecretReady", "True", "", NOTE)
