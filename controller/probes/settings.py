"""The setting of probes that the controller and `connectors serve` share."""

from __future__ import annotations

from connectors.process.parsers import parse_duration_or_zero
from connectors.process.settings import Setting

PROBE_INTERVAL = Setting(
    "--probe-interval", "60s", parse_duration_or_zero,
    "pause between two probes of a tool; after failures it doubles, to 5m at most. 0: nothing is probed",
    "60s", metavar="DURATION",
)  # fmt: skip
