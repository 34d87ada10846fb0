"""The settings of logging, the same for every process."""

from __future__ import annotations

from connectors.process.logs import LogFormat, LogLevel
from connectors.process.parsers import choice
from connectors.process.settings import Setting

LOG_FORMAT = Setting(
    "--log-format", "text", choice(LogFormat), "how log lines look", "json", metavar="text|json"
)  # fmt: skip
LOG_LEVEL = Setting(
    "--log-level", "info", choice(LogLevel), "debug, info, warning or error", "debug", metavar="LEVEL"
)  # fmt: skip
