"""What a probe did and what came of it, to be read by people: credentials masked. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from connectors.objects.conditions import Condition, ConditionStatus, ConditionType, ConnectorStatus
from connectors.objects.connector import ConnectorKey
from connectors.objects.secret import REDACTED
from connectors.process.logs import escaped
from controller.probes.outcome import Purpose
from controller.probes.redirects import may_quote_secret
from controller.probes.request import Hop, ProbeField, Report, origin_of

CONDITIONS: Mapping[Purpose, ConditionType] = {
    Purpose.LIVENESS: ConditionType.LIVENESS_READY,
    Purpose.AUTH: ConditionType.AUTH_READY,
}


class HopReport(Struct, frozen=True, rename="camel", kw_only=True):
    """One request, and the status of its answer; None if there was none."""

    method: str
    url: str
    headers: tuple[str, ...] = ()
    status: int | None = None


class ProbeReport(Struct, frozen=True, rename="camel", kw_only=True):
    """One probe: its requests in order, what the answer had to be, and the condition that follows."""

    condition: Condition
    check: str = ""
    hops: tuple[HopReport, ...] = ()


class ConnectorProbe(Struct, frozen=True, rename="camel", kw_only=True):
    """Both probes of a Connector."""

    namespace: str
    name: str
    probes: tuple[ProbeReport, ...]

    @property
    def well(self) -> bool:
        """Whether both conditions hold."""
        return all(probe.condition.status is ConditionStatus.TRUE for probe in self.probes)


def report_of(key: ConnectorKey, status: ConnectorStatus, reports: Mapping[Purpose, Report]) -> ConnectorProbe:
    """`status` as the probes made it: what was not asked has its condition there too."""
    probes = []
    for purpose, kind in CONDITIONS.items():
        condition = status.condition(kind)
        if condition is not None:
            probes.append(_probe(condition, reports.get(purpose)))
    return ConnectorProbe(namespace=key.namespace, name=key.name, probes=tuple(probes))


def _probe(condition: Condition, report: Report | None) -> ProbeReport:
    if report is None or report.ask is None:
        return ProbeReport(condition=condition)
    hops = tuple(_hop(hop, redirected=index > 0, report=report) for index, hop in enumerate(report.hops))
    if report.ask.check is not None:
        return ProbeReport(condition=condition, check=report.ask.check.source, hops=hops)
    success = report.ask.success
    wanted = f"{success.start}" if len(success) == 1 else f"{success.start} to {success.stop - 1}"
    return ProbeReport(condition=condition, check=f"status code {wanted}", hops=hops)


def _hop(hop: Hop, *, redirected: bool, report: Report) -> HopReport:
    request = hop.request
    # A tool can put what it was sent into the address it sends the client to.
    hidden = request.target_from_secret or (redirected and report.ask is not None and report.ask.request.holds_secret)
    target = f"/{REDACTED}" if hidden else request.target.reveal().decode("ascii")
    origin = origin_of(request.address)
    if report.ask is not None and may_quote_secret(report.ask.request, request):
        origin = f"{request.address.scheme}://{REDACTED}"
    headers = tuple(_header(header) for header in request.headers)
    return HopReport(method=request.method, url=origin + target, headers=headers, status=hop.status)


def _header(header: ProbeField) -> str:
    value = REDACTED if header.from_secret else header.value.reveal().decode(errors="replace")
    return f"{header.name}: {value}"


def text_of(probe: ConnectorProbe) -> str:
    """The report as text; ends with a newline. No value adds a line or drives a terminal: control characters are
    escaped, U+2028 and its like too.
    """
    return "\n".join(escaped(line) for line in _lines(probe)) + "\n"


def _lines(probe: ConnectorProbe) -> Iterator[str]:
    yield f"{probe.namespace}/{probe.name}"
    for item in probe.probes:
        condition = item.condition
        for hop in item.hops:
            yield f"  {hop.method} {hop.url}"
            yield from (f"      {header}" for header in hop.headers)
            yield f"      -> {hop.status or 'no answer'}"
        if item.hops:
            yield f"      success: {item.check}"
        told = ": ".join(part for part in (condition.reason, condition.message) if part)
        yield f"  {condition.type.value}: {condition.status.value}" + (f" {told}" if told else "")
