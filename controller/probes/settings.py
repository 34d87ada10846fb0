"""The setting of probes that the controller and `connectors serve` share."""

from __future__ import annotations

from connectors.process.parsers import parse_duration_or_zero
from connectors.process.settings import Setting


def parse_interval(text: str) -> float:
    """A duration of a second at least, or 0.

    Raises:
        ValueError: anything else. More often would be an attack on the tool, and with a wrong password on the account.
    """
    seconds = parse_duration_or_zero(text)
    if 0 < seconds < 1:
        raise ValueError("it must be at least 1s, or 0 for no probes")
    return seconds


PROBE_INTERVAL = Setting(
    "--probe-interval", "60s", parse_interval,
    "pause between two probes of a tool; after failures it doubles, to 5m at most. 0: nothing is probed",
    "60s", metavar="DURATION",
)  # fmt: skip
