"""Threat 36: what the webhook has judged elsewhere, and what it says if that fails."""

from __future__ import annotations

import pytest

from connectors.snapshot import Objects
from controller.admission.judging import JudgingKind
from controller.admission.webhook import READ_HERE
from tests import builders
from tests.controller.admission.reviews import Json, connector, connector_class
from tests.controller.admission.tried import Tried


async def test_t36_a_class_is_judged_elsewhere_and_once(tried: Tried) -> None:
    """Of nearly all Connectors the class was judged before: they wait for no process."""
    tried.know(connector_class())
    for index in range(3):
        assert (await tried.answer(connector(f"tool-{index}")))["allowed"]
    assert tried.judge.asked == [JudgingKind.VIOLATIONS]
    tried.know(connector_class(params=[{"name": "new"}]))
    await tried.answer(connector())
    assert tried.judge.asked == [JudgingKind.VIOLATIONS] * 2, "another content is another class"


async def test_t36_what_is_long_is_read_elsewhere(tried: Tried) -> None:
    tried.know(connector_class())
    padding = {"annotations": {"a": "x" * READ_HERE}}
    assert (await tried.answer(connector(metadata=padding)))["allowed"]
    assert tried.judge.asked == [JudgingKind.READ, JudgingKind.VIOLATIONS]
    assert not (await tried.answer(connector(metadata=padding, address="ftp://x")))["allowed"]
    assert (await tried.post(b"x" * (READ_HERE + 1)))[0] == 400


@pytest.mark.parametrize(
    "new",
    [
        connector(),
        connector(metadata={"annotations": {"a": "x" * READ_HERE}}),
        connector_class(),
        connector_class(metadata={"annotations": {"a": "x" * READ_HERE}}),
    ],
)
async def test_t36_what_could_not_be_judged_is_refused(new: Json, tried: Tried) -> None:
    """Not a failed call: of classes, these are let through."""
    tried.know(connector_class())
    tried.judge.refusing = "it takes longer than 2.5 s to judge; make it smaller"
    response = await tried.answer(new)
    assert response["allowed"] is False
    assert (response["status"]["code"], response["status"]["reason"]) == (503, "ServiceUnavailable")
    assert response["status"]["message"].startswith("spec: it takes longer than 2.5 s to judge; make it smaller, or")
    assert tried.counted(new["kind"], "CREATE", "error") == 1


async def test_t36_connectors_beyond_what_is_sent_are_counted(tried: Tried, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.admission.webhook.MOST_SIBLING_BYTES", 1)
    found = [builders.connector(f"tool-{index}", connectorClassName="git") for index in range(3)]
    tried.store.swap(Objects(tuple(found), (builders.connector_class("git"),)))
    response = await tried.answer(connector_class(proxy={}, params=[{"name": "new"}]), connector_class(proxy={}))
    assert response["allowed"]
    assert response["warnings"][-1] == "2 more Connectors of this class were not looked at"
