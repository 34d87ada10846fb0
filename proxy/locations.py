"""URLs in response heads: the tool's own origin becomes the address that the client used; others are left alone."""

from __future__ import annotations

import re

from connectors.objects.addresses import Address
from proxy.decision import Forward, Mount

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


def rewrite_location(value: bytes, forward: Forward, client_scheme: str) -> bytes:
    """A URI reference of the tool's (RFC 9110 section 10.2.2), as the client must see it.

    The tool's own origin is matched exactly: scheme, host and port (RFC 6454 section 4). What lies outside of the
    address's path prefix is not the Connector's to serve: it stays, or becomes, an absolute URL of the tool.
    """
    # Clients drop tabs, and spaces around it, before they read a URL (WHATWG URL, "basic URL parser").
    read = value.replace(b"\t", b"").strip(b" ")
    # As most tools write their own; the long way makes the same of it.
    scheme, own, path = read.partition(forward.target.address.root)
    if own and not scheme and path[:1] == b"/":
        mapped = map_path(path, forward.mounts)
        return value if mapped is None else _on_proxy(mapped, forward, client_scheme)
    rewritten = _rewritten(read, forward, client_scheme)
    return value if rewritten == read else rewritten


def _rewritten(value: bytes, forward: Forward, client_scheme: str) -> bytes:
    absolute = _URL.fullmatch(value)
    if absolute is None:
        rooted = value if value.startswith(b"/") else _from_base(value, forward)
        return value if rooted is None else _relative(rooted, forward, client_scheme)
    scheme = (absolute[1] or forward.target.address.scheme.encode()).lower()
    rest: bytes = absolute[3]
    mapped = map_path(rest if rest.startswith(b"/") else b"/" + rest, forward.mounts)
    if mapped is not None and _is_own(forward.target.address, scheme, absolute[2]):
        return _on_proxy(mapped, forward, client_scheme)
    # `//host/x` means the tool's scheme; the client would read it as its own.
    return value if absolute[1] else scheme + b":" + value


def map_path(path: bytes, mounts: tuple[Mount, ...]) -> bytes | None:
    """The client's path for a path of the tool's; None if no mount covers it. Whole segments only (threat 29)."""
    client, tool = mounts[0]
    if not (client or tool) and path[:1] == b"/":
        return path  # as the loop would find, of most Connectors
    if client != tool:
        path = _without_dots(path)
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


def _from_base(value: bytes, forward: Forward) -> bytes | None:
    """The tool's path that a relative reference means, where the client would come to another one (RFC 3986 section 5).

    That is where it climbs, and where the client's path has no directory of the Connector's own to begin in.
    """
    if not value or value[:1] in (b"?", b"#") or _SCHEME.match(value):
        return None
    mount = forward.mounts[0]
    if mount.client == mount.tool or not (_climbs(value) or at_root(forward)):
        return None
    directory = forward.request_target.partition(b"?")[0].rpartition(b"/")[0]
    return _without_dots(directory + b"/" + value)


def _climbs(reference: bytes) -> bool:
    return any(_dots(segment) == _UP for segment in _SLASH.split(_path_of(reference)))


def _without_dots(path: bytes) -> bytes:
    """An absolute path without its dot segments (RFC 3986 section 5.2.4); query and fragment stay.

    As clients read them: `%2e` is a dot too, and `\\` a slash (WHATWG URL, "path state").
    """
    plain = _path_of(path)
    if not _DOT_SEGMENT.search(plain):
        return path
    kept: list[bytes] = []
    segments = _SLASH.split(plain)[1:]
    for segment in segments:
        dots = _dots(segment)
        if dots == _UP:
            del kept[-1:]
        elif not dots:
            kept.append(segment)
    if _dots(segments[-1]):
        kept.append(b"")  # the directory itself, with its slash
    return b"/" + b"/".join(kept) + path[len(plain) :]


def _path_of(reference: bytes) -> bytes:
    return _PATH_END.split(reference, maxsplit=1)[0]


def _dots(segment: bytes) -> int:
    """How many dots a dot segment has, 0 for any other."""
    return len(_DOT.findall(segment)) if _DOT_SEGMENT.fullmatch(segment) else 0


def _relative(value: bytes, forward: Forward, client_scheme: str) -> bytes:
    mapped = map_path(value, forward.mounts)
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
