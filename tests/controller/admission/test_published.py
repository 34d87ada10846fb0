from __future__ import annotations

import base64
import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controller.admission.certificates import fingerprints, make_authority
from controller.admission.published import seen, with_bundle
from controller.admission.renewal import NOTHING_PUBLISHED, Published

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
OLD, NEW = (make_authority(NOW, timedelta(days=1)).chain for _ in range(2))
(OLD_ID,), (NEW_ID,) = fingerprints(OLD), fingerprints(NEW)


def configuration(*bundles: bytes | None) -> dict[str, Any]:
    def client(bundle: bytes | None) -> dict[str, Any]:
        text = {} if bundle is None else {"caBundle": base64.b64encode(bundle).decode()}
        return {"service": {"name": "s"}, **text}

    return {"metadata": {"name": "c"}, "webhooks": [{"name": "w", "clientConfig": client(item)} for item in bundles]}


def test_since_when_it_is_there() -> None:
    first = seen(NOTHING_PUBLISHED, configuration(OLD, OLD), NOW)
    assert first == Published({OLD_ID: NOW})
    assert seen(first, configuration(NEW + OLD, NEW + OLD), LATER) == Published({OLD_ID: NOW, NEW_ID: LATER})


@pytest.mark.parametrize(
    "found",
    [
        configuration(NEW + OLD, OLD),
        configuration(OLD, None),
        configuration(OLD, b"junk"),
        configuration(),
        {"webhooks": None},
        {"webhooks": [{"clientConfig": {"caBundle": "%"}}]},
        {},
    ],
)
def test_what_one_webhook_lacks_is_not_published(found: dict[str, Any]) -> None:
    assert NEW_ID not in seen(Published({NEW_ID: NOW}), found, LATER).since


def test_a_break_begins_the_time_anew() -> None:
    reset = seen(Published({NEW_ID: NOW}), configuration(None), LATER)
    assert seen(reset, configuration(NEW), LATER) == Published({NEW_ID: LATER})


def test_every_webhook_gets_the_bundle_and_nothing_else_changes() -> None:
    found = configuration(OLD, None)
    expected = copy.deepcopy(configuration(NEW, NEW))
    assert with_bundle(found, NEW)
    assert found == expected
    assert not with_bundle(found, NEW)
    assert not with_bundle({"webhooks": []}, NEW)
