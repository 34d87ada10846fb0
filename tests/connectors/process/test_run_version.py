from __future__ import annotations

import tomllib
from pathlib import Path

from connectors.process.run import VERSION


def test_it_is_the_packages() -> None:
    root = Path(__file__).resolve().parents[3]
    assert tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"] == VERSION
