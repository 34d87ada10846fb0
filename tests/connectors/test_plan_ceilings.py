"""What annotations allow a Connector, and how soon."""

from __future__ import annotations

import pytest

from connectors.objects.ceilings import CEILING_ANNOTATIONS, NO_CEILINGS, Ceilings
from connectors.plan import Plan
from tests.peers.manifests import Manifest, connector, connector_class
from tests.proxy.decisions import plan_of

REQUESTS, CONNECTIONS, RATE = CEILING_ANNOTATIONS


def planned(own: dict[str, str], of_class: dict[str, str]) -> Plan:
    kind: Manifest = connector_class("kind")
    kind["metadata"]["annotations"] = of_class
    return plan_of(kind, connector("tool", "https://tool.example", "kind", metadata={"annotations": own}))


@pytest.mark.parametrize(
    ("own", "of_class", "expected"),
    [
        ({}, {}, NO_CEILINGS),
        ({REQUESTS: "5"}, {}, Ceilings(requests=5)),
        ({}, {REQUESTS: "5", RATE: "2"}, Ceilings(requests=5, rate=2)),
        ({REQUESTS: "5", CONNECTIONS: "9"}, {REQUESTS: "7", CONNECTIONS: "8"}, Ceilings(5, 8)),
    ],
)
def test_t33_the_lower_one_of_the_connector_and_its_class_counts(
    own: dict[str, str], of_class: dict[str, str], expected: Ceilings
) -> None:
    assert planned(own, of_class).ceilings == expected


def test_one_that_is_no_number_is_not_served() -> None:
    for plan in (planned({REQUESTS: "many"}, {}), planned({}, {REQUESTS: "0"})):
        assert plan.refusal is not None
        assert f"metadata.annotations[{REQUESTS}]: must be a whole number" in plan.refusal.message
