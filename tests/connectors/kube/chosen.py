"""A Selection of Secrets on the fake API server, and what it told."""

from __future__ import annotations

import asyncio
from typing import Any

from msgspec import Raw, json

from connectors.kube.client import KubeClient
from connectors.kube.reflector import Reflector, Watched
from connectors.kube.resources import SECRETS, metadata_of
from connectors.kube.selection import ObjectKey, Selection
from tests.connectors.kube.weather import HurriedClock, News
from tests.peers.api_requests import Asked
from tests.peers.fake_api_server import FakeApiServer

A, B = ObjectKey("team", "a"), ObjectKey("team", "b")


def value_of(body: bytes) -> str:
    """The Secret's only value, as base64."""
    found: dict[str, Any] = json.decode(body)
    if str(found["data"]["a"]).startswith("broken"):
        raise ValueError("cannot read canary-secret")
    return str(found["data"]["a"])


class Listening(Selection[str]):
    """Writes down each version that the watch tells of, be it a change or an end."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments[:-1])
        self.heard: list[str] = []
        self._poke = arguments[-1]

    def changed(self, raw: Raw) -> None:
        super().changed(raw)
        self._note(raw)

    def deleted(self, raw: Raw) -> None:
        super().deleted(raw)
        self._note(raw)

    def _note(self, raw: Raw) -> None:
        self.heard.append(metadata_of(raw).resource_version)
        self._poke()


class Chosen(News):
    """A Selection of Secrets with its reflector, both running."""

    def __init__(self, server: FakeApiServer, client: KubeClient) -> None:
        super().__init__()
        self.server = server
        self.told: list[ObjectKey] = []
        self.decoded: list[str] = []
        clock = HurriedClock()
        self.selection = Listening(client, SECRETS, self._value, self._told, clock, self.poke)
        watched = Watched(SECRETS, metadata_only=True, anchored=True)
        self.reflector = Reflector(client, watched, self.selection, clock)

    def _value(self, body: bytes) -> str:
        # Those who wait look again once the value was taken, or the log written.
        asyncio.get_running_loop().call_soon(self.poke)
        self.decoded.append(json.decode(body)["data"]["a"])
        return value_of(body)

    def _told(self, key: ObjectKey) -> None:
        self.told.append(key)
        self.poke()

    async def has(self, **values: str | None) -> None:
        """Wait until each of these Secrets has its value, or is known to be missing."""

        def right() -> bool:
            keys = {ObjectKey("team", name): value for name, value in values.items()}
            return all(self.selection.fetched(key) and self.selection.get(key) == keys[key] for key in keys)

        await self.until(right)

    async def heard(self, manifest: dict[str, Any]) -> None:
        """Wait until the watch has told of this version."""
        await self.until(lambda: manifest["metadata"]["resourceVersion"] in self.selection.heard)

    def gets(self, name: str) -> list[Asked]:
        return [asked for asked in self.server.requests if asked.path.endswith(f"/team/secrets/{name}")]
