"""`python -m controller`: allocates Services and keeps status current, until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import logging
import socket
import uuid
from collections.abc import Mapping, Sequence

from connectors.cluster_process import ClusterProcess, ClusterSettings, StartError
from connectors.kube.access import AccessError, choose_access
from connectors.process.declaration import SettingError
from connectors.process.logs import set_up_logging
from connectors.process.run import Signals, refuse, run
from connectors.process.settings import foreign_variable, parse_command_line
from connectors.snapshot import Wanted
from controller.admission.admission import ListenError
from controller.controller import ControllerSettings
from controller.leader import Candidate
from controller.settings import ControllerOptions
from controller.wiring import build_admission, build_controller

logger = logging.getLogger("connectors.controller")

PROGRAM = "python -m controller"


def main(words: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    """Work until told to stop. Returns 0 then, 1 if it cannot begin; exits 2 on a bad command line."""
    parser = argparse.ArgumentParser(PROGRAM, description=__doc__, allow_abbrev=False)
    _, options = parse_command_line(parser, ControllerOptions(), words, environment)
    try:
        settings = options.controller_settings()
        access = choose_access(options.cluster.kubeconfig, foreign_variable("KUBECONFIG", environment))
    except SettingError as error:
        parser.error(str(error))
    except AccessError as error:
        return refuse(PROGRAM, str(error))
    ports = (options.webhook.port,) if options.webhook else ()
    wanted, egress = Wanted(plans=False), settings.dialing.egress
    cluster = ClusterSettings("controller", access, options.cluster, wanted=wanted, ports=ports, egress=egress)
    set_up_logging(options.logging.format, options.logging.level)
    return run(_work(cluster, options, settings))


async def _work(cluster: ClusterSettings, options: ControllerOptions, settings: ControllerSettings) -> int:
    signals = Signals()
    process = ClusterProcess(cluster)
    # Without a candidacy this is the only replica.
    candidate = Candidate(_identity(), options.cluster.names.namespace) if options.leader_elect else None
    controller = build_controller(process, settings, candidate)
    process.also_missing(controller.missing)
    work = [controller.run()]
    webhook = options.admission_settings()
    admission = build_admission(process, webhook) if webhook else None
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
            await process.identity()
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
