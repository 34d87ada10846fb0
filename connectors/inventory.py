"""The inventory: all objects as a source tells of them, and what each change makes of them. No I/O.

It is the one value that changes; what it hands out are Snapshots, which do not.

A change costs as much as what it concerns, and not as much as what exists: indexes tell which Connectors are affected,
and what was made of the others stays.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TypeVar

from connectors.judgement import Judgement, judgement_of
from connectors.objects.addresses import TransportAddress
from connectors.objects.connector import Connector, ConnectorKey
from connectors.objects.connector_class import ConnectorClass
from connectors.objects.feature_flags import FeatureFlags
from connectors.objects.secret import Secret, SecretKey
from connectors.objects.violation import Violation
from connectors.plan import Plan, compile_plan
from connectors.rules.connector_class import JudgedClass, judge_class
from connectors.rules.examination import Inputs, examine, secret_key_of
from connectors.snapshot import EVERYTHING, Changes, Handshakes, Memo, Objects, Referrers, Snapshot, TokenOwners, Wanted
from connectors.tls.pool import SYSTEM_TRUST, ApiServer
from connectors.trust import NONE, Authorities, Layers, ca_secret_key_of

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Inventory:
    """`take` changes, do the `work` that they make, then let the `snapshot` serve. In this order, and one at a time."""

    def __init__(self, wanted: Wanted = EVERYTHING) -> None:
        self._wanted = wanted
        self._generation = 0
        self._flags = FeatureFlags()
        self._for_all: tuple[Secret, ...] = ()
        self._api_server: ApiServer | None = None
        self._own_addresses: frozenset[TransportAddress] = frozenset()
        self._connectors: dict[ConnectorKey, Connector] = {}
        self._classes: dict[str, ConnectorClass] = {}
        self._secrets: dict[SecretKey, Secret] = {}
        self._malformed: dict[ConnectorKey | str, Violation] = {}
        self._unread: dict[SecretKey, str] = {}
        self._of_class: Referrers[str] = Referrers()
        self._of_secret: Referrers[SecretKey] = Referrers()
        self._of_ca: Referrers[SecretKey] = Referrers()
        self._taken: list[Changes] = []
        self._todo = _Todo()
        self._judged: Memo[str, JudgedClass] = Memo()
        self._made: Memo[ConnectorKey, bool] = Memo()
        self._layers: Layers | None = None
        self._proxies = wanted.proxies
        self._owners = TokenOwners()
        self._handshakes = Handshakes()
        self._handshakes.of_trust(None, SYSTEM_TRUST)
        self._new = _New(MappingProxyType({}), MappingProxyType({}))
        self._served: Snapshot | None = None

    # -- what there is

    def connector(self, key: ConnectorKey) -> Connector | None:
        """The Connector of that name, as it was taken last."""
        return self._connectors.get(key)

    # Not __len__: an inventory without a Connector would be false where one is asked for.
    @property
    def count(self) -> int:
        """How many Connectors there are."""
        return len(self._connectors)

    def take(self, changes: Changes) -> None:
        """Note that these objects have come, gone or changed. `work` begins with them."""
        self._taken.append(changes)

    def take_all(self, objects: Objects) -> None:
        """Take these objects as all that exist now."""
        self.take(self.difference(objects))

    def difference(self, objects: Objects) -> Changes:
        """The changes that lead to these objects, if they are all that exist now."""
        return Changes(
            _changes(self._connectors, {item.key: item for item in objects.connectors}),
            _changes(self._classes, {item.metadata.name: item for item in objects.classes}),
            _changes(self._secrets, {item.key: item for item in objects.secrets}),
            objects.flags,
            _changes(self._malformed, objects.malformed),
            {key: why or "" for key, why in _changes(self._unread, objects.unread).items()},
            objects.authorities,
            objects.api_server,
            objects.own_addresses,
            objects.logins,
        )

    def _taking(self, changes: Changes) -> Iterator[None]:
        for name, item in changes.classes.items():
            _put(self._classes, name, item)
            self._todo.classes[name] = None
        for key, connector in changes.connectors.items():
            self._refer(key, self._connectors.get(key), connector)
            _put(self._connectors, key, connector)
            self._todo.connectors[key] = None
            yield
        for secret_key, secret in changes.secrets.items():
            _put(self._secrets, secret_key, secret)
            self._owners.set(secret_key, secret)
            self._secret_changed(secret_key)
            yield
        for secret_key, why in changes.unread.items():
            # Only if the words differ: an equal string keeps its instance, so that nothing is found changed.
            if self._unread.get(secret_key, "") != why:
                _put(self._unread, secret_key, why or None)
                self._secret_changed(secret_key)
        for of, violation in changes.malformed.items():
            if self._malformed.get(of) is not violation:
                _put(self._malformed, of, violation)
                self._todo.about(of)
        self._take_layers(changes)

    def _take_layers(self, changes: Changes) -> None:
        if changes.flags is not None:
            self._todo.for_all |= self._flags.enable_custom_ca_certs != changes.flags.enable_custom_ca_certs
            self._flags = changes.flags
        if changes.authorities is not None:
            self._for_all, self._todo.for_all = changes.authorities, True
        if changes.api_server is not None:
            self._api_server, self._todo.for_all = changes.api_server, True
        if changes.own_addresses is not None:
            self._own_addresses = changes.own_addresses
        if changes.logins is not None and self._proxies is not None:
            before, self._proxies = self._proxies, self._proxies.with_logins(changes.logins)
            if self._proxies is not before:
                self._todo.all_of(self._connectors)

    def _refer(self, key: ConnectorKey, before: Connector | None, now: Connector | None) -> None:
        class_before, secret_before, ca_before = _references(before)
        class_now, secret_now, ca_now = _references(now)
        self._of_class.move(key, class_before, class_now)
        self._of_secret.move(key, secret_before, secret_now)
        self._of_ca.move(key, ca_before, ca_now)
        # The one that was left too: if no other Connector refers to it, nothing has to be kept of it.
        self._todo.authorities.update(dict.fromkeys(ca for ca in (ca_before, ca_now) if ca is not None))

    def _secret_changed(self, key: SecretKey) -> None:
        self._todo.all_of(self._of_secret.of(key))
        if key in self._of_ca:
            self._todo.authorities[key] = None

    # -- what is made of it

    def work(self) -> Iterator[None]:
        """Take in the changes, then make what depends on them: classes, CAs, Connectors. One object a step."""
        todo = self._todo
        while self._taken:
            yield from self._taking(self._taken[0])
            # Only now: if the caller stops in between, the next one takes all of it once more.
            del self._taken[0]
        # Classes and CAs first: Connectors are made of them.
        for name in list(todo.classes):
            self._judge(name)
            del todo.classes[name]
            yield
        if todo.for_all:
            self._layer_for_all()
            todo.for_all = False
            yield
        for ca in list(todo.authorities):
            self._layer_own(ca)
            del todo.authorities[ca]
            yield
        for key in list(todo.connectors):
            self._make(key)
            del todo.connectors[key]
            yield

    def _judge(self, name: str) -> None:
        item = self._classes.get(name)
        self._new.classes[name] = None
        self._todo.all_of(self._of_class.of(name))
        if item is None:
            self._judged.forget(name)
            return
        inputs = (item, self._malformed.get(name))
        if self._judged.get(name, inputs) is None:
            self._judged.put(name, inputs, judge_class(*inputs))

    def _layer_for_all(self) -> None:
        if not self._flags.enable_custom_ca_certs:
            changed, self._layers = self._layers is not None, None
        else:
            new = self._layers is None
            self._layers = self._layers or Layers()
            changed = self._layers.for_all(self._for_all, self._api_server) or new
        if changed:
            self._handshakes.of_trust(None, self._layers.trust_of(None) if self._layers else SYSTEM_TRUST)
            self._todo.authorities.update(dict.fromkeys(self._of_ca))
            self._todo.all_of(self._connectors)

    def _layer_own(self, key: SecretKey) -> None:
        if self._layers is None or key not in self._of_ca:
            if self._layers is not None:
                self._layers.disown(key)
            self._handshakes.of_trust(key, None)
        elif self._layers.own(key, self._secrets.get(key), self._unread.get(key, "")):
            trust = self._layers.trust_of(key)
            self._handshakes.of_trust(key, None if trust is self._layers.trust_of(None) else trust)
            self._todo.all_of(self._of_ca.of(key))

    def _make(self, key: ConnectorKey) -> None:
        connector = self._connectors.get(key)
        if connector is None:
            self._made.forget(key)
            self._handshakes.of_connector(key, None)
            self._new.put(key, None, None)
            return
        inputs = self._inputs(connector)
        # The same instances stay: another Judgement would wake the controller for nothing.
        if self._made.get(key, inputs):
            return
        examined = examine(inputs)
        plan = compile_plan(examined, self._wanted.hosts, key) if self._wanted.plans else None
        judgement = judgement_of(examined) if self._wanted.judgements else None
        self._made.put(key, inputs, made=True)
        self._handshakes.of_connector(key, examined)
        self._new.put(key, plan, judgement)

    def _inputs(self, connector: Connector) -> Inputs:
        key, name = secret_key_of(connector), connector.spec.connector_class_name
        secret, ca = self._secrets.get(key), ca_secret_key_of(connector)
        return Inputs(
            connector,
            self._judged_class(name),
            secret,
            self._malformed.get(connector.key),
            # Only while the Secret is missing does it matter why.
            self._unread.get(key, "") if secret is None else "",
            self._layers.trust_of(ca) if self._layers else SYSTEM_TRUST,
            self._layers.state_of(ca) if self._layers else None,
            self._proxies,
        )

    # -- what serves

    def snapshot(self) -> Snapshot:
        """The next snapshot, of all that was made. It shares with the one before what did not change."""
        before, new = self._served, self._new
        same_classes = before is not None and not new.classes
        self._generation += 1
        plans, judgements = new.take()
        self._served = Snapshot(
            generation=self._generation,
            plans=plans,
            judgements=judgements,
            classes=before.classes if same_classes and before else MappingProxyType(dict(self._classes)),
            token_owners=self._owners.current(),
            flags=self._flags,
            class_violations=before.class_violations if same_classes and before else self._violations(),
            caller_headers=before.caller_headers if same_classes and before else self._caller_headers(),
            proxy_uris=before.proxy_uris if same_classes and before else self._proxy_uris(),
            authorities=self._authorities(),
            client_tls=self._handshakes.current(),
            own_addresses=self._own_addresses,
            changed=tuple(new.connectors),
            changed_classes=tuple(new.classes),
            proxies=self._proxies,
        )
        self._new = _New(plans, judgements)
        return self._served

    def build(self, objects: Objects) -> Snapshot:
        """The snapshot of these objects, in one piece."""
        self.take_all(objects)
        return self.made()

    def made(self) -> Snapshot:
        """The snapshot of all that was taken, after doing the rest of the work in one piece."""
        for _ in self.work():
            pass
        return self.snapshot()

    def _all_judged(self) -> Iterator[JudgedClass]:
        return (judged for name in self._classes if (judged := self._judged_class(name)) is not None)

    def _judged_class(self, name: str) -> JudgedClass | None:
        item = self._classes.get(name)
        return self._judged.get(name, (item, self._malformed.get(name))) if item is not None else None

    def _violations(self) -> Mapping[str, tuple[Violation, ...]]:
        return MappingProxyType({item.connector_class.metadata.name: item.violations for item in self._all_judged()})

    def _caller_headers(self) -> frozenset[bytes]:
        return frozenset(item.connector_class.caller_header for item in self._all_judged() if item.usable) - {b""}

    def _proxy_uris(self) -> frozenset[str]:
        return frozenset(item.spec.proxy.uri for item in self._classes.values() if item.spec.proxy) - {""}

    def _authorities(self) -> Authorities:
        return self._layers.current() if self._layers else NONE


def build(objects: Objects, wanted: Wanted = EVERYTHING) -> Snapshot:
    """A Snapshot of these objects, from scratch."""
    return Inventory(wanted).build(objects)


class _Todo:
    """What has to be made again. Dicts for their order: what came first is made first."""

    def __init__(self) -> None:
        self.classes: dict[str, None] = {}
        self.for_all = False
        self.authorities: dict[SecretKey, None] = {}
        self.connectors: dict[ConnectorKey, None] = {}

    def about(self, of: ConnectorKey | str) -> None:
        """A Connector, or a class by its name."""
        if isinstance(of, ConnectorKey):
            self.connectors[of] = None
        else:
            self.classes[of] = None

    def all_of(self, keys: Iterable[ConnectorKey]) -> None:
        """All of these Connectors."""
        self.connectors.update(dict.fromkeys(keys))


class _New:
    """What was made since the last Snapshot. The mappings are copied at the first `put`."""

    def __init__(self, plans: Mapping[ConnectorKey, Plan], judgements: Mapping[ConnectorKey, Judgement]) -> None:
        self.connectors: dict[ConnectorKey, None] = {}
        self.classes: dict[str, None] = {}
        self._before = (plans, judgements)
        self._plans: dict[ConnectorKey, Plan] | None = None
        self._judgements: dict[ConnectorKey, Judgement] | None = None

    def put(self, key: ConnectorKey, plan: Plan | None, judgement: Judgement | None) -> None:
        """Keep what this Connector has been compiled to; None: nothing."""
        if self._plans is None or self._judgements is None:
            self._plans, self._judgements = dict(self._before[0]), dict(self._before[1])
        if key not in self._plans and key not in self._judgements and plan is None and judgement is None:
            return
        self.connectors[key] = None
        _put(self._plans, key, plan)
        _put(self._judgements, key, judgement)

    def take(self) -> tuple[Mapping[ConnectorKey, Plan], Mapping[ConnectorKey, Judgement]]:
        """All Plans and all Judgements."""
        if self._plans is None or self._judgements is None:
            return self._before
        return MappingProxyType(self._plans), MappingProxyType(self._judgements)


def _references(connector: Connector | None) -> tuple[str | None, SecretKey | None, SecretKey | None]:
    """The class, the Secret with the credential and the one with CAs that a Connector refers to."""
    if connector is None:
        return None, None, None
    return connector.spec.connector_class_name, secret_key_of(connector), ca_secret_key_of(connector)


def _put(held: dict[Key, Value], key: Key, value: Value | None) -> None:
    if value is None:
        held.pop(key, None)
    else:
        held[key] = value


def _changes(before: Mapping[Key, Value], now: Mapping[Key, Value]) -> dict[Key, Value | None]:
    """The values that are another instance than before; None for what is gone."""
    changed: dict[Key, Value | None] = {key: value for key, value in now.items() if before.get(key) is not value}
    changed.update(dict.fromkeys(before.keys() - now.keys()))
    return changed
