from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from connectors.judgement import Judgement
from connectors.objects.connector import Connector
from connectors.objects.connector_class import (
    RESOLVER_ANNOTATION,
    ClassProxy,
    ConnectorClass,
    ConnectorClassSpec,
    ServiceReference,
)
from connectors.objects.metadata import ObjectMeta
from connectors.objects.violation import Violation
from controller.destination import ClusterProxy, LocalProxy, Platform, allocate
from controller.service import HeldService, OwnerReference
from tests.controller.services_of import a_connector, foreign, own

CONNECTOR = a_connector()
OWN = own(CONNECTOR)
DRIFTED = msgspec.structs.replace(OWN, external_name="elsewhere")
LEAVING = msgspec.structs.replace(OWN, deleting=True)
FORMER = own(a_connector(uid="uid-0"))
FOREIGN = foreign(CONNECTOR)
TAKEN = msgspec.structs.replace(
    OWN,
    owners=(
        msgspec.structs.replace(OWN.owners[0], controller=False),
        OwnerReference(api_version="apps/v1", kind="Deployment", name="other", uid="u-9", controller=True),
    ),
)
URL = "http://c-repo.team.svc.cluster.local"
SUFFIX = "/namespaces/team/connectors/repo"
CLASS_BROKEN = (Violation("spec.connectorClassName", "ConnectorClass git is invalid"),)
NAME_BROKEN = (Violation("metadata.name", "must not contain a dot"),)
BUILT_IN, GONE = ClassProxy(), None
EDGE = ClassProxy(uri="https://edge.example/p/")
PREFIXED = ClassProxy(uri="/p")
ELSEWHERE = ClassProxy(ref=ServiceReference(kind="Service", name="edge", namespace="tools"))
NOWHERE = ClassProxy(ref=ServiceReference(kind="Ingress", name="edge"))


def bound(
    proxy: ClassProxy | None,
    resolver: str = "host",
    violations: tuple[Violation, ...] = (),
    connector: Connector = CONNECTOR,
) -> Judgement:
    metadata = ObjectMeta(name="git", annotations={RESOLVER_ANNOTATION: resolver})
    connector_class = ConnectorClass(metadata=metadata, spec=ConnectorClassSpec(proxy=proxy))
    return Judgement(connector, connector_class, violations=violations)


@pytest.mark.parametrize(
    ("judgement", "service", "backend", "condition", "url", "action"),
    [
        pytest.param(bound(BUILT_IN), None, True, ("Unknown", "ProxyServicePending"), None, "Create", id="to be made"),
        pytest.param(
            bound(BUILT_IN), None, False, ("Unknown", "ProxyServicePending"), None, "Create", id="all the same"
        ),
        pytest.param(bound(BUILT_IN), OWN, True, ("True", ""), URL, None, id="well"),
        pytest.param(bound(BUILT_IN, "path"), OWN, True, ("True", ""), URL + SUFFIX, None, id="path resolver"),
        pytest.param(bound(PREFIXED, "path"), OWN, True, ("True", ""), f"{URL}/p{SUFFIX}", None, id="relative uri"),
        pytest.param(bound(BUILT_IN), OWN, False, ("False", "ProxyServiceNotFound"), URL, None, id="no proxy Service"),
        pytest.param(bound(BUILT_IN), DRIFTED, True, ("Unknown", "ProxyServicePending"), URL, "Change", id="drift"),
        pytest.param(
            bound(ELSEWHERE), OWN, True, ("Unknown", "ProxyServicePending"), URL, "Change", id="another proxy"
        ),
        pytest.param(
            bound(BUILT_IN), LEAVING, True, ("Unknown", "ProxyServicePending"), None, None, id="on its way out"
        ),
        pytest.param(bound(BUILT_IN), FOREIGN, True, ("False", "ProxyServiceConflict"), None, None, id="foreign"),
        pytest.param(
            bound(BUILT_IN), TAKEN, True, ("False", "ProxyServiceConflict"), None, None, id="another's by controller"
        ),
        pytest.param(bound(GONE), TAKEN, True, ("True", "NonProxy"), None, None, id="no proxy, and another's Service"),
        pytest.param(
            bound(BUILT_IN), FORMER, True, ("Unknown", "ProxyServicePending"), None, "Remove", id="former life"
        ),
        pytest.param(bound(GONE), None, True, ("True", "NonProxy"), None, None, id="no proxy"),
        pytest.param(bound(GONE), OWN, True, ("True", "NonProxy"), None, "Remove", id="no proxy any more"),
        pytest.param(
            bound(GONE), FOREIGN, True, ("True", "NonProxy"), None, None, id="no proxy, and a foreign Service"
        ),
        pytest.param(bound(GONE), LEAVING, True, ("True", "NonProxy"), None, None, id="no proxy, on its way out"),
        pytest.param(
            bound(GONE, violations=CLASS_BROKEN),
            OWN,
            True,
            ("True", "NonProxy"),
            None,
            None,
            id="a class nobody can read",
        ),
        pytest.param(bound(EDGE), None, False, ("True", ""), "https://edge.example/p/", None, id="absolute uri"),
        pytest.param(
            bound(EDGE, "path"), OWN, False, ("True", ""), f"https://edge.example/p{SUFFIX}", "Remove", id="its path"
        ),
        pytest.param(bound(NOWHERE), OWN, True, ("Unknown", "ConnectorClassInvalid"), None, None, id="unusable ref"),
        pytest.param(
            bound(BUILT_IN, violations=NAME_BROKEN), None, True, ("Unknown", "ConnectorInvalid"), None, None, id="name"
        ),
    ],
)
def test_in_a_cluster(
    judgement: Judgement,
    service: HeldService | None,
    backend: bool,
    condition: tuple[str, str],
    url: str | None,
    action: str | None,
) -> None:
    found = allocate(judgement, ClusterProxy(Platform(), service, backend))
    assert (found.condition.status.value, found.condition.reason) == condition
    assert found.url == url
    assert (type(found.action).__name__ if found.action else None) == action


@pytest.mark.parametrize("service", [None, DRIFTED, FORMER])
def test_a_refusal_of_the_api_server_is_told(service: HeldService | None) -> None:
    found = allocate(bound(BUILT_IN), ClusterProxy(Platform(), service, backend=True, problem="quota exceeded"))
    assert (found.condition.status.value, found.condition.reason) == ("False", "ProxyServiceFailed")
    assert found.condition.message == "Service c-repo: quota exceeded"
    assert found.action is not None


def test_the_missing_service_is_named() -> None:
    found = allocate(bound(BUILT_IN), ClusterProxy(Platform(), OWN))
    assert found.condition.message == "Service connectors-proxy-service not found in namespace connectors-system"


def test_t26_a_foreign_service_is_named_and_no_caller_is_sent_to_it() -> None:
    found = allocate(bound(BUILT_IN), ClusterProxy(Platform(), FOREIGN, backend=True))
    assert "Service c-repo in namespace team" in found.condition.message
    assert "delete or rename it" in found.condition.message
    assert found.url is None


@pytest.mark.parametrize(
    ("judgement", "reason", "url"),
    [
        (bound(BUILT_IN), "", "http://c-repo.team.localhost"),
        (bound(BUILT_IN, "path"), "", f"http://c-repo.team.localhost{SUFFIX}"),
        (bound(EDGE), "", "http://c-repo.team.localhost"),
        (bound(GONE), "NonProxy", None),
    ],
)
def test_in_one_process(judgement: Judgement, reason: str, url: str | None) -> None:
    found = allocate(judgement, LocalProxy("http://c-repo.team.localhost"))
    assert (found.condition.status.value, found.condition.reason, found.url) == ("True", reason, url)
    assert found.action is None


def test_what_nothing_injects_has_an_address_that_is_not_ready() -> None:
    why = "authentication type a of Secret type x/y: nothing injects this type"
    for judged, proxy, url in (
        (bound(BUILT_IN), LocalProxy("http://c-repo.team.localhost"), "http://c-repo.team.localhost"),
        (bound(BUILT_IN), ClusterProxy(Platform(), OWN, backend=True), URL),
    ):
        found = allocate(replace(judged, not_injected=why), proxy)
        assert (found.condition.status.value, found.condition.reason) == ("False", "InjectionNotSupported")
        assert (found.condition.message, found.url, found.action) == (why, url, None)
    conflict = allocate(replace(bound(BUILT_IN), not_injected=why), ClusterProxy(Platform(), FOREIGN, backend=True))
    assert conflict.condition.reason == "ProxyServiceConflict"


def test_a_conflict_says_whose_it_is() -> None:
    facts = ClusterProxy(Platform(), TAKEN, backend=True)
    message = "Service c-repo in namespace team has another object as its controller"
    assert allocate(bound(BUILT_IN), facts).condition.message.startswith(message)
