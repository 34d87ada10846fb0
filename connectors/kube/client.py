"""Requests to the API server: raw JSON in and out, every failure one of connectors/kube/errors.py."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec
from msgspec import Raw, Struct

from connectors.kube.access import Access, Endpoint
from connectors.kube.errors import ConflictError, InvalidError, UnavailableError, UnreadableError, failure
from connectors.kube.nesting import decode
from connectors.kube.resources import Resource
from connectors.kube.transport import KubeRequest, Transport
from connectors.process.clock import Clock, SystemClock

# Bytes of a line of a watch, which is one object. etcd takes 1.5 MiB by default; JSON may write it several times as
# long.
LINE_LIMIT = 16 * 1024 * 1024


class LineTooLongError(Exception):
    """A line is longer than LINE_LIMIT: no API server sends such a line."""


class Lines:
    """Cuts a stream into lines, whatever its pieces are."""

    __slots__ = ("_held", "_size")

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._size = 0

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The lines that `piece` completes, without their ends; empty lines are left out.

        Raises:
            LineTooLongError: see there.
        """
        first, *others = piece.split(b"\n")
        self._hold(first)
        for part in others:
            line = b"".join(self._held)
            self._held, self._size = [], 0
            self._hold(part)
            if line.strip():
                yield line

    @property
    def partial(self) -> bool:
        """Whether the stream stands inside a line."""
        return self._size > 0

    def _hold(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > LINE_LIMIT:
            raise LineTooLongError(f"a line of a watch is longer than {LINE_LIMIT} bytes")
        if part:
            self._held.append(part)


# Seconds for a request other than a list or a watch.
REQUEST_TIMEOUT = 10.0

# Seconds for a page of a list: the API server itself gives up on a request after that time.
LIST_TIMEOUT = 60.0

# Seconds without a byte after which a watch is opened again: it may be dead, and TCP would not tell for many minutes.
#
# Bookmarks usually come about every minute. Kubernetes 1.20 sends those of a quiet resource later, so
# silence is not a failure.
WATCH_SILENCE = 90.0

_PARTIAL_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_PARTIAL = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"


@dataclass(frozen=True, slots=True)
class Selector:
    """Which objects of a resource: of one namespace ("" for all), by labels, by fields (metav1.ListOptions)."""

    namespace: str = ""
    labels: str = ""
    fields: str = ""

    @property
    def query(self) -> dict[str, str]:
        """The parameters of a request, those left out that are empty."""
        pairs = {"labelSelector": self.labels, "fieldSelector": self.fields}
        return {key: value for key, value in pairs.items() if value}


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list. `more` is the continue token, empty on the last page."""

    items: tuple[Raw, ...]
    resource_version: str
    more: str = ""


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One line of a watch. `kind` is ADDED, MODIFIED, DELETED or BOOKMARK; ERROR events are raised instead."""

    kind: str
    raw: Raw


class _ListMeta(Struct, frozen=True, rename="camel"):
    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class _List(Struct, frozen=True):
    metadata: _ListMeta = _ListMeta()
    # Go writes a nil slice as null.
    items: list[Raw] | None = None


class _Line(Struct, frozen=True):
    type: str
    object: Raw


_LIST = msgspec.json.Decoder(_List)
_LINE = msgspec.json.Decoder(_Line)


class KubeClient:
    """One session with one API server.

    The credentials and the CA are read again when their files change, and at once after a 401 or a failed handshake;
    the request is then repeated once. `requests` counts by (verb, plural, HTTP code); code "0" means no answer. Every
    method raises ValueError for a name that no path can hold (connectors/kube/resources.py).
    """

    def __init__(
        self,
        access: Access,
        *,
        user_agent: str = "connectors",
        clock: Clock | None = None,
        watch_silence: float = WATCH_SILENCE,
        request_timeout: float = REQUEST_TIMEOUT,
    ) -> None:
        """`user_agent`: `connectors/VERSION (NAME)`. `watch_silence` and `request_timeout` are in seconds."""
        self._transport = Transport(access, user_agent, clock or SystemClock())
        self._timeout = aiohttp.ClientTimeout(total=request_timeout, sock_connect=request_timeout)
        self._list_timeout = aiohttp.ClientTimeout(total=LIST_TIMEOUT, sock_connect=request_timeout)
        self._watch_timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=request_timeout, connect=request_timeout, sock_read=watch_silence
        )
        self.requests = self._transport.requests

    async def start(self) -> None:
        """Read the access and open the session; no request is sent.

        Raises:
            AccessError: there is no usable kubeconfig or ServiceAccount.
        """
        await self._transport.start()

    @property
    def endpoint(self) -> Endpoint | None:
        """The API server that is asked; None before `start` and after `close`."""
        connection = self._transport.connection
        return connection.endpoint if connection else None

    def on_renewal(self, tell: Callable[[], None]) -> None:
        """Call `tell` whenever the credential or the CA was read again and has changed."""
        self._transport.on_renewal(tell)

    async def close(self) -> None:
        """Close every connection; running requests fail with UnavailableError."""
        await self._transport.close()

    async def get(self, resource: Resource, name: str, namespace: str = "") -> bytes:
        """One object as JSON.

        Raises:
            KubeError: NotFoundError and the others of errors.py.
        """
        return await self._ask(KubeRequest("get", "GET", resource.plural, resource.object_path(namespace, name)))

    async def document(self, path: str, most: int) -> bytes:
        """What is published at a path that is no object's, as the server's keys are: at most `most` bytes.

        Raises:
            KubeError: UnreadableError if there are more, NotFoundError and the others of errors.py.
        """
        # The server compares the media type that it has with those asked for, and knows no other.
        accept = "application/json, application/jwk-set+json"
        answer = await self._transport.open(KubeRequest("get", "GET", path, path, accept=accept), self._timeout)
        try:
            read = bytearray()
            while piece := await answer.piece():
                read += piece
                if len(read) > most:
                    raise UnreadableError(f"{path} of the API server is longer than {most} bytes")
            return bytes(read)
        finally:
            await answer.close()

    async def create(self, resource: Resource, body: dict[str, Any], namespace: str = "") -> bytes:
        """POST. Returns the object as the server stored it.

        Raises:
            KubeError: AlreadyExistsError, ForbiddenError, InvalidError and the others of errors.py.
        """
        return await self._ask(KubeRequest("create", "POST", resource.plural, resource.path(namespace), body=body))

    async def replace(self, resource: Resource, body: dict[str, Any], subresource: str = "") -> bytes:
        """PUT of the object that body's metadata names; metadata.resourceVersion and uid are preconditions.

        Raises:
            KubeError: ConflictError, NotFoundError and the others of errors.py.
        """
        metadata = body["metadata"]
        path = resource.object_path(metadata.get("namespace", ""), metadata["name"], subresource)
        return await self._ask(KubeRequest("update", "PUT", resource.plural, path, body=body))

    async def merge(self, resource: Resource, name: str, patch: dict[str, Any], namespace: str = "") -> bytes:
        """PATCH with a JSON merge patch (RFC 7396); a metadata.resourceVersion or uid in it is a precondition.

        Raises:
            KubeError: as `replace`.
        """
        path = resource.object_path(namespace, name)
        media_type = "application/merge-patch+json"
        try:
            return await self._ask(
                KubeRequest("patch", "PATCH", resource.plural, path, body=patch, media_type=media_type)
            )
        except InvalidError as error:
            # A PUT answers 409 to another uid, a PATCH 422 "field is immutable".
            if patch.get("metadata", {}).get("uid") and "metadata.uid" in str(error):
                raise ConflictError(409, "Conflict", str(error)) from None
            raise

    async def delete(
        self, resource: Resource, name: str, namespace: str = "", *, uid: str = "", resource_version: str = ""
    ) -> None:
        """DELETE in the background, with preconditions where given.

        Raises:
            KubeError: ConflictError where a precondition does not hold, NotFoundError and the others of errors.py.
        """
        pairs = {"uid": uid, "resourceVersion": resource_version}
        body: dict[str, Any] = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        if uid or resource_version:
            body["preconditions"] = {key: value for key, value in pairs.items() if value}
        path = resource.object_path(namespace, name)
        await self._ask(KubeRequest("delete", "DELETE", resource.plural, path, body=body))

    async def list_page(
        self, resource: Resource, selector: Selector, *, limit: int, more: str = "", metadata_only: bool = False
    ) -> Page:
        """One page of a list, of at most `limit` objects (0: all); `metadata_only` asks for PartialObjectMetadata.

        Raises:
            KubeError: GoneError where the continue token is too old, and the others of errors.py.
        """
        query = selector.query | ({"limit": str(limit)} if limit else {}) | ({"continue": more} if more else {})
        accept = _PARTIAL_LIST if metadata_only else "application/json"
        path = resource.path(selector.namespace)
        body = await self._ask(
            KubeRequest("list", "GET", resource.plural, path, query, accept=accept), self._list_timeout
        )
        try:
            page = decode(body, _LIST)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise UnavailableError(f"the answer to a list of {resource.plural} is not a list") from None
        return Page(tuple(page.items or ()), page.metadata.resource_version, page.metadata.continue_)

    async def watch(
        self,
        resource: Resource,
        selector: Selector,
        resource_version: str,
        *,
        timeout: int,  # noqa: ASYNC109 - the server's, not ours
        metadata_only: bool = False,
        opened: Callable[[], None] | None = None,
    ) -> AsyncGenerator[WatchEvent, None]:
        """Events after `resource_version`, with bookmarks; ends when the server ends it, at most `timeout` seconds on.

        `opened` is called when the server has accepted it. A caller that stops early closes it (contextlib.aclosing).

        Raises:
            KubeError: GoneError for a version that is too old (as an HTTP status or as an ERROR event),
                SilentError if nothing comes for `watch_silence`, UnavailableError if the connection breaks.
        """
        query = selector.query | {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(timeout),
        }
        accept = _PARTIAL if metadata_only else "application/json"
        path = resource.path(selector.namespace)
        request = KubeRequest("watch", "GET", resource.plural, path, query, accept=accept)
        answer = await self._transport.open(request, self._watch_timeout)
        try:
            if opened is not None:
                opened()
            lines = Lines()
            while piece := await answer.piece():
                for line in lines.feed(piece):
                    yield _event(line)
            if lines.partial:
                raise UnavailableError("the watch ended within a line")
        except LineTooLongError as error:
            raise UnavailableError(str(error)) from None
        finally:
            await answer.close()

    async def _ask(self, request: KubeRequest, limits: aiohttp.ClientTimeout | None = None) -> bytes:
        answer = await self._transport.open(request, limits or self._timeout)
        try:
            return await answer.read()
        finally:
            await answer.close()


def _event(line: bytes) -> WatchEvent:
    try:
        event = decode(line, _LINE)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise UnavailableError("a line of the watch is not an event") from None
    if event.type == "ERROR":
        raise failure(0, bytes(event.object))
    return WatchEvent(event.type, event.object)
