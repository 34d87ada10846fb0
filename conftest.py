"""Fixtures for every test, and the closing list: what was skipped because this machine lacks a program."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from connectors.process.heap import growing
from tests.peers.tools import LACKING, NOT_DEBIANS, PACKAGES, path_without

pytest_plugins = ["tests.peers.cluster_fixtures", "tests.peers.fixtures"]

# Hypothesis' own deadline is wall time of one example, which on a busy machine is anything. What promises a time says
# so in its test, and pytest-timeout ends what hangs. The rest stays as Hypothesis has it here, or where CI is set.
settings.register_profile("any machine", settings(deadline=None))
settings.load_profile("any machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    """--without PROGRAM: what the tests do on a machine that lacks it."""
    names = sorted(PACKAGES.keys() | NOT_DEBIANS)
    explained = "run as on a machine that lacks this program; may be given several times, and `all` is all of them"
    parser.addoption("--without", action="append", default=[], choices=[*names, "all"], help=explained)


def pytest_configure(config: pytest.Config) -> None:
    """Take the programs of --without away. The processes of xdist are started after this, and inherit it."""
    named: set[str] = set(config.getoption("without"))
    if not named or hasattr(config, "workerinput"):
        return
    lacking = PACKAGES.keys() | NOT_DEBIANS if "all" in named else named
    changed = pytest.MonkeyPatch()
    config.add_cleanup(changed.undo)
    folder = tempfile.TemporaryDirectory()
    config.add_cleanup(folder.cleanup)
    changed.setenv("PATH", path_without(lacking, Path(folder.name)))
    if "kube-apiserver" in lacking:
        changed.delenv("KUBEBUILDER_ASSETS", raising=False)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Iterator[None]:
    """Thousands of tests come, and stay: no collection of garbage visits them, neither now nor while they run."""
    with growing():
        return (yield)


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
