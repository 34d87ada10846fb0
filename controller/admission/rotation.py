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
from typing import Any

import msgspec

from connectors.kube.backoff import Backoff
from connectors.kube.cache import Cache
from connectors.kube.client import KubeClient, Selector
from connectors.kube.errors import ConflictError, KubeError, NotFoundError
from connectors.kube.metadata import Metadata, metadata_of
from connectors.kube.reflector import Reflector, Watched
from connectors.kube.resources import SECRETS, VALIDATING_WEBHOOK_CONFIGURATIONS, Resource
from connectors.process.clock import Clock
from connectors.sources.fields import without_nulls
from connectors.sources.secrets import decode_secret
from controller.admission.certificates import Material, carried_out, data_of, held, material_of, trusted
from controller.admission.published import seen, with_bundle
from controller.admission.renewal import NOTHING_PUBLISHED, Action, Held, Plan, Times, names_of_next, plan
from controller.admission.serving import CertificateError, Serving

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
            material = await self._carry_out(next_step, manifest, material, found)
        self._serve(material)
        if configuration is not None and with_bundle(configuration, trusted(material.bundle)):
            await self._client.replace(VALIDATING_WEBHOOK_CONFIGURATIONS, configuration)
            logger.info("caBundle of ValidatingWebhookConfiguration %s written", CONFIGURATION)
        if next_step.until is None:
            return SETTLE
        return max(SETTLE, min((next_step.until - now) / timedelta(seconds=1), LONGEST))

    async def _carry_out(self, step: Plan, manifest: dict[str, Any], material: Material, found: Held) -> Material:
        now = self._clock.now()
        names = sorted(names_of_next(found, self._scope.names, now))
        made = carried_out(step.action, material, names, self._scope.times, now)
        await self._client.replace(SECRETS, {**manifest, "data": {**(manifest.get("data") or {}), **data_of(made)}})
        logger.info("secrets %s: %s (%s)", SECRET, step.action.value, step.why)
        return made

    async def _secret(self) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = msgspec.json.decode(await self._client.get(SECRETS, SECRET, self._scope.namespace))
        except NotFoundError:
            self._failed(f'secrets "{SECRET}" not found in namespace {self._scope.namespace}; {INSTALL}')
            return None
        return found

    async def _configuration(self) -> dict[str, Any] | None:
        try:
            raw = await self._client.get(VALIDATING_WEBHOOK_CONFIGURATIONS, CONFIGURATION)
        except NotFoundError:
            self._published = NOTHING_PUBLISHED
            self._warn(
                f"admission is off: there is no ValidatingWebhookConfiguration {CONFIGURATION}; {INSTALL} to turn it on"
            )
            return None
        found: dict[str, Any] = msgspec.json.decode(raw)
        self._published = seen(self._published, found, self._clock.now())
        return found

    def _serve(self, material: Material) -> None:
        pair = material.serving
        if pair is None:
            return
        try:
            if self._serving.serve(pair):
                logger.info("the webhook serves a new certificate")
        except CertificateError as error:
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
        if message not in self._told:
            self._told.append(message)
            logger.warning("%s", message)

    def _follow(self, resource: Resource, selector: Selector) -> Reflector:
        """By metadata alone: no key travels because something changed."""
        cache: Cache[str, Metadata] = Cache(_named, lambda _: self._changed.set())
        return Reflector(self._client, Watched(resource, selector, metadata_only=True), cache, self._clock)


def _named(raw: msgspec.Raw) -> tuple[str, Metadata]:
    metadata = metadata_of(raw)
    return metadata.name, metadata


def _material(manifest: dict[str, Any]) -> Material:
    """The Secret's certificates; nothing where its data is none."""
    secret, _ = decode_secret(without_nulls(manifest))
    return material_of(secret.data if secret else {})
