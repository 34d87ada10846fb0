from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest

from connectors.dial.upstream_proxy import UpstreamProxies, UpstreamProxy
from connectors.expressions.template import Subject
from connectors.objects.addresses import parse_address
from connectors.objects.conditions import ConditionStatus
from connectors.objects.connector_class import ApiProbe
from connectors.objects.reasons import ConditionReason
from connectors.process.no_proxy import NoProxy
from connectors.tls.pool import SYSTEM_TRUST
from controller.destination import Platform
from controller.probes.outcome import ProbeOutcome, Purpose
from controller.probes.request import Ask, api_ask, class_ask, origin_of
from tests.controller.probes.subjects import TOKEN, login, probed, probing_class

REF = {"ref": {"kind": "Service", "name": "plugin", "namespace": "tools"}, "uri": "/base/"}
CLUSTER = Platform()


def ask(
    api: dict[str, Any] | None, path: str = "/auth/check", platform: Platform | None = CLUSTER
) -> Ask | ProbeOutcome:
    kind = probing_class(api=api) if api is not None else probing_class()
    return api_ask(ApiProbe(path=path), Purpose.AUTH, Subject(probed(), kind, login()), platform)


@pytest.mark.parametrize(
    ("api", "origin", "target"),
    [
        (REF, "http://plugin.tools.svc.cluster.local", b"/base/auth/check"),
        ({"uri": "https://api.example/x"}, "https://api.example", b"/x/auth/check"),
        ({"uri": "https://api.example"}, "https://api.example", b"/auth/check"),
    ],
)
def test_the_path_goes_behind_the_apis_own(api: dict[str, Any], origin: str, target: bytes) -> None:
    found = ask(api)
    assert isinstance(found, Ask)
    assert (origin_of(found.request.address), found.request.target.reveal()) == (origin, target)
    assert list(found.success) == [200]


def test_t25_the_api_is_told_the_tool_and_never_the_secret() -> None:
    found = ask(REF)
    assert isinstance(found, Ask)
    told = {item.name: base64.b64decode(item.value.reveal()) for item in found.request.headers}
    assert json.loads(told["X-Plugin-Meta"]) == {"baseURL": "https://tool.example/prefix"}
    assert told["X-Plugin-Auth"] == b"Opaque"
    assert set(told) == {"X-Plugin-Meta", "X-Plugin-Auth"}
    assert TOKEN not in b"".join(told.values())


def test_t25_no_path_is_made_of_the_secret() -> None:
    found = ask(REF, "/{{ .Secret.StringData.token }}")
    assert isinstance(found, ProbeOutcome)
    assert (found.status, found.reason) == (ConditionStatus.FALSE, "AddressNotDeclared")


@pytest.mark.parametrize(
    ("api", "path", "platform", "status", "reason"),
    [
        (None, "/x", CLUSTER, "True", "NonAuthProbe"),
        ({}, "/x", CLUSTER, "True", "NonAuthProbe"),
        (REF, "{{ if not .Secret }}/x{{ end }}", CLUSTER, "True", "NonAuthProbe"),
        ({"uri": "ftp://x"}, "/x", CLUSTER, "False", "ConnectorClassInvalid"),
        (REF, "/a b", CLUSTER, "False", "TemplateError"),
        (REF, "/x", None, "Unknown", "APIServiceNotFound"),
    ],
)
def test_without_a_request(
    api: dict[str, Any] | None, path: str, platform: Platform | None, status: str, reason: str
) -> None:
    found = ask(api, path, platform)
    assert isinstance(found, ProbeOutcome)
    assert (found.status, found.reason) == (status, reason)


def test_a_classs_own_api_may_answer_anything() -> None:
    found = class_ask(probing_class(api=REF), CLUSTER, SYSTEM_TRUST)
    assert isinstance(found, Ask)
    assert found.request.target.reveal() == b"/base"
    assert {200, 302, 404, 503} <= set(found.success)
    assert not found.follow
    assert not found.request.headers
    assert class_ask(probing_class(), CLUSTER, SYSTEM_TRUST) is None
    elsewhere = class_ask(probing_class(api={"uri": "https://api.example"}), None, SYSTEM_TRUST)
    assert isinstance(elsewhere, Ask)
    assert elsewhere.request.target.reveal() == b"/"


def test_t23_a_classs_api_is_reached_the_way_that_the_class_chooses() -> None:
    corporate = UpstreamProxy("default", parse_address("http://proxy.example"))
    proxies = UpstreamProxies({"default": corporate}, NoProxy.parse(".svc"))

    def asked(choice: str | None) -> Ask | ProbeOutcome | None:
        kind = probing_class(api={"uri": "https://api.example"})
        annotations = {"connectors.cpaas.io/upstream-proxy": choice} if choice else {}
        metadata = msgspec.structs.replace(kind.metadata, annotations=annotations)
        return class_ask(msgspec.structs.replace(kind, metadata=metadata), None, SYSTEM_TRUST, proxies)

    for choice, expected in ((None, corporate), ("none", None)):
        found = asked(choice)
        assert isinstance(found, Ask)
        assert found.request.egress.toward(found.request.address) is expected
    lost = asked("other")
    assert isinstance(lost, ProbeOutcome)
    assert lost.reason is ConditionReason.CONNECTOR_CLASS_INVALID
    assert "annotation connectors.cpaas.io/upstream-proxy names no upstream proxy" in lost.message
