"""`python -m controller`: allocates Services and keeps status current, until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import logging
import socket
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from connectors.cluster_process import ClusterPlan, ClusterProcess, StartError
from connectors.dial.flags import dial_settings
from connectors.kube.access import AccessError, choose_access
from connectors.kube.settings import ADMIN, CLUSTER_DOMAIN, KUBECONFIG, NAMESPACE, PROXY_SERVICE
from connectors.process.log_settings import LOG_FORMAT, LOG_LEVEL
from connectors.process.logs import set_up_logging
from connectors.process.run import Signals, refuse, run
from connectors.process.settings import Values, foreign_variable, parse_command_line
from connectors.snapshot import Wanted
from controller.admission.admission import AdmissionSettings, ListenError
from controller.controller import ControllerSettings
from controller.destination import Platform
from controller.leader import Candidate
from controller.probes.schedule import ProbeSettings
from controller.probes.settings import PROBE_INTERVAL
from controller.settings import (
    LEADER_ELECT,
    SETTINGS,
    WEBHOOK_CERT_DIR,
    WEBHOOK_LISTEN,
    WEBHOOK_NAME,
)
from controller.wiring import build_admission, build_controller

logger = logging.getLogger("connectors.controller")

PROGRAM = "python -m controller"


@dataclass(frozen=True, slots=True)
class Plan:
    """What one command line asks for. `candidate` None: this is the only replica. `admission` None: no webhook."""

    cluster: ClusterPlan
    controller: ControllerSettings
    candidate: Candidate | None
    admission: AdmissionSettings | None


def main(words: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    """Work until told to stop. Returns 0 then, 1 where it cannot begin; exits 2 on a bad command line."""
    parser = argparse.ArgumentParser(PROGRAM, description=__doc__, allow_abbrev=False)
    _, values = parse_command_line(parser, SETTINGS, words, environment)
    try:
        access = choose_access(values[KUBECONFIG], foreign_variable("KUBECONFIG", environment))
    except AccessError as error:
        return refuse(PROGRAM, str(error))
    platform = Platform(values[NAMESPACE], values[CLUSTER_DOMAIN], values[PROXY_SERVICE])
    candidate = Candidate(_identity(), values[NAMESPACE]) if values[LEADER_ELECT] else None
    domain = values[CLUSTER_DOMAIN]
    cluster = ClusterPlan(
        "controller",
        access,
        values[NAMESPACE],
        values[ADMIN],
        cluster_domain=domain,
        wanted=Wanted(plans=False),
    )
    set_up_logging(values[LOG_FORMAT], values[LOG_LEVEL])
    return run(_work(Plan(cluster, _controller(values, platform), candidate, _admission(values))))


def _controller(values: Values, platform: Platform) -> ControllerSettings:
    dialing = dial_settings(values, loopback=False)
    return ControllerSettings(platform, probes=ProbeSettings(interval=values[PROBE_INTERVAL]), dialing=dialing)


def _admission(values: Values) -> AdmissionSettings | None:
    listen = values[WEBHOOK_LISTEN]
    if listen is None:
        return None
    names = values[WEBHOOK_NAME]
    return AdmissionSettings(listen, values[WEBHOOK_CERT_DIR], values[NAMESPACE], values[CLUSTER_DOMAIN], names)


async def _work(plan: Plan) -> int:
    signals = Signals()
    process = ClusterProcess(plan.cluster)
    controller = build_controller(process, plan.controller, plan.candidate)
    process.also_missing(controller.missing)
    work = [controller.run()]
    admission = build_admission(process, plan.admission) if plan.admission else None
    if admission is not None:
        process.also_missing(admission.missing)
        work.append(admission.run())
    try:
        await process.start(*work)
    except StartError as error:
        return refuse(PROGRAM, str(error))
    try:
        if admission is not None:
            await admission.start()
        if await process.wait_ready(signals.first):
            logger.info("ready: %d connectors", len(process.store.current.judgements))
            await process.wait(signals.first)
        logger.info("stopping")
    except ListenError as error:
        return refuse(PROGRAM, str(error))
    finally:
        process.drain()
        if admission is not None:
            # Before the API client: running reviews may still ask something.
            await admission.stop()
        await process.stop()
    return 0


def _identity() -> str:
    """Of this start of this process: a Pod that was restarted must not take its former life's Lease for its own."""
    return f"{socket.gethostname()}_{uuid.uuid4()}"
