from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from connectors.process.clock import now, timestamp


def test_now_is_utc() -> None:
    assert now().utcoffset() == timedelta(0)
    assert abs(now() - datetime.now(UTC)) < timedelta(seconds=5)


def test_timestamp_is_what_the_api_server_writes() -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", timestamp())
    assert abs(datetime.fromisoformat(timestamp()) - now()) < timedelta(seconds=5)
