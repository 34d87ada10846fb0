"""Keeps the Secret's certificate, the certificate that is served and the published caBundle current.

Every replica does: the first one writes, with the version that was looked at as precondition, and the others read
what was written. A new certificate is written once, published beside the one before, and served when API servers have
heard of it. The watches only wake; every look reads both objects again.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
from collections import deque
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from connectors.kube.cache import Cache
from connectors.kube.client import KubeClient, Selector
from connectors.kube.errors import ConflictError, KubeError, NotFoundError, UnreadableError
from connectors.kube.reflector import Reflector, Watched
from connectors.kube.resources import SECRETS, VALIDATING_WEBHOOK_CONFIGURATIONS, Metadata, Resource, metadata_of
from connectors.process.backoff import Backoff
from connectors.process.clock import Clock
from connectors.sources.fields import without_nulls
from connectors.sources.secrets import decode_secret
from connectors.tls.loading import KeyPairError
from connectors.tls.serving import Serving
from controller.admission.certificates import (
    FORMER_KEY,
    Held,
    Lives,
    Material,
    UnfitError,
    authorities,
    canonical,
    data_of,
    due,
    held,
    make,
    material_of,
    settled,
)

Manifest = dict[str, Any]

logger = logging.getLogger("connectors.admission")

SECRET = "connectors-webhook-cert"  # noqa: S105 - a name
CONFIGURATION = "connectors-validation"
# Seconds between a change and the look at it: somebody who undoes what is written here gets no endless race.
SETTLE = 0.5
# Messages that are not logged again.
REMEMBERED = 20
INSTALL = "apply deploy/webhook.yaml"


@dataclass(frozen=True, slots=True)
class CertificatePolicy:
    """`namespace`: of the Secret. `names`: what the certificate must be good for."""

    namespace: str
    names: Set[str]
    lives: Lives = field(default_factory=Lives)


class Rotation:
    """`run` it as long as the webhook serves."""

    def __init__(self, client: KubeClient, policy: CertificatePolicy, serving: Serving, clock: Clock) -> None:
        self._client = client
        self._policy = policy
        self._serving = serving
        self._clock = clock
        self._changed = asyncio.Event()
        self._served: Held | None = None
        # The authorities that every webhook of the configuration trusts, each since it was seen there first.
        self._published: dict[str, datetime] = {}
        self._problem = ""
        self._told: deque[str] = deque(maxlen=REMEMBERED)
        # Messages of this look.
        self._wrong: set[str] = set()
        self.reflectors = (
            self._follow(SECRETS, Selector(policy.namespace, fields=f"metadata.name={SECRET}")),
            self._follow(VALIDATING_WEBHOOK_CONFIGURATIONS, Selector(fields=f"metadata.name={CONFIGURATION}")),
        )

    def missing(self) -> str | None:
        """Why no certificate can be served yet (a Readiness)."""
        if self._serving.ready:
            return None
        return "the webhook's certificate" + (f": {self._problem}" if self._problem else "")

    async def run(self) -> None:
        """Keep everything current until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for reflector in self.reflectors:
                tasks.create_task(reflector.run())
            tasks.create_task(self._keep())

    async def _keep(self) -> None:
        backoff = Backoff()
        while True:
            self._changed.clear()
            try:
                wait = await self._look()
                backoff.reset()
            except ConflictError:
                # Another replica was quicker; what it wrote is as good.
                wait = backoff.next()
            except KubeError as error:
                wait = backoff.next()
                self._failed(str(error))
            await self._pause(wait)

    async def _look(self) -> float:
        """One look at everything. Returns the seconds until the next.

        Raises:
            KubeError: ConflictError where something changed meanwhile, and the others.
        """
        self._wrong.clear()
        manifest = await self._secret()
        if manifest is None:
            return self._policy.lives.look.total_seconds()
        self._problem = ""
        configuration = await self._configuration()
        lives, now = self._policy.lives, self._clock.now()
        found, why = self._judged(manifest, now)
        pending = False
        try:
            if found is None or why:
                made = self._new(found, configuration, now)
                found = await self._write(manifest, made, now, f"a new certificate: {why}")
            elif self._served and self._served.issuer == found.issuer and settled(found, lives, now):
                found = await self._write(manifest, found.alone, now, "the authority before is dropped")
        finally:
            # A certificate that is still good is published and served, even if nothing can be written.
            if found is not None:
                pending = await self._show(found, configuration)
        self._forget()
        return (lives.heard if pending else lives.look).total_seconds()

    def _judged(self, manifest: Manifest, now: datetime) -> tuple[Held | None, str]:
        """The certificate that the Secret holds, and why it is to be exchanged: empty if it is not."""
        secret, _ = decode_secret(without_nulls(manifest))
        try:
            found = held(material_of(secret.data if secret else {}), now)
        except UnfitError as error:
            return None, str(error)
        return found, due(found, self._policy.names, self._policy.lives, now)

    def _new(self, found: Held | None, configuration: Manifest | None, now: datetime) -> Material:
        """A new certificate, and beside it the authorities that API servers trust until they hear of it."""
        names, lives = canonical(self._policy.names), self._policy.lives
        if found is not None and now < found.ends - lives.left:
            # During a roll-out there are replicas of two configurations; each would undo what the other wrote.
            names |= found.names
        return make(names, published(configuration, now).values(), lives.life, now)

    async def _write(self, manifest: Manifest, material: Material, now: datetime, what: str) -> Held:
        found = held(material, now)
        kept = {name: value for name, value in (manifest.get("data") or {}).items() if name != FORMER_KEY}
        await self._client.replace(SECRETS, {**manifest, "data": {**kept, **data_of(material)}})
        logger.info("secrets %s: %s", SECRET, what)
        return found

    async def _show(self, found: Held, configuration: Manifest | None) -> bool:
        """Publish its authorities, and serve it: True while that waits for API servers to hear of it."""
        try:
            if configuration and with_bundle(configuration, found.trusted):
                self._see(_manifest(await self._client.replace(VALIDATING_WEBHOOK_CONFIGURATIONS, configuration)))
                logger.info("caBundle of ValidatingWebhookConfiguration %s written", CONFIGURATION)
        finally:
            heard = self._heard(found)
            if heard:
                self._serve(found)
        return not heard

    def _see(self, configuration: Manifest | None) -> None:
        now = self._clock.now()
        self._published = {item: self._published.get(item, now) for item in published(configuration, now)}

    def _heard(self, found: Held) -> bool:
        """Whether API servers trust it by now, or trust nothing that would be given up for it."""
        now, before = self._clock.now(), self._served
        if before is None or before.ends <= now or before.issuer not in self._published.keys() - {found.issuer}:
            return True
        since = self._published.get(found.issuer)
        return since is not None and since + self._policy.lives.heard <= now

    def _serve(self, found: Held) -> None:
        try:
            if self._serving.serve(found.pair):
                logger.info("the webhook serves a new certificate")
            self._served = found
        except KeyPairError as error:
            self._failed(f'secrets "{SECRET}" in namespace {self._policy.namespace}: {error}')

    async def _secret(self) -> Manifest | None:
        try:
            return _manifest(await self._client.get(SECRETS, SECRET, self._policy.namespace))
        except NotFoundError:
            self._failed(f'secrets "{SECRET}" not found in namespace {self._policy.namespace}; {INSTALL}')
            return None

    async def _configuration(self) -> Manifest | None:
        try:
            found = _manifest(await self._client.get(VALIDATING_WEBHOOK_CONFIGURATIONS, CONFIGURATION))
        except NotFoundError:
            found = None
            self._warn(
                f"admission is off: there is no ValidatingWebhookConfiguration {CONFIGURATION}; {INSTALL} to turn it on"
            )
        self._see(found)
        return found

    async def _pause(self, seconds: float) -> None:
        """Wait until that time is over, or SETTLE after a change."""
        sleeping = asyncio.create_task(self._clock.sleep(seconds))
        waiting = asyncio.create_task(self._changed.wait())
        try:
            await asyncio.wait((sleeping, waiting), return_when=asyncio.FIRST_COMPLETED)
            if not sleeping.done():
                await self._clock.sleep(SETTLE)
        finally:
            sleeping.cancel()
            waiting.cancel()
            await asyncio.gather(sleeping, waiting, return_exceptions=True)

    def _failed(self, problem: str) -> None:
        self._problem = problem
        self._warn(f"the webhook's certificate cannot be kept current, trying again: {problem}")

    def _warn(self, message: str) -> None:
        """Log each message once, for as long as it is remembered."""
        self._wrong.add(message)
        if message not in self._told:
            self._told.append(message)
            logger.warning("%s", message)

    def _forget(self) -> None:
        """Forget problems that are over, after a look at everything: they are logged again if they come back."""
        for message in [item for item in self._told if item not in self._wrong]:
            self._told.remove(message)

    def _follow(self, resource: Resource, selector: Selector) -> Reflector:
        """By metadata alone: no key travels because something changed."""
        cache: Cache[str, Metadata] = Cache(_named, lambda _: self._changed.set())
        return Reflector(self._client, Watched(resource, selector, metadata_only=True), cache, self._clock)


def _named(raw: msgspec.Raw) -> tuple[str, Metadata]:
    metadata = metadata_of(raw)
    return metadata.name, metadata


def _manifest(raw: bytes) -> Manifest:
    """An object of the API server.

    Raises:
        UnreadableError: it is not an object, whatever the status of the answer.
    """
    try:
        found = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("metadata"), dict):
        raise UnreadableError("the API server's answer is no object; is something between it and this program?")
    return found


def published(configuration: Manifest | None, now: datetime) -> Mapping[str, bytes]:
    """What every webhook of the configuration trusts: valid certificates in PEM, by fingerprint, the newest first."""
    found = [authorities(_decoded(client.get("caBundle")), now) for client in _clients(configuration)]
    return {item: pem for item, pem in found[0].items() if all(item in other for other in found)} if found else {}


def with_bundle(configuration: Manifest, bundle: bytes) -> bool:
    """Put it into every webhook of `configuration`, which is changed; False if it was there already."""
    text = base64.b64encode(bundle).decode()
    wrong = [client for client in _clients(configuration) if client.get("caBundle") != text]
    for client in wrong:
        client["caBundle"] = text
    return bool(wrong)


def _clients(configuration: Manifest | None) -> Iterator[Manifest]:
    return (webhook["clientConfig"] for webhook in (configuration or {}).get("webhooks") or ())


def _decoded(text: object) -> bytes:
    try:
        return base64.b64decode(text) if isinstance(text, str) else b""
    except (binascii.Error, ValueError):
        return b""
