from __future__ import annotations

from connectors.objects.ceilings import Ceiling


def test_they_are_labels_that_prometheus_takes() -> None:
    assert all(ceiling.value.replace("_", "").isalpha() for ceiling in Ceiling)
