from __future__ import annotations

import json

import pytest

from connectors.kube.resources import NOTHING, Metadata, metadata_of


def test_annotations_and_data_are_not_kept() -> None:
    raw = json.dumps(
        {
            "metadata": {
                "name": "a",
                "namespace": "team",
                "uid": "u",
                "resourceVersion": "7",
                "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "canary-secret"},
            },
            "data": {"a": "canary-secret"},
        }
    ).encode()
    found = metadata_of(raw)
    assert found == Metadata("a", "team", "u", "7")
    assert "canary" not in repr(found)


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"metadata": null}', b'{"metadata": {"name": 1}}', b"\xff{"])
def test_what_is_no_object_has_no_metadata(raw: bytes) -> None:
    assert metadata_of(raw) == NOTHING
