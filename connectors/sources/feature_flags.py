"""ConfigMap connectors-config -> FeatureFlags."""

from __future__ import annotations

from typing import Any

from msgspec import convert
from msgspec.structs import fields

from connectors.objects.feature_flags import FeatureFlags
from connectors.objects.violation import Severity, Violation
from connectors.sources.place import field_path

FLAGS = frozenset(field.encode_name for field in fields(FeatureFlags))


def decode_flags(manifest: dict[str, Any]) -> tuple[FeatureFlags | None, tuple[Violation, ...]]:
    """The flags, or why there are none. A flag that this version does not know earns a warning: others may read it."""
    data = manifest.get("data", {})
    if not isinstance(data, dict):
        return None, (Violation("data", "must be a mapping from flags to the strings true and false"),)
    warnings, wrong = [], []
    for name, value in data.items():
        path = field_path("data", name)
        if name not in FLAGS:
            message = f"flag without effect here; known are: {', '.join(sorted(FLAGS))}"
            warnings.append(Violation(path, message, Severity.WARNING))
        elif value not in ("true", "false"):
            wrong.append(Violation(path, 'must be the string "true" or "false"; put it in quotes'))
    if wrong:
        return None, (*wrong, *warnings)
    flags = {name: value == "true" for name, value in data.items() if name in FLAGS}
    return convert(flags, FeatureFlags), tuple(warnings)
