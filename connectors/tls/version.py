"""Versions of TLS that a setting can name."""

from __future__ import annotations

from enum import StrEnum


class TlsVersion(StrEnum):
    """The versions that are still spoken (RFC 8996 has ended those before)."""

    TLS_1_2 = "1.2"
    TLS_1_3 = "1.3"
