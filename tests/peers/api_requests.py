"""The requests to a fake API server, and its refusals."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from tests.peers.api_objects import Place, RefusedError


@dataclass(frozen=True)
class Asked:
    """One request as it arrived; also those that were refused."""

    method: str
    path: str
    query: dict[str, str]
    accept: str = ""
    user_agent: str = ""

    @property
    def watch(self) -> bool:
        return self.query.get("watch") in {"1", "true"}


@dataclass
class Failure:
    """What the next requests get for an answer. `methods` empty: all of them. `drop`: after it was carried out."""

    count: int
    code: int
    reason: str = ""
    retry_after: str = ""
    text: str = ""
    methods: frozenset[str] = frozenset()
    location: str = ""
    drop: bool = False


def status(code: int, reason: str, message: str, headers: dict[str, str] | None = None) -> web.Response:
    """A metav1.Status of failure."""
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason}
    return web.json_response(body | {"message": message}, status=code, headers=headers)


def negotiated(accept: str, *, is_list: bool) -> bool:
    """Whether PartialObjectMetadata was asked for, in the form that fits the request."""
    if ";as=" not in accept:
        return False
    wanted = "PartialObjectMetadataList" if is_list else "PartialObjectMetadata"
    if f";as={wanted};g=meta.k8s.io;v=v1" not in accept:
        raise RefusedError(406, "NotAcceptable", f"only {wanted} fits this request")
    return True


def parse(path: str) -> tuple[Place, str]:
    """/api/v1/..., /apis/GROUP/VERSION/...: the place and the subresource."""
    parts = path.strip("/").split("/")
    if parts[0] not in {"api", "apis"} or len(parts) < (3 if parts[0] == "api" else 4):
        raise RefusedError(404, "NotFound", "the server could not find the requested resource")
    cut = 2 if parts[0] == "api" else 3
    api_version, rest = "/".join(parts[1:cut]), parts[cut:]
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    plural, name, subresource, *_ = [*rest, "", ""]
    return Place(api_version, plural, namespace, name), subresource
