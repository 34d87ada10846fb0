"""An HTTP server that answers from a table of pages and keeps what it was asked, headers included."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType

from aiohttp import web

from connectors.process.health import AdminServer
from connectors.process.parsers import HostPort

HTML, JSON, BYTES = "text/html", "application/json", "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request."""

    method: str
    path: str
    headers: Mapping[str, str]

    @property
    def authorization(self) -> str:
        """The Authorization value, empty where there was none."""
        return self.headers.get("Authorization", "")


@dataclass(slots=True)
class Recorder:
    """Use as `async with Recorder(pages) as tool:`.

    `pages`: path -> (media type, body). With `demands`, whoever does not send that Authorization gets 401 with
    `challenge`; "nothing will do" is what no client can send.
    """

    pages: Mapping[str, tuple[str, bytes]] = field(default_factory=dict)
    demands: str = ""
    challenge: str = 'Basic realm="tool"'
    asked: list[Asked] = field(default_factory=list)
    _server: AdminServer | None = None

    async def __aenter__(self) -> Recorder:
        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", self._answer)
        self._server = AdminServer(app, HostPort("127.0.0.1", 0))
        await self._server.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server:
            await self._server.stop()

    @property
    def address(self) -> str:
        """http://127.0.0.1:PORT."""
        return f"http://127.0.0.1:{self._server.port if self._server else 0}"

    @property
    def authorizations(self) -> set[str]:
        """Every Authorization value that it was sent; the empty one where a request had none."""
        return {asked.authorization for asked in self.asked}

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked.append(Asked(request.method, request.path_qs, dict(request.headers)))
        if self.demands and request.headers.get("Authorization") != self.demands:
            return web.Response(status=401, headers={"WWW-Authenticate": self.challenge})
        if request.path not in self.pages:
            return web.Response(status=404)
        media_type, body = self.pages[request.path]
        return web.Response(body=body, content_type=media_type)


NOTHING_WILL_DO = "nothing will do"
