from __future__ import annotations

import argparse
from typing import Any

import pytest

from connectors.process.log_settings import LOG_FORMAT
from connectors.process.settings import Setting, SettingError, Values, parse_command_line
from proxy.settings import AccessLogFormat, Limits, Timeouts
from proxy.traffic_settings import TRAFFIC_SETTINGS, access_log, check_workers, limits, timeouts


def values(words: str) -> Values:
    settings = [*TRAFFIC_SETTINGS, LOG_FORMAT]
    return parse_command_line(argparse.ArgumentParser(), settings, words.split(), {})[1]


def test_defaults_are_those_of_the_values() -> None:
    assert limits(values("")) == Limits()
    assert timeouts(values("")) == Timeouts()


def test_every_one_arrives_where_it_belongs() -> None:
    given = values(
        "--max-head 1KiB --max-target 2KiB --max-headers 3 --max-connections 4 --head-timeout 1s --connect-timeout 2s"
        " --first-byte-timeout 3s --idle-timeout 4s --keep-alive-timeout 5s --upstream-idle-timeout 6s"
        " --drain-timeout 500ms"
    )
    assert limits(given) == Limits(1024, 2048, 3, 4)
    assert timeouts(given) == Timeouts(1, 2, 3, 4, 5, 6, 0.5)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", AccessLogFormat.TEXT),
        ("--log-format json", AccessLogFormat.JSON),
        ("--log-format json --access-log off", AccessLogFormat.OFF),
    ],
)
def test_access_log(words: str, expected: AccessLogFormat) -> None:
    assert access_log(values(words)) is expected


def test_one_process_only() -> None:
    check_workers(values("--workers 1"))
    with pytest.raises(SettingError, match="one process"):
        check_workers(values("--workers 2"))


@pytest.mark.parametrize("setting", TRAFFIC_SETTINGS, ids=[setting.flag for setting in TRAFFIC_SETTINGS])
def test_examples_and_defaults_are_accepted(setting: Setting[Any]) -> None:
    setting.parse(setting.example)
    setting.parse(setting.default)
