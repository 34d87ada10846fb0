"""`python -m proxy`: the data plane in a cluster, until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping, Sequence

from connectors.cluster_process import ClusterProcess, ClusterSettings, StartError
from connectors.kube.access import AccessError, choose_access
from connectors.process.declaration import SettingError
from connectors.process.logs import Logging, set_up_logging
from connectors.process.parsers import HostPort
from connectors.process.run import Signals, cannot_listen, refuse, run, until
from connectors.process.settings import foreign_variable, parse_command_line
from connectors.snapshot import Wanted
from connectors.tls.loading import KeyPairError
from proxy.audit.audit_log import AuditLogError
from proxy.settings import ClientAuth, ProxyOptions, ProxySettings
from proxy.wiring import Cluster, Proxy, build_proxy
from proxy.workers import ProxyWorkers, WorkerGroupSettings

logger = logging.getLogger("connectors.proxy")

PROGRAM = "python -m proxy"


def main(words: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    """Serve until told to stop. Returns 0 after draining, 1 if it cannot begin; exits 2 on a bad command line."""
    parser = argparse.ArgumentParser(PROGRAM, description=__doc__, allow_abbrev=False)
    _, options = parse_command_line(parser, ProxyOptions(), words, environment)
    try:
        settings = options.proxy_settings()
        access = choose_access(options.cluster.kubeconfig, foreign_variable("KUBECONFIG", environment))
    except SettingError as error:
        parser.error(str(error))
    except AccessError as error:
        return refuse(PROGRAM, str(error))
    # With workers these make the Plans.
    wanted = Wanted(plans=settings.workers == 1, judgements=False, hosts=settings.hosts)
    tokens = settings.client_auth is ClientAuth.TOKEN
    ports, egress = (settings.port,), settings.dialing.egress
    cluster = ClusterSettings("proxy", access, options.cluster, tokens, wanted, ports, settings.allow_hosts, egress)
    set_up_logging(options.logging.format, options.logging.level)
    return run(_serve(cluster, settings, options.logging))


async def _serve(cluster: ClusterSettings, settings: ProxySettings, logs: Logging) -> int:
    signals = Signals()
    process = ClusterProcess(cluster)
    try:
        if settings.workers == 1:
            reviews = Cluster(process.client, process.clock, process.client)
            proxy: Proxy | ProxyWorkers = build_proxy(settings, process.store, process.registry, cluster=reviews)
        else:
            access = cluster.access if settings.client_auth is ClientAuth.KUBERNETES else None
            proxy = _workers(WorkerGroupSettings(settings, logs, access), process)
        if settings.audit_log:
            signals.on_hang_up(proxy.reopen_audit_log)
        await process.start()
    except (AuditLogError, KeyPairError, StartError) as error:
        return refuse(PROGRAM, str(error))
    try:
        if not await process.wait_ready(signals.first):
            return 0
        if identity := await process.identity():
            proxy.identify(identity)
        return await _traffic(settings, process, proxy, signals)
    finally:
        await process.stop()


def _workers(settings: WorkerGroupSettings, process: ClusterProcess) -> ProxyWorkers:
    workers = ProxyWorkers(settings, process.store, process.registry)
    process.shown.registry, process.shown.gather = workers.registry, workers.gather
    process.also_missing(workers.missing)
    return workers


async def _traffic(
    settings: ProxySettings, process: ClusterProcess, proxy: Proxy | ProxyWorkers, signals: Signals
) -> int:
    try:
        await proxy.start()
    except OSError as error:
        return refuse(PROGRAM, cannot_listen(HostPort(settings.host, settings.port), "--listen", error))
    where = HostPort(settings.host, proxy.port)
    try:
        if await until(signals.first, proxy.serving()):
            logger.info("ready: %d connectors on %s://%s", process.store.connectors, settings.scheme, where)
        await process.wait(signals.first)
    finally:
        process.drain()
        logger.info("stopping: running requests get %g s; a second signal ends them at once", settings.timeouts.drain)
        clean = await until(signals.second, proxy.drain())
        await proxy.stop()
    return 0 if clean else 1
