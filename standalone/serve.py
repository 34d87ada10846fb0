"""`connectors serve`: runs the proxy over manifests until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

from connectors.process.clock import now
from connectors.process.declaration import SettingError
from connectors.process.logs import set_up_logging
from connectors.process.run import Signals, refuse, run, until
from connectors.process.settings import parse_command_line
from proxy.audit.audit_file import STANDARD_OUTPUT
from standalone.api import list_connectors
from standalone.paths import path_problem
from standalone.serve_settings import ServeOptions
from standalone.service import ServeError, Service, ServiceSettings
from standalone.table import connectors_table

logger = logging.getLogger("connectors.serve")

# Seconds that the table waits for probes: near tools have answered by then, others are shown as ProbePending.
FIRST_PROBES = 2.0


def main(words: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    """Serve until told to stop. Returns 0 after draining, 1 if it cannot begin; exits 2 on a bad command line."""
    parser = argparse.ArgumentParser("connectors serve", description=__doc__, allow_abbrev=False)
    parser.add_argument("paths", nargs="+", metavar="PATH", type=Path, help="a directory of manifests, or one file")
    arguments, options = parse_command_line(parser, ServeOptions(), words, environment)
    try:
        settings = ServiceSettings(
            tuple(arguments.paths), options.admin, options.proxy_settings(), options.probes, options.logging
        )
    except SettingError as error:
        parser.error(str(error))
    if problem := path_problem(settings.paths):
        parser.exit(2, f"connectors serve: error: {problem}\n")
    set_up_logging(options.logging.format, options.logging.level)
    return run(_serve(settings))


async def _serve(settings: ServiceSettings) -> int:
    signals = Signals()
    try:
        service = Service(settings)
        if settings.proxy.audit_log:
            signals.on_hang_up(service.reopen_audit_log)
        await service.start()
    except ServeError as error:
        return refuse("connectors serve", str(error))
    # If records go to standard output, nothing else may: a program that reads them takes every line for one.
    telling = asyncio.create_task(
        _announce(service, sys.stderr if settings.proxy.audit_log == STANDARD_OUTPUT else sys.stdout)
    )
    await signals.first.wait()
    telling.cancel()
    await asyncio.wait({telling})
    logger.info("stopping: running requests get %g s; a second signal ends them at once", settings.proxy.timeouts.drain)
    clean = await until(signals.second, service.drain())
    await service.stop()
    return 0 if clean else 1


async def _announce(service: Service, stream: TextIO) -> None:
    """Say at once that it serves; the table waits a moment for what the first probes find."""
    count = len(service.board.connectors)
    if not count:
        logger.warning("there is no Connector in the given paths; one that appears there is served within 2 s")
    logger.info("admin port on http://%s", service.admin)
    await service.serving()
    print(f"ready: {count} connectors on {service.url}", file=stream, flush=True)
    await service.first_probes(FIRST_PROBES)
    if connectors := list_connectors(service.board, None).items:
        elsewhere = any(item.metadata.namespace != "default" for item in connectors)
        stream.write(connectors_table(connectors, now(), namespaces=elsewhere))
    stream.flush()
