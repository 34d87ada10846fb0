"""The caBundles of a ValidatingWebhookConfiguration: what is there, and what it should be. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from controller.admission.certificates import fingerprints
from controller.admission.renewal import Published

Manifest = dict[str, Any]


def seen(before: Published, manifest: Manifest, now: datetime) -> Published:
    """What every webhook of the configuration trusts now, each since it was seen there first without a break."""
    trusted = [fingerprints(_decoded(client.get("caBundle"))) for client in _clients(manifest)]
    everywhere = frozenset.intersection(*trusted) if trusted else frozenset[str]()
    return Published({item: before.since.get(item, now) for item in everywhere})


def with_bundle(manifest: Manifest, bundle: bytes) -> bool:
    """Put it into every webhook of `manifest`, which is changed; False where it was there already."""
    text = base64.b64encode(bundle).decode()
    wrong = [client for client in _clients(manifest) if client.get("caBundle") != text]
    for client in wrong:
        client["caBundle"] = text
    return bool(wrong)


def _clients(manifest: Manifest) -> Iterator[Manifest]:
    return (webhook["clientConfig"] for webhook in manifest.get("webhooks") or ())


def _decoded(text: Any) -> bytes:
    try:
        return base64.b64decode(text or "")
    except (binascii.Error, ValueError, TypeError):
        return b""
