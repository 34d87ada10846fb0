"""`connectors probe`: asks a Connector's tool now, by manifests or by a running `connectors serve`, and shows how."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from connectors.dial.dial_settings import DialSettings, dialing_on_this_machine
from connectors.dial.dialer import Dialer
from connectors.inventory import build
from connectors.judgement import Judgement
from connectors.objects.conditions import ConnectorStatus
from connectors.objects.connector import ConnectorKey
from connectors.objects.violation import errors
from connectors.process.clock import SystemClock, timestamp
from connectors.process.declaration import SettingError, declared, setting
from connectors.process.logs import escaped
from connectors.process.parsers import DURATION
from connectors.process.settings import parse_command_line
from connectors.snapshot import Wanted
from connectors.sources.directory import DirectorySource
from connectors.sources.upstream_logins import UpstreamLogins
from controller.destination import LocalProxy
from controller.plans import connector
from controller.probes.asks import asks_of
from controller.probes.client import ProbeClient
from controller.probes.outcome import Probed, ProbeOutcome, Probes, Purpose
from controller.probes.probing import Sender, run_probe
from controller.probes.request import Report
from standalone.admin_port import SERVER, AdminPortError, decoded, fetch
from standalone.get import NAMESPACE
from standalone.objects import BASE
from standalone.paths import path_problem
from standalone.probe_report import ConnectorProbe, report_of, text_of


async def probe_connector(sender: Sender, judgement: Judgement, timeout: float) -> dict[Purpose, Report]:  # noqa: ASYNC109
    """Run both probes of a Connector, `timeout` seconds each at most; what its class does not probe is left out."""
    return {
        purpose: Report(None, ask) if isinstance(ask, ProbeOutcome) else await run_probe(sender, ask, timeout)
        for purpose, ask in asks_of(judgement, None).items()
    }


def probed_status(judgement: Judgement, reports: Mapping[Purpose, Report], now: str) -> ConnectorStatus:
    """The status of a Connector, from these facts alone. `now` is RFC 3339."""
    found = {purpose: Probed(report.outcome, now) for purpose, report in reports.items()}
    probes = Probes(found.get(Purpose.LIVENESS), found.get(Purpose.AUTH))
    return connector.plan(judgement, None, connector.ConnectorFacts(LocalProxy(""), probes), now).status


FAILED, NOT_ASKED = 1, 2


@dataclass(frozen=True, slots=True)
class ProbeOptions:
    """The command line of `connectors probe`, without its positional arguments. `timeout` in seconds."""

    namespace: str = declared(NAMESPACE)
    server: str = declared(SERVER)
    timeout: float = setting("--timeout", "10s", DURATION, "how long one probe may take, redirects included; with PATH")
    dialing: DialSettings = field(default_factory=dialing_on_this_machine)


# Seconds: two probes of ten each, behind those that others have asked for.
REPORTS_WITHIN = 60.0


class ProbeError(Exception):
    """No tool was asked; the message says why and what to do."""


def main(words: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    """Probe one Connector and print requests, answers and conditions, credentials masked.

    Returns 0 if both conditions hold, 1 if one does not, 2 if no tool was asked.
    """
    parser = argparse.ArgumentParser("connectors probe", description=__doc__, allow_abbrev=False)
    parser.add_argument("name", metavar="NAME", help="the Connector")
    parser.add_argument(
        "paths", nargs="*", default=[], metavar="PATH", type=Path,
        help="manifests with the Connector, its Secret, and its class if that is not built in; "
        "without one the running `connectors serve` is asked",
    )  # fmt: skip
    arguments, options = parse_command_line(parser, ProbeOptions(), words, environment)
    key = ConnectorKey(options.namespace, arguments.name)
    try:
        options.dialing.egress.require_fit()
        probe = _local(key, arguments.paths, options) if arguments.paths else _remote(key, options)
    except SettingError as error:
        parser.error(str(error))
    except (ProbeError, AdminPortError) as error:
        print(escaped(str(error)), file=sys.stderr)
        return NOT_ASKED
    print(text_of(probe), end="")
    return 0 if probe.well else FAILED


def _remote(key: ConnectorKey, options: ProbeOptions) -> ConnectorProbe:
    path = f"{BASE}/namespaces/{quote(key.namespace, safe='')}/connectors/{quote(key.name, safe='')}/probe"
    try:
        return decoded(fetch(options.server + path, b"{}", REPORTS_WITHIN), ConnectorProbe)
    except AdminPortError as error:
        if error.not_found:
            raise
        raise ProbeError(
            f"{error}; or name the manifests: connectors probe {key.name} -n {key.namespace} PATH"
        ) from None


def _local(key: ConnectorKey, paths: list[Path], options: ProbeOptions) -> ConnectorProbe:
    if problem := path_problem(paths):
        raise ProbeError(f"error: {problem}")
    loaded = DirectorySource(paths, timestamp).load()
    egress = options.dialing.egress
    proxies = egress.compiled().with_logins(UpstreamLogins(egress.files, SystemClock()).taken() or {})
    judgement = build(loaded.objects, Wanted(plans=False, proxies=proxies)).judgements.get(key)
    if judgement is None:
        says = "`connectors validate` says what is wrong with them"
        hint = f"; {says}" if loaded.problems else "; check NAME, and -n NAMESPACE"
        raise ProbeError(f"error: the manifests hold no Connector {key}{hint}")
    if fatal := errors(judgement.violations):
        raise ProbeError(f"error: Connector {key} is invalid: {fatal[0]}")
    return asyncio.run(_probed(judgement, options))


async def _probed(judgement: Judgement, options: ProbeOptions) -> ConnectorProbe:
    sender = ProbeClient(Dialer(options.dialing))
    try:
        reports = await probe_connector(sender, judgement, options.timeout)
    finally:
        sender.close()
    return report_of(judgement.connector.key, probed_status(judgement, reports, timestamp()), reports)
