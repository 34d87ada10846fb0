from __future__ import annotations

from proxy.decision import Caller


def test_a_caller_is_shown_as_namespace_and_name() -> None:
    assert str(Caller("team", "builder")) == "team/builder"
