from __future__ import annotations

from connectors.objects.metadata import ObjectMeta
from connectors.sources.secrets import LAST_APPLIED, without_last_applied


def test_t14_kubectls_copy_of_the_manifest_is_not_kept() -> None:
    metadata = ObjectMeta(name="login", annotations={LAST_APPLIED: '{"data":{"password":"canary"}}', "a": "b"})
    kept = without_last_applied(metadata)
    assert kept.annotations == {"a": "b"}
    assert "canary" not in repr(kept)
    assert without_last_applied(kept) is kept
