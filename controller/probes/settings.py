"""The setting of probes that the controller and `connectors serve` share."""

from __future__ import annotations

from connectors.process.parsers import parse_duration
from connectors.process.settings import Setting

PROBE_INTERVAL = Setting(
    "--probe-interval", "60s", parse_duration,
    "pause between two probes of a tool; after failures it doubles, to 5m at most",
    "60s", metavar="DURATION",
)  # fmt: skip
