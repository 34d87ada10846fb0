"""An API server that really listens, keeps objects in memory, and does on demand what a real one will not.

async with FakeApiServer() as server:
    server.put({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a", "namespace": "team"}})
    client = KubeClient(Access(server.kubeconfig(tmp_path)))
    ...
    assert server.writes() == []
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml
from aiohttp import web
from aiohttp.typedefs import Handler

from connectors.kube.resources import Resource
from tests.peers.api_objects import ApiObjects, Change, Manifest, Place, RefusedError, place_of
from tests.peers.api_requests import Asked, Failure, negotiated, parse, status
from tests.peers.api_watch import BOOKMARK, CUT, DROP, GONE, Filter, Watch, partial

Virtual = Callable[[Manifest], Manifest]
WRITES = {"POST", "PUT", "PATCH", "DELETE"}
REASONS = {
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    422: "Invalid",
    429: "TooManyRequests",
    503: "ServiceUnavailable",
    504: "Timeout",
}


class FakeApiServer:
    """Plain HTTP on 127.0.0.1 (TLS on localhost with `tls`). Attributes may be changed at any time:

    `token`: only this bearer token is accepted (None: anyone). `forbidden`: path prefixes answered with 403.
    `absent`: plurals that do not exist (404, as before a CRD is installed). `virtual`: plural -> answer to a POST that
    stores nothing (TokenReview). `terminating`: namespaces in which nothing can be created. `cut_after_events`: a watch
    ends after so many events. `cut_after`: or after so many seconds. `bookmark_every`: seconds. `pages_expire`: so many
    continue tokens are too old.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.tls = tls
        self.port = 0
        self.token: str | None = None
        self.forbidden: set[str] = set()
        self.absent: set[str] = set()
        self.virtual: dict[str, Virtual] = {}
        self.cut_after_events: int | None = None
        self.cut_after: float | None = None
        self.bookmark_every = 60.0
        self.pages_expire = 0
        self.requests: list[Asked] = []
        self.watches: list[Watch] = []
        self.objects = ApiObjects(self._told)
        self.terminating = self.objects.terminating
        self._failures: list[Failure] = []
        # While it is not set, writes are done and told of, and their answers wait for it.
        self.keeps_answers: asyncio.Event | None = None
        # Parts of paths, and until when these are not looked at.
        self.hangs: list[tuple[str, asyncio.Event]] = []
        self._kept: list[web.Request] = []
        self._pages: dict[str, tuple[str, list[Manifest]]] = {}
        self._flowing = asyncio.Event()
        self._lists_open = asyncio.Event()
        self._gets_open = asyncio.Event()
        self._transports: set[asyncio.Transport] = set()
        self._runner: web.AppRunner | None = None
        self._news = asyncio.Condition()

    async def __aenter__(self) -> FakeApiServer:
        self._flowing.set()
        self._lists_open.set()
        self._gets_open.set()
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    # What is there.

    def put(self, manifest: Manifest) -> Manifest:
        """Create or replace, as another client would; returns what is stored, with its uid and resourceVersion."""
        place = place_of(manifest)
        if place not in self.objects.stored:
            created = self.objects.create(place, manifest)
            status = manifest.get("status")
            return self.objects.merge(place, {"status": status}, "status") if status else created
        metadata = {key: value for key, value in manifest["metadata"].items() if key not in {"uid", "resourceVersion"}}
        body = {**manifest, "metadata": metadata}
        current = self.objects.stored[place]["metadata"]["resourceVersion"]
        body["metadata"]["resourceVersion"] = current
        if "status" in manifest:
            self.objects.merge(place, {"status": manifest["status"]}, "status")
            body["metadata"]["resourceVersion"] = self.objects.stored[place]["metadata"]["resourceVersion"]
        return self.objects.replace(place, body)

    def remove(self, resource: Resource, name: str, namespace: str = "") -> None:
        """Delete, as another client would."""
        self.objects.delete(Place(resource.api_version, resource.plural, namespace, name))

    def get(self, resource: Resource, name: str, namespace: str = "") -> Manifest | None:
        """What is stored now, or None."""
        return self.objects.stored.get(Place(resource.api_version, resource.plural, namespace, name))

    def all(self, resource: Resource, namespace: str = "") -> list[Manifest]:
        """All that is stored of a resource."""
        return list(self.objects.of(resource.api_version, resource.plural, namespace))

    # What was asked.

    def writes(self) -> list[Asked]:
        """Requests that change something; those to `virtual` resources do not."""
        return [
            asked
            for asked in self.requests
            if asked.method in WRITES and asked.path.rsplit("/", 1)[-1] not in self.virtual
        ]

    async def asked(self, wanted: Callable[[Asked], bool], count: int = 1) -> None:
        """Return once `count` requests so far were as wanted."""
        await self.until(lambda: sum(map(wanted, self.requests)) >= count)

    async def watching(self, count: int = 1) -> None:
        """Return once so many watches are open."""
        await self.until(lambda: len(self.watches) >= count)

    async def until(self, true: Callable[[], bool], seconds: float = 10.0) -> None:
        """Return once something that requests change is true."""
        async with asyncio.timeout(seconds), self._news:
            await self._news.wait_for(true)

    # The weather.

    def fail_next(
        self,
        count: int,
        code: int = 500,
        *,
        retry_after: str = "",
        location: str = "",
        text: str = "",
        methods: set[str] | None = None,
    ) -> None:
        """Answer the next requests with a failure; with `text` its body is no metav1.Status."""
        reason = REASONS.get(code, "InternalError" if code >= 500 else "")
        only = frozenset(methods or ())
        self._failures.append(Failure(count, code, reason, retry_after, text, only, location))

    def conflict_next(self, count: int) -> None:
        """The next writes to something that exists get 409 Conflict."""
        self.fail_next(count, 409, methods=WRITES - {"POST"})

    def lose_answers(self, count: int) -> None:
        """Carry out the next writes, but drop the connection instead of answering."""
        self._failures.append(Failure(count, 0, methods=frozenset(WRITES), drop=True))

    def compact(self) -> None:
        """Every version and continue token so far is too old: 410 on the next watch or page."""
        self.objects.compact()
        self._pages.clear()

    def gone_in_watch(self) -> None:
        """Compact, and end each open watch with an ERROR event of code 410."""
        self.compact()
        self._command(GONE)

    def bookmark(self) -> None:
        """Send a bookmark to each watch that wants them, now."""
        self._command(BOOKMARK)

    def send_raw(self, data: bytes) -> None:
        """Write bytes into each open watch as they are."""
        self._command(data)

    def cut_watches(self) -> None:
        """End each open watch in order, as at its timeout."""
        self._command(CUT)

    def break_watches(self) -> None:
        """Drop the connections of open watches."""
        self._command(DROP)

    def drop_connections(self) -> None:
        """Drop every connection, those in use and those that are idle."""
        for transport in list(self._transports):
            transport.abort()
        self._transports.clear()

    def hang_watches(self) -> None:
        """Open watches, and those opened from now on, stay silent."""
        self._flowing.clear()

    def release_watches(self) -> None:
        self._flowing.set()

    def hold_lists(self) -> None:
        """Lists wait until `release_lists`."""
        self._lists_open.clear()

    def release_lists(self) -> None:
        self._lists_open.set()

    def hold_gets(self) -> None:
        """Answers to a GET of one object are made, and wait until `release_gets`."""
        self._gets_open.clear()

    def release_gets(self) -> None:
        self._gets_open.set()

    async def stop(self) -> None:
        """Refuse connections from now on, and drop those that stand."""
        self.drop_connections()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def start(self) -> None:
        """Listen; after `stop` on the same port."""
        app = web.Application(middlewares=[self._weather], client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        host = "localhost" if self.tls else "127.0.0.1"
        await web.TCPSite(self._runner, host, self.port, ssl_context=self.tls, reuse_address=True).start()
        self.port = self._runner.addresses[0][1]

    def kubeconfig(
        self, folder: Path, *, ca: Path | None = None, token: str | None = None, token_file: Path | None = None
    ) -> Path:
        """Write a kubeconfig that leads here, into `folder`."""
        cluster: dict[str, Any] = {"server": self.url} | ({"certificate-authority": str(ca)} if ca else {})
        user = {"tokenFile": str(token_file)} if token_file else {"token": token} if token else {}
        text = yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "fake",
                "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake"}}],
                "clusters": [{"name": "fake", "cluster": cluster}],
                "users": [{"name": "fake", "user": user}],
            }
        )
        path = folder / "kubeconfig"
        path.write_text(text, encoding="utf-8")
        return path

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}" if self.tls else f"http://127.0.0.1:{self.port}"

    @web.middleware
    async def _weather(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        query = dict(request.query)
        accept, agent = request.headers.get("Accept", ""), request.headers.get("User-Agent", "")
        self.requests.append(Asked(request.method, request.path, query, accept, agent))
        if isinstance(request.transport, asyncio.Transport):
            self._transports.add(request.transport)
        await self._notify()
        for part, released in self.hangs:
            if part in request.path and not released.is_set():
                await self._keep_back(request, released)
        try:
            self._admit(request)
            failure = self._failure(request.method)
            if failure is None:
                answer = await handler(request)
                if self.keeps_answers is not None and request.method not in {"GET", "HEAD"}:
                    await self._keep_back(request, self.keeps_answers)
                return answer
            if failure.drop:
                await handler(request)
                self.drop_connections()
            if failure.text:
                return web.Response(status=failure.code, text=failure.text)
            pairs = {"Retry-After": failure.retry_after, "Location": failure.location}
            headers = {key: value for key, value in pairs.items() if value}
            return status(failure.code or 500, failure.reason, "made to fail by the test", headers)
        except RefusedError as refused:
            return status(refused.code, refused.reason, refused.message)

    async def _keep_back(self, request: web.Request, until: asyncio.Event) -> None:
        self._kept.append(request)
        await until.wait()
        self._kept.remove(request)

    @property
    def kept(self) -> int:
        """How many answers are kept back whose clients still wait: a test that waits for answers does not for these."""
        return sum(request.transport is not None and not request.transport.is_closing() for request in self._kept)

    def _admit(self, request: web.Request) -> None:
        if self.token is not None and request.headers.get("Authorization") != f"Bearer {self.token}":
            raise RefusedError(401, "Unauthorized", "Unauthorized")
        if any(request.path.startswith(prefix) for prefix in self.forbidden):
            raise RefusedError(403, "Forbidden", f'"{request.path}" is forbidden: User "fake" cannot do that')

    def _failure(self, method: str) -> Failure | None:
        for failure in self._failures:
            if failure.count and (not failure.methods or method in failure.methods):
                failure.count -= 1
                return failure
        return None

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        place, subresource = parse(request.path)
        if place.plural in self.absent:
            # What a real one says of a group it does not know.
            return web.Response(status=404, text="404 page not found\n")
        if request.method == "GET":
            return await self._read(request, place)
        body = json.loads(await request.read() or b"{}")
        if request.method == "POST":
            if place.plural in self.virtual:
                return web.json_response(self.virtual[place.plural](body), status=201)
            return web.json_response(self.objects.create(place, body), status=201)
        if request.method == "PUT":
            return web.json_response(self.objects.replace(place, body, subresource))
        if request.method == "PATCH":
            if request.content_type != "application/merge-patch+json":
                raise RefusedError(415, "UnsupportedMediaType", "only application/merge-patch+json")
            return web.json_response(self.objects.merge(place, body, subresource))
        if request.method == "DELETE":
            preconditions = body.get("preconditions") or {}
            self.objects.delete(place, preconditions.get("uid"), preconditions.get("resourceVersion"))
            return web.json_response({"kind": "Status", "apiVersion": "v1", "status": "Success"})
        raise RefusedError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")

    async def _read(self, request: web.Request, place: Place) -> web.StreamResponse:
        watch = request.query.get("watch") in {"1", "true"}
        metadata_only = negotiated(request.headers.get("Accept", ""), is_list=not place.name and not watch)
        if place.name:
            found = self.objects.found(place)
            answer = web.json_response(partial(found) if metadata_only else found)
            await self._gets_open.wait()
            return answer
        chosen = Filter.parse(place, request.query, metadata_only=metadata_only)
        if watch:
            return await self._watch(request, chosen)
        await self._lists_open.wait()
        return web.json_response(self._list(request, chosen))

    def _list(self, request: web.Request, chosen: Filter) -> Manifest:
        token = request.query.get("continue", "")
        if token and self.pages_expire:
            self.pages_expire -= 1
            self._pages.clear()
        if token and token not in self._pages:
            raise RefusedError(410, "Expired", "The provided continue parameter is too old")
        at, items = self._pages.get(token) or (str(self.objects.version), list(chosen.select(self.objects)))
        limit = int(request.query.get("limit") or len(items) or 1)
        metadata: dict[str, Any] = {"resourceVersion": at}
        if len(items) > limit:
            metadata["continue"] = f"page-{len(self._pages) + 1}-{at}"
            metadata["remainingItemCount"] = len(items) - limit
            self._pages[metadata["continue"]] = (at, items[limit:])
        return chosen.page(items[:limit], metadata)

    async def _watch(self, request: web.Request, chosen: Filter) -> web.StreamResponse:
        watch = Watch(chosen, request, self.objects, self._flowing)
        watch.start(request.query.get("resourceVersion", ""))
        watch.limit(self.cut_after_events, self.cut_after, self.bookmark_every)
        # Before the first await: a change from now on is in the queue.
        self.watches.append(watch)
        try:
            await watch.response.prepare(request)
            await self._notify()
            await watch.run()
        finally:
            self.watches.remove(watch)
            await self._notify()
        return watch.response

    async def _notify(self) -> None:
        async with self._news:
            self._news.notify_all()

    def _told(self, change: Change) -> None:
        for watch in self.watches:
            watch.queue.put_nowait(change)

    def _command(self, command: bytes | str) -> None:
        for watch in self.watches:
            watch.queue.put_nowait(command)
