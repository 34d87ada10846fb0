"""Fixtures for every test, and the closing list: what was skipped because this machine lacks a program."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import settings

from tests.peers.tools import LACKING

pytest_plugins = ["tests.peers.cluster_fixtures", "tests.peers.fixtures"]

# Hypothesis' own deadline is wall time of one example, which on a busy machine is anything. What promises a time says
# so in its test, and pytest-timeout ends what hangs. The rest stays as Hypothesis has it here, or where CI is set.
settings.register_profile("any machine", settings(deadline=None))
settings.load_profile("any machine")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name each lacking program once, with how to get it and the tests that it would run."""
    lacking: dict[str, list[str]] = defaultdict(list)
    for report in terminalreporter.getreports("skipped"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        lacking[reason.removeprefix("Skipped: ")].append(report.nodeid)
    if not lacking:
        return
    terminalreporter.section("skipped, and what would run it")
    for reason, names in sorted(lacking.items()):
        note = "" if reason.startswith(LACKING) else " (not for a lacking program)"
        terminalreporter.line(f"{reason}{note}: {len(names)} tests")
        for name in sorted(names):
            terminalreporter.line(f"    {name}")
