"""A real Chromium without a window, told what to do over its DevTools protocol. It reaches nothing outside."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

from standalone.child import Child
from standalone.demo import CHECKOUT
from tests.peers.tools import program

SECONDS = 15.0
"""That it has to answer; on a busy machine it starts in five."""
_OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # it wants namespaces of its own, which a container may lack
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--no-default-browser-check",
    "--no-first-run",
    "--password-store=basic",
    "--remote-debugging-port=0",
    # Every name leads to this machine: nothing leaves it, and any site can be played.
    "--host-resolver-rules=MAP * 127.0.0.1",
)


class Tab:
    """One tab."""

    def __init__(self, browser: _Browser, session: str) -> None:
        self._browser = browser
        self._session = session

    async def open(self, url: str) -> None:
        """Go to `url`, as by the address bar, and wait until its document is there."""
        loaded = self._browser.loading(self._session)
        await self._browser.ask("Page.navigate", self._session, url=url)
        async with asyncio.timeout(SECONDS):
            await loaded

    async def follow(self, script: str) -> None:
        """Run what makes the document go elsewhere, and wait until that is there."""
        loaded = self._browser.loading(self._session)
        await self.run(script)
        async with asyncio.timeout(SECONDS):
            await loaded

    async def run(self, script: str) -> Any:
        """What an expression comes to in the document; of a promise what it is fulfilled with."""
        answer = await self._browser.ask(
            "Runtime.evaluate",
            self._session,
            expression=script,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")


class _Browser:
    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._asked: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._loading: dict[str, asyncio.Future[None]] = {}

    async def hear(self) -> None:
        async for message in self._socket:
            said = message.json()
            if "id" in said:
                self._asked.pop(said["id"]).set_result(said)
            elif said["method"] == "Page.loadEventFired" and said["sessionId"] in self._loading:
                self._loading.pop(said["sessionId"]).set_result(None)

    async def ask(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._asked[number] = asyncio.get_running_loop().create_future()
        target = {"sessionId": session} if session else {}
        await self._socket.send_json({"id": number, "method": method, "params": parameters, **target})
        async with asyncio.timeout(SECONDS):
            said = await self._asked[number]
        assert "error" not in said, (method, said["error"])
        result: dict[str, Any] = said["result"]
        return result

    def loading(self, session: str) -> asyncio.Future[None]:
        """Done when the next document is there. To be called before it is asked for."""
        return self._loading.setdefault(session, asyncio.get_running_loop().create_future())

    async def tab(self) -> Tab:
        target = (await self.ask("Target.createTarget", url="about:blank"))["targetId"]
        session = (await self.ask("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        await self.ask("Page.enable", session)
        return Tab(self, session)


@asynccontextmanager
async def chromium(folder: Path) -> AsyncIterator[Tab]:
    """Its one tab. `folder` is where it keeps what it keeps."""
    command = [program("chromium"), *_OPTIONS, f"--user-data-dir={folder / 'profile'}", "about:blank"]
    environment = {"PATH": os.defpath, "HOME": str(folder)}
    child = await Child.start("chromium", command, env=environment, cwd=CHECKOUT)
    try:
        url = (await child.line(r"DevTools listening on (ws://\S+)"))[1]
        async with aiohttp.ClientSession() as session, session.ws_connect(url, max_msg_size=0) as socket:
            browser = _Browser(socket)
            hearing = asyncio.create_task(browser.hear())
            try:
                yield await browser.tab()
                with suppress(TimeoutError):
                    await browser.ask("Browser.close")
            finally:
                hearing.cancel()
    finally:
        await child.stop()
