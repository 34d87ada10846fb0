"""Objects from the API server: what is watched -> Changes -> the store, for as long as `run` runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from msgspec import Raw

from connectors.kube.cache import Cache
from connectors.kube.client import KubeClient, Selector
from connectors.kube.reflector import Reflector, Watched
from connectors.kube.resources import CONFIG_MAPS, CONNECTOR_CLASSES, CONNECTORS, SECRETS
from connectors.kube.selection import ObjectKey, Selection
from connectors.objects.addresses import AddressError, Origin, parse_address
from connectors.objects.connector import Connector, ConnectorKey
from connectors.objects.feature_flags import CONFIG_MAP_NAME, FeatureFlags
from connectors.objects.names import USUAL_DOMAIN, object_name_problem
from connectors.objects.secret import SERVICE_ACCOUNT_TOKEN, Secret, SecretKey
from connectors.objects.violation import Violation
from connectors.process.clock import Clock
from connectors.process.parsers import Named
from connectors.rules.examination import secret_key_of
from connectors.snapshot import Changes, Referrers
from connectors.sources.api_objects import (
    HeldClass,
    HeldConnector,
    keyed_secret,
    newer,
    read_class,
    read_connector,
    read_flags,
    read_secret,
)
from connectors.sources.own_addresses import OwnAddresses
from connectors.sources.store import SLICE, SnapshotStore
from connectors.sources.upstream_logins import UpstreamLogins
from connectors.tls.certificates import read_pem
from connectors.tls.pool import ApiServer
from connectors.trust import LABEL, ca_secret_key_of


class References:
    """Which Secrets are wanted, since Connectors refer to them. A change costs the same, however many there are."""

    def __init__(self, want: Callable[[ObjectKey], None], drop: Callable[[ObjectKey], None]) -> None:
        """`want` is called with a Secret that is referred to for the first time, `drop` with one that no longer is."""
        self._want = want
        self._drop = drop
        self._of: dict[ConnectorKey, tuple[ObjectKey, ...]] = {}
        self._referrers: Referrers[ObjectKey] = Referrers()

    def set(self, key: ConnectorKey, wanted: tuple[ObjectKey, ...]) -> None:
        """Set the Secrets that this Connector refers to, each named once; none if the Connector is gone."""
        before = self._of.pop(key, ())
        if wanted:
            self._of[key] = wanted
        for secret in wanted:
            if secret not in self._referrers:
                self._want(secret)
            self._referrers.add(secret, key)
        for secret in before:
            if secret not in wanted:
                self._referrers.remove(secret, key)
                if secret not in self._referrers:
                    self._drop(secret)


logger = logging.getLogger("connectors.cluster")

_NO_OWN = (
    "where this installation's own pods and Services listen is not known yet, so Connectors are kept from them by the "
    "Services' names alone; give this program's Role list and watch on services, endpoints and endpointslices "
    "(discovery.k8s.io) of its namespace (deploy/rbac.yaml)"
)

# Seconds in which changes are gathered into one snapshot: a rollout of a thousand objects makes a few of them.
SETTLE = 0.1
# Seconds that a snapshot waits for Secrets that are being fetched. Then those that lack theirs say SecretPending.
PATIENCE = 1.0

# Seconds that the first snapshot waits for them: thousands take some, and one that cannot be read must not keep all
# others from being served.
FIRST_PATIENCE = 30.0
# Seconds that it waits for the installation's own addresses: where a Role lacks the right, they never come.
OWN_PATIENCE = 5.0


class ClusterSource:
    """Follows the API server and swaps the store's snapshot.

    A write to a status alone makes no new snapshot: to look at each of thousands of Connectors takes longer than the
    write, and the controller writes to as many of them. The last snapshot keeps serving while the API server is away.
    """

    def __init__(
        self,
        client: KubeClient,
        namespace: str,
        store: SnapshotStore,
        clock: Clock,
        *,
        token_secrets: bool = False,
        cluster_domain: str = USUAL_DOMAIN,
    ) -> None:
        """`namespace`: where ConfigMap connectors-config and Secrets with global CA certificates are.

        `token_secrets`: whether Secrets of type kubernetes.io/service-account-token are held, all of them.
        `cluster_domain`: of the names that Services have, the API server's own among them.
        """
        self._client = client
        self._cluster_domain = cluster_domain
        client.on_renewal(self._renewed)
        self._store = store
        self._clock = clock
        self._dirty = asyncio.Event()
        self._waiting_since: float | None = None
        self._namespace = namespace
        self._logins: UpstreamLogins | None = None
        self._flags = self._referred_under = FeatureFlags()
        self._touched = _Touched(authorities=True, api_server=True)
        self._to_refer: set[ConnectorKey] = set()
        self._references = References(self._want, self._drop)
        self._own: OwnAddresses | None = None
        self._tell_connector: list[Callable[[ConnectorKey], None]] = []
        self._tell_class: list[Callable[[str], None]] = []
        self._connectors = Cache(_connector, self._connector_changed, newer)
        self._classes = Cache(_class, self._class_changed, newer)
        self._config = Cache(_config, self._config_changed)
        self._authorities = Cache(keyed_secret, self._authority_changed)
        self._tokens = Cache(keyed_secret, self._secret_changed)
        self._secrets = Selection(client, SECRETS, read_secret, self._secret_changed, clock)
        self.reflectors: tuple[Reflector, ...] = (
            Reflector(client, Watched(CONNECTORS), self._connectors, clock),
            Reflector(client, Watched(CONNECTOR_CLASSES), self._classes, clock),
            Reflector(client, Watched(CONFIG_MAPS, _only(namespace, CONFIG_MAP_NAME)), self._config, clock),
            Reflector(client, Watched(SECRETS, Selector(namespace, labels=f"{LABEL}=true")), self._authorities, clock),
            Reflector(client, Watched(SECRETS, metadata_only=True, anchored=True), self._secrets, clock),
        )
        if token_secrets:
            selector = Selector(fields=f"type={SERVICE_ACCOUNT_TOKEN}")
            self.reflectors += (Reflector(client, Watched(SECRETS, selector), self._tokens, clock),)

    def keep_off(self, own: OwnAddresses) -> None:
        """Tell of these addresses too, and follow them. To be called before `run`."""
        self._own = own
        own.subscribe(self._own_changed)

    def follow_logins(self, logins: UpstreamLogins, secrets: Named) -> None:
        """Tell of upstream proxies' logins too, those in `secrets` of the system namespace among them. Before `run`."""
        self._logins = logins
        logins.subscribe(self._dirty.set)
        # Of the system namespace alone: nothing that a tenant writes may decide what a proxy is sent (threat 7).
        self.reflectors += logins.reflectors(self._client, self._namespace, secrets)

    def connector(self, key: ConnectorKey) -> HeldConnector | None:
        """The Connector now, or None."""
        return self._connectors.items.get(key)

    def connector_class(self, name: str) -> HeldClass | None:
        """The class now, or None."""
        return self._classes.items.get(name)

    def wrote(self, key: ConnectorKey | str, raw: bytes) -> None:
        """Take in the API server's answer to a write of ours, before the watch tells of it."""
        (self._connectors if isinstance(key, ConnectorKey) else self._classes).changed(Raw(raw))

    def subscribe(self, connector: Callable[[ConnectorKey], None], connector_class: Callable[[str], None]) -> None:
        """Be told which Connector or class was added, modified (its status too) or deleted."""
        self._tell_connector.append(connector)
        self._tell_class.append(connector_class)

    def missing(self) -> str | None:
        """What the first complete snapshot still waits for (a Readiness)."""
        if self._store.ready:
            return None
        for reflector in self.reflectors:
            if not reflector.health.synced:
                problem = reflector.health.problem
                return f"the list of {reflector.watched}" + (f": {problem}" if problem else "")
        if self._own and not self._own.synced:
            return "the addresses of this installation's own pods and Services"
        return "the Secrets that Connectors refer to"

    def details(self) -> Iterator[str]:
        """What /readyz says besides: which watch has no connection, since when and why."""
        for reflector in self.reflectors:
            health = reflector.health
            if health.synced and not health.connected:
                away = reflector.disconnected_seconds
                yield f"no watch on {reflector.watched} for {away:.0f} s, the last snapshot serves: {health.problem}"

    async def run(self) -> None:
        """Follow the API server until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for reflector in self.reflectors:
                tasks.create_task(reflector.run())
            tasks.create_task(self._secrets.run())
            if self._own:
                tasks.create_task(self._own.run())
            tasks.create_task(self._serve())
            if self._logins:
                tasks.create_task(self._logins.run())

    async def _serve(self) -> None:
        while True:
            if self._store.ready:
                await self._dirty.wait()
            # Until the first snapshot it polls, since nothing tells that an empty list is complete.
            await self._refer()
            await self._clock.sleep(SETTLE)
            # What has come meanwhile is in the snapshot too, and may refer to Secrets that were not asked for yet.
            self._dirty.clear()
            await self._refer()
            if self._worth_serving():
                await self._store.follow(self._changes())

    def _worth_serving(self) -> bool:
        """Whether enough is known for a snapshot; if not, it sees to it that it is asked again."""
        if not all(reflector.health.synced for reflector in self.reflectors):
            return False
        # Behind the first snapshot they come when they do: what is known serves.
        lacks_own = self._own is not None and not self._own.synced and not self._store.ready
        if self._secrets.synced and not lacks_own:
            self._waiting_since = None
            return True
        now = self._clock.monotonic()
        if self._waiting_since is None:
            self._waiting_since = now
        first = OWN_PATIENCE if self._secrets.synced else FIRST_PATIENCE
        if now - self._waiting_since < (PATIENCE if self._store.ready else first):
            self._dirty.set()
            return False
        if lacks_own:
            logger.warning(_NO_OWN)
        return True

    async def _refer(self) -> None:
        """Want the Secrets that Connectors refer to, and drop those that no Connector refers to any more."""
        flags = self._read_flags()
        if flags != self._referred_under:
            self._referred_under = flags
            self._to_refer.update(self._connectors.items)
        begun = self._clock.monotonic()
        while self._to_refer:
            key = self._to_refer.pop()
            held = self._connectors.items.get(key)
            self._references.set(key, _referred(held.item, flags) if held else ())
            if self._clock.monotonic() - begun >= SLICE:
                await asyncio.sleep(0)
                begun = self._clock.monotonic()

    def _changes(self) -> Changes:
        """What has come since the last call. What still comes while a snapshot is made of it is for the next one."""
        touched, self._touched = self._touched, _Touched()
        connectors = {key: self._connectors.items.get(key) for key in touched.connectors}
        classes = {name: self._classes.items.get(name) for name in touched.classes}
        malformed: dict[ConnectorKey | str, Violation | None] = {}
        malformed.update({key: held.malformed if held else None for key, held in connectors.items()})
        malformed.update({name: held.malformed if held else None for name, held in classes.items()})
        return Changes(
            {key: held.item if held else None for key, held in connectors.items()},
            {name: held.item if held else None for name, held in classes.items()},
            {key: self._secret(key) for key in touched.secrets},
            self._read_flags(),
            malformed,
            {key: self._why_unread(key) for key in touched.secrets},
            self._for_all() if touched.authorities else None,
            self._api_server() if touched.api_server else None,
            self._own.current if touched.own_addresses and self._own else None,
            self._logins.taken() if self._logins else None,
        )

    def _secret(self, key: SecretKey) -> Secret | None:
        """The Secret, from the watch that has it first-hand: by reference, then as a CA for all, then as a token."""
        found = self._secrets.get(ObjectKey(*key))
        return found or self._authorities.items.get(key) or self._tokens.items.get(key)

    def _for_all(self) -> tuple[Secret, ...]:
        return tuple(secret for secret in self._authorities.items.values() if secret is not None)

    def _why_unread(self, secret_key: SecretKey) -> str:
        """Empty if it is known whether there is such a Secret."""
        key = ObjectKey(*secret_key)
        if not self._secrets.unread(key):
            return ""
        if self._secrets.refused(key):
            return f'secrets "{key.name}" may not be read; see the roles of this program'
        return f'secrets "{key.name}" was not read from the API server yet'

    def _read_flags(self) -> FeatureFlags:
        """The flags; while they are wrong, the last good ones. Without the ConfigMap all are off."""
        found = self._config.items.get(CONFIG_MAP_NAME)
        if found is None:
            self._flags = FeatureFlags()
        elif found[0] is not None:
            self._flags = found[0]
        return self._flags

    def _api_server(self) -> ApiServer | None:
        """The cluster's own API server by all of its names (Kubernetes, "Accessing the Kubernetes API from a Pod")."""
        server = self._client.endpoint
        if server is None:
            return None
        names = ("kubernetes.default", "kubernetes.default.svc", f"kubernetes.default.svc.{self._cluster_domain}")
        origins = {Origin("https", name, 443) for name in names}
        with suppress(AddressError):
            origins.add(parse_address(server.host).origin)
        return ApiServer(frozenset(origins), read_pem(server.authority))

    def _renewed(self) -> None:
        self._touched.api_server = True
        self._dirty.set()

    def _own_changed(self) -> None:
        self._touched.own_addresses = True
        self._dirty.set()

    def _config_changed(self, _: str) -> None:
        self._dirty.set()

    def _secret_changed(self, key: SecretKey | ObjectKey) -> None:
        self._touched.secrets.add(SecretKey(*key))
        self._dirty.set()

    def _authority_changed(self, key: SecretKey) -> None:
        self._touched.authorities = True
        self._secret_changed(key)

    def _connector_changed(self, key: ConnectorKey) -> None:
        held = self._connectors.items.get(key)
        if held is None or self._store.connector(key) is not held.item:
            self._touched.connectors.add(key)
            self._to_refer.add(key)
            self._dirty.set()
        for tell in self._tell_connector:
            tell(key)

    def _class_changed(self, name: str) -> None:
        held = self._classes.items.get(name)
        served = self._store.current.classes.get(name) if self._store.ready else None
        if held is None or held.item is not served:
            self._touched.classes.add(name)
            self._dirty.set()
        for tell in self._tell_class:
            tell(name)

    def _want(self, key: ObjectKey) -> None:
        self._secrets.add(key)
        self._secret_changed(key)

    def _drop(self, key: ObjectKey) -> None:
        self._secrets.drop(key)
        self._secret_changed(key)


@dataclass(slots=True)
class _Touched:
    """What has changed since the last snapshot."""

    connectors: set[ConnectorKey] = field(default_factory=set)
    classes: set[str] = field(default_factory=set)
    secrets: set[SecretKey] = field(default_factory=set)
    authorities: bool = False
    api_server: bool = False
    own_addresses: bool = False


def _referred(connector: Connector, flags: FeatureFlags) -> tuple[ObjectKey, ...]:
    """What cannot be a name is never asked for: "." or "a/b" would be another path of the API server."""
    own = ca_secret_key_of(connector) if flags.enable_custom_ca_certs else None
    keys = dict.fromkeys(key for key in (secret_key_of(connector), own) if key is not None)
    return tuple(ObjectKey(*key) for key in keys if object_name_problem(key.name) is None)


def _only(namespace: str, name: str) -> Selector:
    return Selector(namespace, fields=f"metadata.name={name}")


def _connector(raw: Raw) -> tuple[ConnectorKey, HeldConnector]:
    held = read_connector(raw)
    return held.item.key, held


def _class(raw: Raw) -> tuple[str, HeldClass]:
    held = read_class(raw)
    return held.item.metadata.name, held


def _config(raw: Raw) -> tuple[str, tuple[FeatureFlags | None, tuple[Violation, ...]]]:
    flags, violations = read_flags(raw)
    for violation in violations:
        logger.warning("ConfigMap %s: %s", CONFIG_MAP_NAME, violation)
    return CONFIG_MAP_NAME, (flags, violations)
