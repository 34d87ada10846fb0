"""`connectors serve`: runs the proxy over manifests until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path

from connectors.process.clock import now
from connectors.process.logs import set_up_logging
from connectors.process.settings import SettingError, parse_command_line
from standalone.api import list_connectors
from standalone.paths import path_problem
from standalone.serve_settings import ADMIN, LOG_FORMAT, LOG_LEVEL, SETTINGS, proxy_settings
from standalone.service import Plan, ServeError, Service
from standalone.table import connectors_table

logger = logging.getLogger("connectors.serve")


def main(words: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    """Serve until told to stop. Returns 0 after draining, 1 where a port is taken; exits 2 on a bad command line."""
    parser = argparse.ArgumentParser("connectors serve", description=__doc__, allow_abbrev=False)
    parser.add_argument("paths", nargs="+", metavar="PATH", type=Path, help="a directory of manifests, or one file")
    arguments, values = parse_command_line(parser, SETTINGS, words, environment)
    try:
        plan = Plan(tuple(arguments.paths), values[ADMIN], proxy_settings(values))
    except SettingError as error:
        parser.error(str(error))
    if problem := path_problem(plan.paths):
        parser.exit(2, f"connectors serve: error: {problem}\n")
    set_up_logging(values[LOG_FORMAT], values[LOG_LEVEL])
    return _run(_serve(plan))


def _run(work: Coroutine[object, object, int]) -> int:
    try:
        import uvloop  # it has no wheels for some platforms, and the proxy works without it
    except ImportError:
        return asyncio.run(work)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


async def _serve(plan: Plan) -> int:
    signals = _Signals()
    service = Service(plan)
    try:
        await service.start()
    except ServeError as error:
        print(f"connectors serve: error: {error}", file=sys.stderr)
        return 1
    _announce(service)
    await signals.first.wait()
    logger.info("stopping: running requests get %g s; a second signal ends them at once", plan.proxy.timeouts.drain)
    clean = await _until(signals.second, service.drain())
    await service.stop()
    return 0 if clean else 1


class _Signals:
    """SIGTERM and SIGINT: the first asks to drain, the second to hurry."""

    def __init__(self) -> None:
        self.first = asyncio.Event()
        self.second = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._arrived)

    def _arrived(self) -> None:
        (self.second if self.first.is_set() else self.first).set()


async def _until(event: asyncio.Event, work: Coroutine[object, object, None]) -> bool:
    """Run `work`, at most until `event` is set. Returns whether it came to its end."""
    running = asyncio.create_task(work)
    waiting = asyncio.create_task(event.wait())
    await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if running.done():
        running.result()
        return True
    running.cancel()
    return False


def _announce(service: Service) -> None:
    connectors = list_connectors(service.board, None).items
    if not connectors:
        logger.warning("there is no Connector in the given paths; one that appears there is served within 2 s")
    logger.info("admin port on http://%s", service.admin)
    print(f"ready: {len(connectors)} connectors on http://{service.listen}")
    if connectors:
        elsewhere = any(item.metadata.namespace != "default" for item in connectors)
        sys.stdout.write(connectors_table(connectors, now(), namespaces=elsewhere))
    sys.stdout.flush()
