"""The settings of `python -m controller`."""

from __future__ import annotations

from typing import Any

from connectors.kube.settings import KUBE_SETTINGS
from connectors.process.log_settings import LOG_FORMAT, LOG_LEVEL
from connectors.process.parsers import parse_switch
from connectors.process.settings import Setting

LEADER_ELECT = Setting(
    "--leader-elect", "true", parse_switch, "write only while holding the Lease, so that replicas take turns", "true",
    switch=True,
)  # fmt: skip
SETTINGS: tuple[Setting[Any], ...] = (LEADER_ELECT, *KUBE_SETTINGS, LOG_FORMAT, LOG_LEVEL)
