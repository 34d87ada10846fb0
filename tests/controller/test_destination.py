from __future__ import annotations

import pytest

from connectors.objects.connector_class import ClassApi, ClassProxy, ServiceReference
from controller.destination import Behind, Destination, External, Platform, Unusable, api_destination, proxy_destination
from controller.service import ServiceKey

PLATFORM = Platform("system", "corp.example", "proxy")
DEFAULT = ServiceKey("system", "proxy")
BASE = "http://proxy.system.svc.corp.example"


def ref(name: str = "edge", namespace: str = "", kind: str = "Service") -> ServiceReference:
    return ServiceReference(kind=kind, name=name, namespace=namespace)


@pytest.mark.parametrize(
    ("proxy", "expected"),
    [
        pytest.param(ClassProxy(), Behind(DEFAULT, BASE), id="the built-in one"),
        pytest.param(ClassProxy(uri="/p/"), Behind(DEFAULT, f"{BASE}/p", "/p"), id="below a path of it"),
        pytest.param(
            ClassProxy(ref=ref()),
            Behind(ServiceKey("system", "edge"), "http://edge.system.svc.corp.example"),
            id="a Service of the system",
        ),
        pytest.param(
            ClassProxy(ref=ref(namespace="tools"), uri="/p"),
            Behind(ServiceKey("tools", "edge"), "http://edge.tools.svc.corp.example/p", "/p"),
            id="a Service elsewhere",
        ),
        pytest.param(ClassProxy(uri="https://Edge.example/x/"), External("https://Edge.example/x/"), id="as written"),
    ],
)
def test_proxies(proxy: ClassProxy, expected: Destination) -> None:
    assert proxy_destination(proxy, PLATFORM) == expected


@pytest.mark.parametrize(
    "proxy",
    [
        ClassProxy(uri="nonsense"),
        ClassProxy(ref=ref(kind="Ingress")),
        ClassProxy(ref=ref(name="")),
        ClassProxy(ref=ref(), uri="https://edge.example"),
    ],
)
def test_nowhere(proxy: ClassProxy) -> None:
    destination = proxy_destination(proxy, PLATFORM)
    assert isinstance(destination, Unusable)
    assert destination.message.startswith(("uri ", "ref"))


def test_apis() -> None:
    assert api_destination(ClassApi(), PLATFORM) is None
    assert api_destination(ClassApi(uri="http://api"), PLATFORM) == External("http://api")
    assert isinstance(api_destination(ClassApi(uri="/v1"), PLATFORM), Unusable)
    behind = api_destination(ClassApi(ref=ref(), uri="/v1"), PLATFORM)
    assert behind == Behind(ServiceKey("system", "edge"), "http://edge.system.svc.corp.example/v1", "/v1")
