from __future__ import annotations

import re

import pytest

from bench import trust


def test_what_a_pool_costs_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "CONTEXTS", 3)
    found = dict(re.findall(r"^\| ([^|]+?) \| ([0-9.]+) \|$", "\n".join(trust.cost()), re.MULTILINE))
    assert list(found) == ["certificates in it, the system's included", "built, beside the event loop, in ms", "MiB"]
    assert int(found["certificates in it, the system's included"]) >= 1
