"""Keeps the Secret's certificates, the certificate that is served and the published caBundle current.

Every replica does: whoever comes first writes, with the version that was looked at as precondition, and the others read
what was written. The watches only wake; every look reads both objects anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Set
from dataclasses import dataclass, field
from datetime import timedelta

import msgspec

from connectors.kube.backoff import Backoff
from connectors.kube.cache import Cache
from connectors.kube.client import KubeClient, Selector
from connectors.kube.errors import ConflictError, KubeError, NotFoundError, UnreadableError
from connectors.kube.reflector import Reflector, Watched
from connectors.kube.resources import SECRETS, VALIDATING_WEBHOOK_CONFIGURATIONS, Metadata, Resource, metadata_of
from connectors.process.clock import Clock
from connectors.sources.fields import without_nulls
from connectors.sources.secrets import decode_secret
from connectors.tls.loading import KeyPairError
from connectors.tls.serving import Serving
from controller.admission.certificates import Material, carried_out, data_of, held, material_of, trusted
from controller.admission.published import Manifest, seen, with_bundle
from controller.admission.renewal import NOTHING_PUBLISHED, Action, Held, Plan, Times, names_of_next, plan, serves

logger = logging.getLogger("connectors.admission")

SECRET = "connectors-webhook-cert"  # noqa: S105 - a name
CONFIGURATION = "connectors-validation"
SETTLE = 0.5
"""Seconds between a change and the look at it, and between two steps: somebody who undoes what is written here gets no
endless race."""
LONGEST = 600.0
"""Seconds without a look at the most: a watch may be dead without a word."""
REMEMBERED = 20
"""Messages that are not logged again."""
INSTALL = "apply deploy/webhook.yaml"


@dataclass(frozen=True, slots=True)
class Scope:
    """`namespace`: of the Secret. `names`: what the certificate must be good for."""

    namespace: str
    names: Set[str]
    times: Times = field(default_factory=Times)


class Rotation:
    """`run` it as long as the webhook serves."""

    def __init__(self, client: KubeClient, scope: Scope, serving: Serving, clock: Clock) -> None:
        self._client = client
        self._scope = scope
        self._serving = serving
        self._clock = clock
        self._changed = asyncio.Event()
        self._published = NOTHING_PUBLISHED
        self._problem = ""
        self._told: deque[str] = deque(maxlen=REMEMBERED)
        self._wrong: set[str] = set()
        """Messages of this look."""
        self.reflectors = (
            self._follow(SECRETS, Selector(scope.namespace, fields=f"metadata.name={SECRET}")),
            self._follow(VALIDATING_WEBHOOK_CONFIGURATIONS, Selector(fields=f"metadata.name={CONFIGURATION}")),
        )

    def missing(self) -> str | None:
        """Why there is no certificate to serve (a ReadyCheck)."""
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
        """One look at everything, and one step. Returns the seconds until the next.

        Raises:
            KubeError: ConflictError where something changed meanwhile, and the others.
        """
        self._wrong.clear()
        manifest = await self._secret()
        if manifest is None:
            return LONGEST
        self._problem = ""
        material = _material(manifest)
        configuration = await self._configuration()
        now = self._clock.now()
        found = held(material)
        next_step = plan(found, self._published, self._scope.names, self._scope.times, now)
        if next_step.action is not Action.WAIT:
            if serves(found, now):
                configuration = await self._in_advance(material, configuration)
            material = await self._carry_out(next_step, manifest, material, found)
        self._serve(material)
        await self._publish(material, configuration)
        self._forget()
        if next_step.until is None:
            return SETTLE
        return max(SETTLE, min((next_step.until - now) / timedelta(seconds=1), LONGEST))

    async def _in_advance(self, material: Material, configuration: Manifest | None) -> Manifest | None:
        """What is there and still good, before a step that may not be possible; and neither keeps the other up."""
        self._serve(material)
        try:
            return await self._publish(material, configuration)
        except KubeError as error:
            if not isinstance(error, ConflictError):
                self._failed(str(error))
            return configuration

    async def _publish(self, material: Material, configuration: Manifest | None) -> Manifest | None:
        """Its authorities. Returns the configuration as it is then."""
        if configuration is None or not with_bundle(configuration, trusted(material.bundle)):
            return configuration
        written = await self._client.replace(VALIDATING_WEBHOOK_CONFIGURATIONS, configuration)
        logger.info("caBundle of ValidatingWebhookConfiguration %s written", CONFIGURATION)
        return _manifest(written)

    async def _carry_out(self, step: Plan, manifest: Manifest, material: Material, found: Held) -> Material:
        now = self._clock.now()
        names = sorted(names_of_next(found, self._scope.names, now))
        made = carried_out(step.action, material, names, self._scope.times, now)
        await self._client.replace(SECRETS, {**manifest, "data": {**(manifest.get("data") or {}), **data_of(made)}})
        logger.info("secrets %s: %s (%s)", SECRET, step.action.value, step.why)
        return made

    async def _secret(self) -> Manifest | None:
        try:
            return _manifest(await self._client.get(SECRETS, SECRET, self._scope.namespace))
        except NotFoundError:
            self._failed(f'secrets "{SECRET}" not found in namespace {self._scope.namespace}; {INSTALL}')
            return None

    async def _configuration(self) -> Manifest | None:
        try:
            raw = await self._client.get(VALIDATING_WEBHOOK_CONFIGURATIONS, CONFIGURATION)
        except NotFoundError:
            self._published = NOTHING_PUBLISHED
            self._warn(
                f"admission is off: there is no ValidatingWebhookConfiguration {CONFIGURATION}; {INSTALL} to turn it on"
            )
            return None
        found = _manifest(raw)
        self._published = seen(self._published, found, self._clock.now())
        return found

    def _serve(self, material: Material) -> None:
        pair = material.serving
        if pair is None:
            return
        try:
            if self._serving.serve(pair):
                logger.info("the webhook serves a new certificate")
        except KeyPairError as error:
            self._failed(f'secrets "{SECRET}" in namespace {self._scope.namespace}: {error}')

    async def _pause(self, seconds: float) -> None:
        """Until that time is over, or something changed; a change is looked at after SETTLE."""
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
        """Once for each message, as long as it is remembered."""
        self._wrong.add(message)
        if message not in self._told:
            self._told.append(message)
            logger.warning("%s", message)

    def _forget(self) -> None:
        """After a look at everything: what is not wrong any more is told anew when it comes back."""
        for message in [item for item in self._told if item not in self._wrong]:
            self._told.remove(message)

    def _follow(self, resource: Resource, selector: Selector) -> Reflector:
        """By metadata alone: no key travels because something changed."""
        cache: Cache[str, Metadata] = Cache(_named, lambda _: self._changed.set())
        return Reflector(self._client, Watched(resource, selector, metadata_only=True), cache, self._clock)


def _named(raw: msgspec.Raw) -> tuple[str, Metadata]:
    metadata = metadata_of(raw)
    return metadata.name, metadata


def _material(manifest: Manifest) -> Material:
    """The Secret's certificates; nothing where its data is none."""
    secret, _ = decode_secret(without_nulls(manifest))
    return material_of(secret.data if secret else {})


def _manifest(raw: bytes) -> Manifest:
    """An object of the API server.

    Raises:
        UnreadableError: it is none, whatever the status of the answer.
    """
    try:
        found = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("metadata"), dict):
        raise UnreadableError("the API server's answer is no object; is something between it and this program?")
    return found
