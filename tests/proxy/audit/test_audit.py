from __future__ import annotations

import asyncio
import io
import time
from pathlib import Path

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from connectors.objects.reasons import Reason, Refusal
from connectors.objects.user import User, service_account_user
from proxy.audit.access_log import AccessLine, AccessLog
from proxy.audit.audit import Audit, Record
from proxy.audit.audit_file import AuditFile
from proxy.audit.audit_log import AuditCaller, AuditLog, AuditRecord, Decision, UsedSecret
from proxy.metrics import ProxyMetrics
from proxy.settings import AccessLogFormat
from proxy.upstream import Load
from tests.peers.manifests import Manifest, auth, basic_auth
from tests.proxy.decisions import forward_of, plan_of, tool
from tests.proxy.decisions import request as head_of

CANARY = "canary-4b17"


class Desk:
    """An audit with its outlets."""

    def __init__(self, log_format: AccessLogFormat = AccessLogFormat.JSON) -> None:
        self.registry = CollectorRegistry()
        self.stream = io.StringIO()
        self.audit = Audit(ProxyMetrics(self.registry), AccessLog(self.stream, log_format))

    def with_audit_log(self, path: Path) -> Desk:
        """The same with an audit log."""
        metrics = ProxyMetrics(CollectorRegistry())
        log = AuditLog(AuditFile(str(path)), metrics.lose_audit_records)
        log.open()
        self.path = path
        self.audit = Audit(metrics, AccessLog(self.stream, AccessLogFormat.JSON), log)
        return self

    async def audited(self, record: Record | None = None) -> AuditRecord:
        """What the audit log says of the request; the access log must agree."""
        line = await self.line(record)
        text = self.path.read_text(encoding="utf-8")
        assert CANARY not in text
        found = msgspec.json.decode(text.splitlines()[-1], type=AuditRecord)
        same = set(AccessLine.__struct_fields__) - {"caller"}
        assert {name: getattr(found, name) for name in same} == {name: getattr(line, name) for name in same}
        return found

    def begin(self, target: bytes = b"/x") -> Record:
        return self.audit.begin(b"GET", target, time.monotonic())

    async def line(self, record: Record | None = None) -> AccessLine:
        if record:
            self.audit.end(record, time.monotonic())
        await asyncio.sleep(0)
        assert CANARY not in self.stream.getvalue()
        return msgspec.json.decode(self.stream.getvalue().splitlines()[-1], type=AccessLine)

    def sample(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"connectors_proxy_{name}", labels)


async def test_a_relayed_request() -> None:
    desk = Desk()
    record = desk.begin(b"/x/y?token=" + CANARY.encode())
    assert desk.sample("requests_in_flight") == 1
    record.caller, record.plan = service_account_user("team", "builder"), plan_of(tool())
    record.answered, record.bytes_in, record.bytes_out = 201, 3, 4
    record.first_byte_at = time.monotonic()
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


async def test_t33_what_a_request_counts_for_is_given_back_once() -> None:
    desk, load = Desk(), Load()
    load.requests = 2
    record = desk.begin()
    record.load = load
    await desk.line(record)
    await desk.line(record)
    assert load.requests == 1


async def test_a_client_that_left() -> None:
    desk = Desk()
    record = desk.begin()
    record.ending = "client closed"
    line = await desk.line(record)
    assert (line.status, line.reason) == (499, "client closed")


async def test_an_answer_that_broke_off_keeps_the_status_that_was_sent() -> None:
    desk = Desk()
    record = desk.begin()
    record.answered, record.ending = 200, "upstream closed early"
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
    desk.audit.end(desk.begin(), time.monotonic())
    desk.audit.malformed(Refusal(Reason.HEAD_TOO_LARGE, "x"))
    await asyncio.sleep(0)
    assert desk.stream.getvalue() == ""
    assert desk.sample("refusals_total", reason="HeadTooLarge") == 1


SECRET = basic_auth("login", "robot", CANARY, namespace="team")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk().with_audit_log(tmp_path / "audit.log")


def let_through(desk: Desk, *manifests: Manifest, with_secret: bool = True) -> Record:
    record = desk.begin(b"/x?token=" + CANARY.encode())
    record.caller = service_account_user("team", "builder")
    login = auth("basicAuth", "login" if with_secret else None)
    forward = forward_of(head_of(b"/x"), *manifests, tool("https://tool.example/api/", auth=login))
    record.plan = forward.plan
    record.forward, record.decided = forward, time.monotonic()
    return record


async def test_the_audit_log_of_a_relayed_request(desk: Desk) -> None:
    record = let_through(desk, SECRET)
    record.answered, record.sent = 200, True
    record.first_byte_at = time.monotonic()
    found = await desk.audited(record)
    assert found.caller == AuditCaller("system:serviceaccount:team:builder", "", (), "")
    assert (found.decision, found.reason, found.address) == (Decision.ALLOWED, "", "https://tool.example/api/")
    version = record.plan.secret_version if record.plan else ""
    assert version
    assert found.secret == UsedSecret("login", version)
    assert 0 < found.authorization <= found.upstream <= found.duration < 5


async def test_no_secret_is_used_where_nothing_was_sent(desk: Desk) -> None:
    record = let_through(desk, SECRET)
    record.refusal = Refusal(Reason.UPSTREAM_UNREACHABLE, "x")
    found = await desk.audited(record)
    assert (found.decision, found.reason, found.secret) == (Decision.ALLOWED, "UpstreamUnreachable", None)


async def test_no_secret_is_used_by_a_connector_without_one(desk: Desk) -> None:
    record = let_through(desk, with_secret=False)
    record.sent = True
    assert (await desk.audited(record)).secret is None


@pytest.mark.parametrize("reason", [Reason.LOOP_DETECTED, Reason.TARGET_DENIED])
async def test_a_refusal_behind_the_decision_is_one(desk: Desk, reason: Reason) -> None:
    record = let_through(desk, SECRET)
    record.refusal = Refusal(reason, "x")
    assert (await desk.audited(record)).decision is Decision.REFUSED


async def test_the_audit_log_of_a_refused_request(desk: Desk) -> None:
    record = desk.begin()
    record.plan = plan_of(tool())
    record.refusal = Refusal(Reason.FORBIDDEN, CANARY)
    found = await desk.audited(record)
    assert (found.decision, found.reason, found.status) == (Decision.REFUSED, "Forbidden", 403)
    assert (found.caller, found.secret, found.address, found.connector) == (None, None, "", "team/tool")
    assert found.authorization == found.duration


async def test_all_that_is_known_of_the_caller(desk: Desk) -> None:
    record = desk.begin()
    record.caller = User("jane", "u-1", ("a", "b"), {"authentication.kubernetes.io/pod-name": ("build-7",)})
    assert (await desk.audited(record)).caller == AuditCaller("jane", "u-1", ("a", "b"), "build-7")


async def test_the_audit_log_of_a_head_that_could_not_be_parsed(desk: Desk) -> None:
    request_id = desk.audit.malformed(Refusal(Reason.HEAD_TOO_LARGE, "x"))
    found = await desk.audited()
    assert (found.request, found.method, found.path, found.connector_uid) == (request_id, "-", "-", "")
    assert (found.decision, found.reason, found.status) == (Decision.REFUSED, "HeadTooLarge", 431)


async def test_the_audit_log_without_an_access_log(tmp_path: Path) -> None:
    desk = Desk().with_audit_log(tmp_path / "audit.log")
    off = AccessLog(desk.stream, AccessLogFormat.OFF)
    log = AuditLog(AuditFile(str(desk.path)), lambda _: None)
    log.open()
    audit = Audit(ProxyMetrics(CollectorRegistry()), off, log)
    audit.end(audit.begin(b"GET", b"/", time.monotonic()), time.monotonic())
    await asyncio.sleep(0)
    assert (desk.stream.getvalue(), desk.path.read_bytes().count(b"\n")) == ("", 1)
