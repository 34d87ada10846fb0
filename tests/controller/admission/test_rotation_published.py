from __future__ import annotations

import base64
import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controller.admission.certificates import make
from controller.admission.rotation import published, with_bundle

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OLD, NEW = (make(["svc"], (), timedelta(days=1), NOW).leaf for _ in range(2))


def configuration(*bundles: bytes | None) -> dict[str, Any]:
    def client(bundle: bytes | None) -> dict[str, Any]:
        text = {} if bundle is None else {"caBundle": base64.b64encode(bundle).decode()}
        return {"service": {"name": "s"}, **text}

    return {"metadata": {"name": "c"}, "webhooks": [{"name": "w", "clientConfig": client(item)} for item in bundles]}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (configuration(OLD, OLD), [OLD]),
        (configuration(NEW + OLD, NEW + OLD), [NEW, OLD]),
        (configuration(NEW + OLD, OLD), [OLD]),
        (configuration(OLD, None), []),
        (configuration(OLD, b"junk"), []),
        (configuration(), []),
        ({"webhooks": None}, []),
        ({"webhooks": [{"clientConfig": {"caBundle": "%"}}]}, []),
        ({"webhooks": [{"clientConfig": {"caBundle": 1}}]}, []),
        ({}, []),
        (None, []),
    ],
)
def test_what_one_webhook_lacks_is_not_published(found: dict[str, Any] | None, expected: list[bytes]) -> None:
    assert list(published(found, NOW).values()) == expected
    assert not published(found, NOW + timedelta(days=1)), "they ended"


def test_every_webhook_gets_the_bundle_and_nothing_else_changes() -> None:
    found = configuration(OLD, None)
    expected = copy.deepcopy(configuration(NEW, NEW))
    assert with_bundle(found, NEW)
    assert found == expected
    assert not with_bundle(found, NEW)
    assert not with_bundle({"webhooks": []}, NEW)
