from __future__ import annotations

import asyncio
import io
import time

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from connectors.model.reasons import Reason
from connectors.model.refusal import Refusal
from connectors.model.user import service_account_user
from proxy.access_log import AccessLine, AccessLog
from proxy.audit import Audit, Record
from proxy.http1.head import parse_request
from proxy.metrics import ProxyMetrics
from proxy.settings import AccessLogFormat
from tests.proxy.decisions import binding_of, tool

CANARY = "canary-4b17"


class Desk:
    """An audit with its outlets."""

    def __init__(self, log_format: AccessLogFormat = AccessLogFormat.JSON) -> None:
        self.registry = CollectorRegistry()
        self.stream = io.StringIO()
        self.audit = Audit(ProxyMetrics(self.registry), AccessLog(self.stream, log_format))

    def begin(self, target: bytes = b"/x") -> Record:
        raw = b"GET %b HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %b\r\n\r\n" % (target, CANARY.encode())
        return self.audit.begin(parse_request(raw, header_count=10))

    async def line(self, record: Record | None = None) -> AccessLine:
        if record:
            self.audit.end(record)
        await asyncio.sleep(0)
        assert CANARY not in self.stream.getvalue()
        return msgspec.json.decode(self.stream.getvalue().splitlines()[-1], type=AccessLine)

    def sample(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"connectors_proxy_{name}", labels)


async def test_a_relayed_request() -> None:
    desk = Desk()
    record = desk.begin(b"/x/y?token=" + CANARY.encode())
    assert desk.sample("requests_in_flight") == 1
    record.caller, record.binding = service_account_user("team", "builder"), binding_of(tool())
    progress = record.progress
    progress.status, progress.bytes_in, progress.bytes_out = 201, 3, 4
    progress.first_byte_at = time.monotonic()
    line = await desk.line(record)
    assert (line.caller, line.connector, line.method, line.path) == ("team/builder", "team/tool", "GET", "/x/y")
    assert (line.status, line.bytes_in, line.bytes_out, line.reason) == (201, 3, 4, "")
    assert 0 <= line.upstream <= line.duration < 5
    place = {"namespace": "team", "connector": "tool"}
    assert desk.sample("requests_in_flight") == 0
    assert desk.sample("requests_total", **place, connector_class="generic", method="GET", code="201") == 1
    assert desk.sample("bytes_total", **place, direction="in") == 3
    assert desk.sample("bytes_total", **place, direction="out") == 4
    assert desk.sample("upstream_duration_seconds_count", **place) == 1


async def test_a_refused_request() -> None:
    desk = Desk()
    record = desk.begin()
    record.refusal = Refusal(Reason.FORBIDDEN, CANARY)
    line = await desk.line(record)
    assert (line.status, line.reason, line.connector, line.caller, line.upstream) == (403, "Forbidden", "", "", 0.0)
    assert desk.sample("refusals_total", reason="Forbidden") == 1
    assert desk.sample("request_duration_seconds_count", namespace="", connector="") == 1


async def test_a_client_that_left() -> None:
    desk = Desk()
    record = desk.begin()
    record.progress.ending = "client closed"
    line = await desk.line(record)
    assert (line.status, line.reason) == (499, "client closed")


async def test_an_answer_that_broke_off_keeps_the_status_that_was_sent() -> None:
    desk = Desk()
    record = desk.begin()
    record.progress.status, record.progress.ending = 200, "upstream closed early"
    line = await desk.line(record)
    assert (line.status, line.reason) == (200, "upstream closed early")


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/a?x=canary-4b17", "/a"),
        (b"/?canary-4b17", "/"),
        (b"http://user:canary-4b17@h/a", "-"),
        (b"*", "-"),
        (b"/" + b"a" * 600, "/" + "a" * 511),
    ],
)
async def test_t27_no_query_and_no_authority_in_the_log(target: bytes, path: str) -> None:
    desk = Desk()
    assert (await desk.line(desk.begin(target))).path == path


async def test_a_head_that_could_not_be_parsed() -> None:
    desk = Desk()
    desk.audit.malformed(Refusal(Reason.HEAD_TOO_LARGE, "x"))
    line = await desk.line()
    assert (line.status, line.reason, line.method, line.path) == (431, "HeadTooLarge", "-", "-")
    assert desk.sample("refusals_total", reason="HeadTooLarge") == 1


async def test_metrics_count_without_a_log() -> None:
    desk = Desk(AccessLogFormat.OFF)
    desk.audit.end(desk.begin())
    desk.audit.malformed(Refusal(Reason.HEAD_TOO_LARGE, "x"))
    await asyncio.sleep(0)
    assert desk.stream.getvalue() == ""
    assert desk.sample("refusals_total", reason="HeadTooLarge") == 1
