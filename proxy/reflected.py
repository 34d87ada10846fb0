from __future__ import annotations
from connectors.snapshot import Binding
def without_credential(name: bytes, value: bytes, binding: Binding) -> bytes | None:
    return value
