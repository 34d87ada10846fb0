"""The version of this program: pyproject.toml's, which an image does not hold."""

from __future__ import annotations

VERSION = "0.1.0"
