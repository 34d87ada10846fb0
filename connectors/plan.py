"""A Connector's Plan: all that a request to it needs, worked out once per change and only read from then on. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from types import MappingProxyType
from typing import NamedTuple

from connectors.credentials.credential import Credential, Owned, Parameters, add_query, revealed
from connectors.dial.upstream_proxy import Egress, UpstreamProxy, absolute_form
from connectors.http.message import HOP_BY_HOP, RequestHead
from connectors.objects.addresses import Address, Origin
from connectors.objects.ceilings import NO_CEILINGS, Ceilings, annotated_ceilings
from connectors.objects.connector import Connector, ConnectorKey
from connectors.objects.connector_class import ConnectorClass, Resolver
from connectors.objects.names import HostForm
from connectors.objects.reasons import Reason, Refusal
from connectors.objects.secret import KeyPair, SecretValue
from connectors.rules.examination import Examined
from connectors.tls.pool import ClientTls, Pool, Trust


class PoolKey(NamedTuple):
    """What two requests must have in common to use the same connection (threat 13).

    `secret` is the Secret's resourceVersion: a connection that a tool has authenticated does not outlive it. `trust` is
    the digest of the CAs that vouched for the tool: with other CAs it is asked for its certificate again.
    `certificate` is whether one was shown to it: of one Secret two authentication types may make two things.
    `proxy` is the label of the upstream proxy that it goes through, empty without one.
    """

    connector: ConnectorKey
    uid: str
    secret: str
    origin: Origin
    trust: str
    certificate: bool = False
    proxy: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """The query parameters that are not the caller's: `owned` are the names it may not send (see Owned).

    `injected` are those that the credential adds, with values as they are before they are percent-encoded.
    """

    owned: frozenset[bytes]
    injected: Parameters = ()


# What depends on the request is put on its head, stripped of the caller's own: a query credential, a signature.
#
# It is called for each request, last of all, and may raise RefusedError.
Mint = Callable[[RequestHead], RequestHead]


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """One declared address, and how requests go there.

    `address` has the origin, the base path (`prefix`) and the value of Host (`authority`). `dropped`: folded names of
    fields that never reach the tool. `injected`: the credential's header lines, ready for the wire, each with its line
    end. `query`: None if no query parameter is the proxy's. `mint`: see Mint; None if nothing depends on the
    request. `tls`: None for http. `refusal`: why no request may go to this address. `proxy_of`: the Connector whose
    proxy address this one is, judged by its name; None if it is not one. `proxy`: the upstream proxy on the way, None
    without one. `tunnel`: the same address for a request that asks to switch protocols, if it goes another way.
    """

    address: Address
    dropped: frozenset[bytes]
    injected: SecretValue
    query: Query | None
    mint: Mint | None
    pool: PoolKey
    tls: ClientTls | None
    refusal: Refusal | None = None
    proxy_of: ConnectorKey | None = None
    proxy: UpstreamProxy | None = None
    tunnel: Target | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What the data plane knows of one Connector. Equal only if the same instance: a change makes another.
    `has_proxy`: whether the class gives its Connectors a proxy address; an unknown class may well have one. `by_path`:
    whether it leaves the naming to the path. `caller_header`, `bearer_protocol`: see ConnectorClass. `refusal` is what
    every request gets instead of the tool's answer; then it has no Target. `secret_name`, `secret_version`: empty
    without a Secret. `targets` is keyed by extension name; "" is spec.address. `ceilings`: the lower ones of its own
    and its class's annotations.
    """

    key: ConnectorKey
    uid: str
    class_name: str
    has_proxy: bool
    by_path: bool
    caller_header: bytes
    bearer_protocol: bool
    refusal: Refusal | None
    owned: Owned
    credential: Credential
    secret_name: str
    secret_version: str
    trust: Trust
    targets: Mapping[str, Target]
    ceilings: Ceilings = NO_CEILINGS


NO_TARGETS: Mapping[str, Target] = MappingProxyType({})


def compile_plan(examined: Examined, hosts: HostForm, key: ConnectorKey | None = None) -> Plan:
    """The Plan of what was examined. `hosts` knows the names that Connectors have as hosts of this proxy.

    `key`: an instance of the Connector's key that can be shared; None: take the Connector's own.
    """
    inputs = examined.inputs
    connector, connector_class, secret = inputs.connector, inputs.connector_class, inputs.secret
    key = key or connector.key
    return Plan(
        key=key,
        uid=connector.metadata.uid,
        # The class's own string, where it is known: one for all of its Connectors.
        class_name=connector_class.metadata.name if connector_class else connector.spec.connector_class_name,
        has_proxy=connector_class is None or connector_class.spec.proxy is not None,
        by_path=connector_class is not None and connector_class.resolver is Resolver.PATH,
        caller_header=connector_class.caller_header if connector_class else b"",
        bearer_protocol=connector_class is not None and connector_class.bearer_protocol,
        refusal=examined.refusal,
        owned=examined.owned,
        credential=examined.credential,
        secret_name=secret.metadata.name if secret else "",
        secret_version=secret.metadata.resource_version if secret else "",
        trust=inputs.trust,
        targets=NO_TARGETS if examined.refusal else _targets(key, examined, hosts),
        ceilings=_ceilings(connector, connector_class),
    )


def _ceilings(connector: Connector, connector_class: ConnectorClass | None) -> Ceilings:
    own = annotated_ceilings(connector.metadata.annotations)
    return own.lowered(annotated_ceilings(connector_class.metadata.annotations)) if connector_class else own


def trusting(target: Target, trust: Trust) -> Target:
    """The same Target with other CAs: it has another pool, and a handshake trusts others."""
    if target.tls is None:
        return target
    pool = trust.toward(target.address.origin)
    return replace(target, pool=target.pool._replace(trust=pool.digest), tls=ClientTls(pool, target.tls.certificate))


class _Shared(NamedTuple):
    """What all Targets of one Connector have in common."""

    key: ConnectorKey
    uid: str
    secret: str
    trust: Trust
    credential: Credential
    owned: frozenset[bytes]
    injected: SecretValue
    query: Query | None
    mint: Mint | None
    egress: Egress


def _targets(key: ConnectorKey, examined: Examined, hosts: HostForm) -> dict[str, Target]:
    inputs, credential, owned = examined.inputs, examined.credential, examined.owned
    shared = _Shared(
        key=key,
        uid=inputs.connector.metadata.uid,
        secret=inputs.secret.metadata.resource_version if inputs.secret else "",
        trust=inputs.trust,
        credential=credential,
        owned=owned.headers,
        injected=_lines(credential),
        query=_query(owned.query, credential.query) if owned.query else None,
        mint=partial(add_query, credential.query) if credential.query else None,
        egress=examined.egress,
    )
    return {name: _target(shared, address, hosts) for name, address in examined.addresses.items()}


def _target(shared: _Shared, address: Address, hosts: HostForm) -> Target:
    with_tls, certificate = address.scheme == "https", shared.credential.certificate
    pool = shared.trust.toward(address.origin)
    refusal = None
    if certificate is not None and not with_tls:
        # Without TLS it cannot be shown. Rules look at the Connector's addresses; a default of the class is found here.
        message = f"Connector {shared.key} shows a client certificate, but the chosen address is not https"
        refusal = Refusal(Reason.CONNECTOR_INVALID, message)
    direct = Target(
        address=address,
        dropped=_dropped(shared.owned, within_prefix=bool(address.prefix)),
        injected=shared.injected,
        query=shared.query,
        mint=shared.mint,
        pool=PoolKey(
            shared.key,
            shared.uid,
            shared.secret,
            address.origin,
            # Without TLS no CA has vouched for the tool, so a change of CAs need not close anything.
            pool.digest if with_tls else "",
            certificate is not None,
        ),
        tls=_tls(pool, certificate) if with_tls else None,
        refusal=refusal,
        # Judged by the name alone: an address that leads here by another name is found when it is dialled.
        proxy_of=hosts.key(address.authority),
    )
    proxy = shared.egress.toward(address)
    return direct if proxy is None else _through(proxy, direct)


def _through(proxy: UpstreamProxy, direct: Target) -> Target:
    """The same address by way of a proxy. Connections of another way are never used for it (threat 13)."""
    if proxy.needs_tunnel(direct.address):
        return replace(direct, pool=direct.pool._replace(proxy=proxy.label), proxy=proxy)
    return replace(
        direct,
        pool=direct.pool._replace(proxy=proxy.label),
        # Made for each request, so that the hot path of all others need not know of it.
        mint=partial(_absolute, proxy, direct),
        proxy=proxy,
        # A proxy passes no Upgrade on (RFC 9110 section 7.8): what switches protocols needs a tunnel.
        tunnel=_through(proxy.tunnelling(), direct),
    )


def _absolute(proxy: UpstreamProxy, direct: Target, head: RequestHead) -> RequestHead:
    return absolute_form(proxy, direct.address, direct.mint(head) if direct.mint else head)


# Folded names of fields by which a caller can tell some tools to serve another path than the request-target's: what the
# address's path prefix keeps out would be reached all the same (threat 37). Each stands for itself in the list of what
# reads it. An address without a prefix has no outside, so there they pass.
PATH_OVERRIDES = frozenset(
    {
        b"path-info",  # gateways that let HTTP_PATH_INFO stand for CGI's own PATH_INFO
        b"script-name",  # gunicorn: what it cuts off the path
        b"x-envoy-original-path",  # Envoy, and what trusts it
        b"x-forwarded-path",  # Kong
        b"x-forwarded-prefix",  # Spring, Traefik: the path that the application believes to be mounted at
        b"x-forwarded-uri",  # Traefik's and Caddy's forward authentication
        b"x-original-uri",  # ingress-nginx
        b"x-original-url",  # IIS, Symfony and Zend before 2018 (CVE-2018-14773)
        b"x-replaced-path",  # Traefik
        b"x-rewrite-url",  # the same as X-Original-URL
        b"x-script-name",  # WSGI middleware behind nginx
        b"x-waws-unencoded-url",  # Azure App Service
    }
)


# What Connectors of one class, or with the same CAs, have in common is one instance in all of their Plans.
@lru_cache(maxsize=1024)
def _dropped(owned: frozenset[bytes], *, within_prefix: bool) -> frozenset[bytes]:
    return HOP_BY_HOP | owned | PATH_OVERRIDES if within_prefix else HOP_BY_HOP | owned


@lru_cache(maxsize=1024)
def _only_owned(owned: frozenset[bytes]) -> Query:
    return Query(owned)


def _query(owned: frozenset[bytes], injected: Parameters) -> Query:
    return Query(owned, injected) if injected else _only_owned(owned)


@lru_cache(maxsize=1024)
def _without_certificate(pool: Pool) -> ClientTls:
    return ClientTls(pool)


def _tls(pool: Pool, certificate: KeyPair | None) -> ClientTls:
    return ClientTls(pool, certificate) if certificate else _without_certificate(pool)


_NOTHING = SecretValue(b"")


# Joined once for each change: a request only copies them.
def _lines(credential: Credential) -> SecretValue:
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in revealed(credential))
    return SecretValue(lines) if lines else _NOTHING
