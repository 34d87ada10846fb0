from __future__ import annotations

import datetime

import trustme
from prometheus_client import CollectorRegistry

from connectors.objects.secret import Secret
from connectors.trust import Authorities
from proxy.metrics import ProxyAuthorityMetrics
from tests.builders import authorities, ca_secret

CA = trustme.CA()
NAME = "connectors_proxy_ca_certificate_expiry_seconds"


def ending_secret(name: str, namespace: str, ends: datetime.datetime | None) -> Secret:
    value = CA.issue_cert("a", not_after=ends).cert_chain_pems[0].bytes() if ends else b"junk"
    return ca_secret(value, name, namespace=namespace)


def test_when_the_first_certificate_of_each_secret_ends() -> None:
    soon, late = (datetime.datetime(year, 1, 1, tzinfo=datetime.UTC) for year in (2031, 2039))
    shared = (ending_secret("a", "connectors-system", late), ending_secret("b", "connectors-system", None))
    own = ending_secret("own", "team", soon)
    current = [authorities(*shared, own=(own,))]
    registry = CollectorRegistry()
    ProxyAuthorityMetrics(registry, lambda: current[0])

    def value(source: str, namespace: str, name: str) -> float | None:
        return registry.get_sample_value(NAME, {"source": source, "namespace": namespace, "secret": name})

    assert value("global", "connectors-system", "a") == late.timestamp()
    assert value("global", "connectors-system", "b") is None, "it holds none"
    assert value("connector", "team", "own") == soon.timestamp()
    current[0] = Authorities()
    assert value("connector", "team", "own") is None
