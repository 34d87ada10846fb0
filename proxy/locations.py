"""URLs in response heads: the tool's own origin becomes the address that the client used; others are left alone."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from connectors.http.message import MessageError
from connectors.objects.addresses import Address
from connectors.objects.reasons import Reason
from proxy.decision import Forward, Mount

# References in one head, twice as many as it has fields. A page of links has four, a page with its preloads a hundred;
# 64 KiB of `<../>` hold 13,000.
MAX_REFERENCES: Final = 256
# Bytes by which they may grow together: what the client gets is at most twice as long as a head of the tool's may be.
# A reference of two bytes that climbs becomes as long as the caller's path.
MAX_GROWTH: Final = 64 * 1024

_URL = re.compile(rb"(?:(https?):)?//([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)
_AUTHORITY = re.compile(rb"([^:@\[\]]+|\[[^\[\]@]*\])(?::([0-9]{0,5}))?")
_NETWORK_PATH = re.compile(rb"/[/\\]")
_PATH_END = re.compile(rb"[?#]")
_DOT = re.compile(rb"\.|%2e", re.IGNORECASE)
_SLASH = re.compile(rb"[/\\]")
_DOT_SEGMENT = re.compile(rb"(?<![^/\\])(?:\.|%2e){1,2}(?![^/\\])", re.IGNORECASE)
_SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*:")
# Dots of the segment that leads up.
_UP = 2
_DEFAULT_PORTS = {b"http": 80, b"https": 443}
_SCHEMES = {"http": b"http", "https": b"https"}


# What stands in one head is bounded, whatever the tool writes (threat 31): a head that fits the limits took 28 s.
class UriReferences:
    """The URI references of one response head on their way to the client. `scheme` is that of the client's URL."""

    __slots__ = ("_base", "_count", "_growth", "forward", "scheme")

    def __init__(self, forward: Forward, scheme: str) -> None:
        self.forward = forward
        self.scheme = scheme
        self._base: _Base | None = None
        self._count = 0
        self._growth = 0

    def count(self, more: int) -> None:
        """So many more are to be read.

        Raises:
            MessageError: the head has more than MAX_REFERENCES.
        """
        self._count += more
        if self._count > MAX_REFERENCES:
            message = f"the tool's response head has more than {MAX_REFERENCES} addresses"
            raise MessageError(message, Reason.UPSTREAM_PROTOCOL)

    def grown(self, before: bytes, after: bytes) -> bytes:
        """`after`, which stands where `before` stood.

        Raises:
            MessageError: what the client would get is longer than the tool's head by more than MAX_GROWTH bytes.
        """
        self._growth += max(0, len(after) - len(before))
        if self._growth > MAX_GROWTH:
            message = f"the addresses in the tool's response head would grow by more than {MAX_GROWTH} bytes"
            raise MessageError(message, Reason.UPSTREAM_PROTOCOL)
        return after

    def location(self, value: bytes) -> bytes:
        """A URI reference of the tool's (RFC 9110 section 10.2.2), as the client must see it.

        The tool's own origin is matched exactly: scheme, host and port (RFC 6454 section 4). What lies outside of the
        address's path prefix is not the Connector's to serve: it stays, or becomes, an absolute URL of the tool.

        Raises:
            MessageError: as `grown`.
        """
        # Clients drop tabs, and spaces around it, before they read a URL (WHATWG URL, "basic URL parser").
        read = value.replace(b"\t", b"").strip(b" ")
        forward = self.forward
        # As most tools write their own; the long way makes the same of it.
        scheme, own, path = read.partition(forward.target.address.root)
        if own and not scheme and path[:1] == b"/":
            mapped = map_path(path, forward.mounts)
            return value if mapped is None else self.grown(value, _on_proxy(mapped, forward, self.scheme))
        rewritten = self._rewritten(read)
        return value if rewritten == read else self.grown(value, rewritten)

    def _rewritten(self, value: bytes) -> bytes:
        forward = self.forward
        absolute = _URL.fullmatch(value)
        if absolute is None:
            if value.startswith(b"/"):
                return _relative(value, map_path(value, forward.mounts), forward, self.scheme)
            rooted = self._from_base(value)
            # It has no dot segments any more: to look for them costs as much as the caller's path is long.
            mapped = None if rooted is None else _mounted(rooted, forward.mounts)
            return value if rooted is None else _relative(rooted, mapped, forward, self.scheme)
        scheme = (absolute[1] or forward.target.address.scheme.encode()).lower()
        rest: bytes = absolute[3]
        mapped = map_path(rest if rest.startswith(b"/") else b"/" + rest, forward.mounts)
        if mapped is not None and _is_own(forward.target.address, scheme, absolute[2]):
            return _on_proxy(mapped, forward, self.scheme)
        # `//host/x` means the tool's scheme; the client would read it as its own.
        return value if absolute[1] else scheme + b":" + value

    def _from_base(self, value: bytes) -> bytes | None:
        """The tool's path that a relative reference means, where the client would come to another (RFC 3986 section 5).

        That is where it climbs, and where the client's path has no directory of the Connector's own to begin in.
        """
        if not value or value[:1] in (b"?", b"#") or _SCHEME.match(value):
            return None
        mount = self.forward.mounts[0]
        if mount.client == mount.tool:
            return None
        base = self._base
        if base is None:
            base = self._base = _base_of(self.forward)
        return base.resolved(value) if base.at_root or _climbs(value) else None


class _Base(NamedTuple):
    """The directory of a request's target (RFC 3986 section 5.2.3), taken apart once for all references of a head.

    `plain` is `directory` without dot segments, `dotted` says that it had some; `at_root` as the function below.
    """

    directory: bytes
    plain: bytes
    dotted: bool
    at_root: bool

    def resolved(self, reference: bytes) -> bytes:
        """The path that a relative reference comes to, without dot segments: as _without_dots would say of both.

        Costs as much as the reference is long, and one copy of the directory.
        """
        path = _path_of(reference)
        if not self.dotted and not _DOT_SEGMENT.search(path):
            return self.directory + b"/" + reference
        end, kept = len(self.plain), list[bytes]()
        segments = _SLASH.split(path)
        for segment in segments:
            dots = _dots(segment)
            if dots == _UP and kept:
                kept.pop()
            elif dots == _UP:
                end = max(self.plain.rfind(b"/", 0, end), 0)
            elif not dots:
                kept.append(segment)
        if _dots(segments[-1]):
            kept.append(b"")  # the directory itself, with its slash
        return self.plain[:end] + b"/" + b"/".join(kept) + reference[len(path) :]


def _base_of(forward: Forward) -> _Base:
    directory = forward.request_target.partition(b"?")[0].rpartition(b"/")[0]
    dotted = _DOT_SEGMENT.search(directory) is not None
    plain = b"".join([b"/" + segment for segment in _kept(_SLASH.split(directory)[1:])])
    return _Base(directory, plain, dotted, at_root(forward))


def map_path(path: bytes, mounts: tuple[Mount, ...]) -> bytes | None:
    """The client's path for a path of the tool's; None if no mount covers it. Whole segments only (threat 29)."""
    client, tool = mounts[0]
    if not (client or tool) and path[:1] == b"/":
        return path  # as the loop would find, of most Connectors
    return _mounted(_without_dots(path) if client != tool else path, mounts)


def _mounted(path: bytes, mounts: tuple[Mount, ...]) -> bytes | None:
    """As map_path, of a path that has no dot segments where that matters."""
    for client, tool in mounts:
        rest = path[len(tool) :]
        if path.startswith(tool) and (not rest or rest[:1] in (b"/", b"?", b"#")):
            return client + rest
    return None


def at_root(forward: Forward) -> bool:
    """Whether the client's path ends with the Connector's name: its directory is then that of all the Connectors."""
    path = forward.request_target.partition(b"?")[0]
    roots = (forward.target.address.path or b"/", forward.mounts[0].tool + b"/")
    return bool(forward.mounts[-1].client) and path in roots


def _climbs(reference: bytes) -> bool:
    return any(_dots(segment) == _UP for segment in _SLASH.split(_path_of(reference)))


def _without_dots(path: bytes) -> bytes:
    """An absolute path without its dot segments (RFC 3986 section 5.2.4); query and fragment stay.

    As clients read them: `%2e` is a dot too, and `\\` a slash (WHATWG URL, "path state").
    """
    plain = _path_of(path)
    if not _DOT_SEGMENT.search(plain):
        return path
    segments = _SLASH.split(plain)[1:]
    kept = _kept(segments)
    if _dots(segments[-1]):
        kept.append(b"")  # the directory itself, with its slash
    return b"/" + b"/".join(kept) + path[len(plain) :]


def _kept(segments: list[bytes]) -> list[bytes]:
    """The segments that are left when each dot segment has had its effect (RFC 3986 section 5.2.4)."""
    kept: list[bytes] = []
    for segment in segments:
        dots = _dots(segment)
        if dots == _UP:
            del kept[-1:]
        elif not dots:
            kept.append(segment)
    return kept


def _path_of(reference: bytes) -> bytes:
    return _PATH_END.split(reference, maxsplit=1)[0]


def _dots(segment: bytes) -> int:
    """How many dots a dot segment has, 0 for any other."""
    return len(_DOT.findall(segment)) if _DOT_SEGMENT.fullmatch(segment) else 0


def _relative(value: bytes, mapped: bytes | None, forward: Forward, client_scheme: str) -> bytes:
    if mapped is None:
        return forward.target.address.scheme.encode() + b"://" + forward.target.address.authority + value
    # A path that now starts with `//`, or what clients read so, would be taken for a host: it must be said in full.
    needs_origin = mapped != value and _NETWORK_PATH.match(mapped) is not None
    return _on_proxy(mapped, forward, client_scheme) if needs_origin else _rooted(mapped)


def _on_proxy(mapped: bytes, forward: Forward, client_scheme: str) -> bytes:
    path, authority = _rooted(mapped), forward.authority
    return _SCHEMES[client_scheme] + b"://" + authority + path if authority else path


def _rooted(path: bytes) -> bytes:
    return path if path.startswith(b"/") else b"/" + path


def _is_own(address: Address, scheme: bytes, authority: bytes) -> bool:
    if authority == address.authority and scheme == _SCHEMES[address.scheme]:
        return True  # as most tools write it
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        return False
    host = match[1].strip(b"[]").lower().rstrip(b".")
    port = int(match[2]) if match[2] else _DEFAULT_PORTS[scheme]
    own = (_SCHEMES[address.scheme], address.host.rstrip(".").encode(), address.port)
    return (scheme, host, port) == own
