"""URLs and paths in request fields: the client's address of the Connector becomes the tool's, as in the request-target.

The path prefix of a Connector's address is a boundary here too (threat 37). What is decided depends on the header
block, on the part of the path that named the Connector, and on objects; never on the rest of the path, nor on the
query. So it is remembered with the block (docs/decisions/remembering.md). Fields that are looked at for another reason
stand in the same table: what they hold is decided by the block alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from connectors.http.message import MessageError, RequestHead
from connectors.http.target import climbs
from connectors.objects.addresses import DEFAULT_PORTS
from proxy.callers.tokens import WEBSOCKET_PROTOCOL, without_bearer_protocol
from proxy.decision import Forward

# A URL of http or https, or what stands behind its authority. Without what ends a URL elsewhere (`"`, `<`, `>`, `#`), a
# slash to some (`\`), and control characters. Blanks and bytes outside ASCII are there, since clients send them.
_REFERENCE = re.compile(
    rb"(?:(https?)://([^/?#\"<>\\\0- \x7f]*+))?([^?#\"<>\\\0-\x1f\x7f]*+)(\?[^#\"<>\\\0-\x1f\x7f]*+)?", re.IGNORECASE
)
_AUTHORITY = re.compile(rb"([^:@\[\]]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{0,5}))?")
# The condition lists of If (RFC 4918 section 10.4.2). Stricter than its grammar where readers differ on where a list
# ends: no parenthesis in a state token, neither parenthesis nor bracket in an entity tag.
_CONDITION = rb"(?:Not[ \t]*+)?(?:<[^<>()]++>|\[[^<>()\[\]]*+\])[ \t]*+"
_LISTS = rb"(?:\([ \t]*+(?:%b)++\)[ \t]*+)++" % _CONDITION
# Parts of an If, two for each tag. A client names the resources that it holds locks on; looking at one costs 4 us, so
# that a head full of them would hold up all others.
_MAX_TAGS = 200
_TAGGED_LISTS = re.compile(rb"(?:<([^<>]*+)>[ \t]*+)?(%b)" % _LISTS, re.IGNORECASE)
# Folded names of fields that say which method is meant, to tools that read them (Rails, OData, Spring). Of their values
# those are refused that make a server show a request, the credential included (RFC 9110 section 9.3.8); TRACK is IIS's.
METHOD_OVERRIDES = frozenset({b"x-http-method-override", b"x-http-method", b"x-method-override"})
_REFLECTING = re.compile(rb"(?<![A-Za-z])TRAC[EK](?![A-Za-z])", re.IGNORECASE)


def field_for_tool(name: bytes, value: bytes, forward: Forward) -> bytes | None:
    """The value of a field of `LOOKED_AT`, with its folded name, for the tool; None where the field is not passed on.

    Raises:
        MessageError: it names a place outside of the Connector's address, or what no request may ask for.
    """
    return _CHANGES[name](value, forward)


def require_once(head: RequestHead) -> None:
    """Of two places to write to, tools take the first or the last, or join them.

    Raises:
        MessageError: Destination stands there twice.
    """
    if len(head.values(b"destination")) > 1:
        raise MessageError("Destination may stand only once")


# Destination (RFC 4918 section 10.3): where COPY and MOVE write to, with the credential.
def _destination(value: bytes, forward: Forward) -> bytes:
    return _within(b"Destination", value, forward)


# If (RFC 4918 section 10.4): conditions on resources, by tags in `<>` before their lists.
#
# What stands in a list stays: a state token looks like a URL and is a name that the tool gave.
def _if(value: bytes, forward: Forward) -> bytes:
    made: list[bytes] = []
    position = 0
    while position < len(value):
        found = _TAGGED_LISTS.match(value, position)
        if found is None or len(made) > _MAX_TAGS:
            raise MessageError("If is not a short list of conditions as in RFC 4918 section 10.4.2")
        tag: bytes | None = found[1]
        start = found.start()
        if tag is not None:
            made.append(b"<" + _within(b"If", tag, forward))
            start = found.end(1)
        made.append(value[start : found.end()])
        position = found.end()
    return b"".join(made)


# Origin (RFC 6454 section 7) and Referer (RFC 9110 section 10.1.3), by which tools tell their own pages from others'.
#
# They name no place to act on, so one that is not the Connector's address stays, and is foreign to the tool as it was.
def _origin(value: bytes, forward: Forward) -> bytes:
    found = _REFERENCE.fullmatch(value)
    own = found is not None and not (found[3] or found[4]) and _is_clients(found, forward)
    return forward.target.address.root if own else value


def _referer(value: bytes, forward: Forward) -> bytes:
    found = _REFERENCE.fullmatch(value)
    if found is None or not _is_clients(found, forward) or climbs(found[3]):
        return value
    path = _tool_path(found[3] or b"/", forward)
    return value if path is None else forward.target.address.root + path + (found[4] or b"")


# Where tools copy or rename from, by paths of their own: of object stores that begin with the bucket or container.
# They cannot be mapped, since no client writes its own address there.
def _source(value: bytes, forward: Forward) -> bytes:
    address = forward.target.address
    if not address.prefix:
        return value
    found = _REFERENCE.fullmatch(value)
    path = None if found is None else found[3]
    if found is not None and path is not None and not climbs(path):
        own = not found[1] or _is_tools(found, forward)
        if own and _is_below(b"/" + path.removeprefix(b"/"), address.prefix):
            return value
    raise _outside(b"the source to copy from")


def _method(value: bytes, _: Forward) -> bytes:
    if _REFLECTING.search(value):
        raise MessageError("TRACE is refused, by whatever field: a tool that answers it would show the credential")
    return value


def _within(name: bytes, value: bytes, forward: Forward) -> bytes:
    """A URI reference to a place of the Connector's, as the tool must see it: in the form in which it was sent.

    The tool's own URLs below the prefix pass: tools show them to clients, in bodies for example.

    Raises:
        MessageError: the place is not below the Connector's address, or may not be for some reader.
    """
    found = _REFERENCE.fullmatch(value)
    if found is None or climbs(found[3]):
        raise _outside(name)
    path: bytes = found[3]
    address = forward.target.address
    if not found[1] and not path.startswith(b"/"):
        # Relative, which RFC 4918 does not know and CouchDB wants. To what, tools do not agree; only where the
        # address has no prefix is every answer within it. A colon could end a scheme.
        if path and not address.prefix and b":" not in path:
            return value
        raise _outside(name)
    if found[1] and _is_tools(found, forward) and _is_below(path, address.prefix):
        return value
    # A path that begins with two slashes is a URL of another host to most readers.
    own = _is_clients(found, forward) if found[1] else not path.startswith(b"//")
    mapped = _tool_path(path or b"/", forward) if own else None
    if mapped is None:
        raise _outside(name)
    root = address.root if found[1] or mapped.startswith(b"//") else b""
    return root + mapped + (found[4] or b"")


def _tool_path(path: bytes, forward: Forward) -> bytes | None:
    """The tool's path for one of the client's; None where the Connector is not there. Whole segments (threat 29)."""
    for client, tool in forward.mounts:
        if _is_below(path, client):
            return tool + path[len(client) :] or b"/"
    return None


def _is_below(path: bytes, prefix: bytes) -> bool:
    return path.startswith(prefix) and path[len(prefix) :][:1] in (b"", b"/")


def _is_clients(found: re.Match[bytes], forward: Forward) -> bool:
    """Whether the URL is one of the host that the client used.

    Of either scheme: the client may have come by TLS that ended before the proxy. A port counts as the scheme's own.
    """
    place = _place(found[2], found[1])
    return place is not None and place == _place(forward.authority, found[1])


def _is_tools(found: re.Match[bytes], forward: Forward) -> bool:
    address = forward.target.address
    scheme = found[1].lower()
    return scheme == address.scheme.encode() and _place(found[2], scheme) == _place(address.authority, scheme)


def _place(authority: bytes | None, scheme: bytes | None) -> tuple[bytes, int] | None:
    """Host and port; None where they cannot be read."""
    found = _AUTHORITY.fullmatch(authority or b"")
    if found is None or scheme is None:
        return None
    port = int(found[2]) if found[2] else DEFAULT_PORTS[scheme.lower().decode()]
    return found[1].lower().rstrip(b"."), port


def _outside(name: bytes) -> MessageError:
    return MessageError(f"{name.decode()} lies outside of the Connector's address; send a place below it")


_CHANGES: dict[bytes, Callable[[bytes, Forward], bytes | None]] = {
    b"destination": _destination,
    b"if": _if,
    b"origin": _origin,
    b"referer": _referer,
    # A caller's token among the protocols is the caller's word to the proxy, as Authorization is (threat 39).
    WEBSOCKET_PROTOCOL: lambda value, _: without_bearer_protocol(value),
    # Amazon S3 and what speaks its protocol, with the names that others gave the field; OpenStack Swift; Azure.
    **dict.fromkeys(
        (
            b"x-amz-copy-source", b"x-cos-copy-source", b"x-goog-copy-source", b"x-obs-copy-source",
            b"x-oss-copy-source", b"x-copy-from", b"x-object-manifest", b"x-symlink-target",
            b"x-ms-copy-source", b"x-ms-rename-source", b"x-amz-rename-source", b"x-ms-file-rename-source",
        ),
        _source,
    ),
    **dict.fromkeys(METHOD_OVERRIDES, _method),
}  # fmt: skip
# Folded names of the fields whose values are looked at. None of them may stand behind a body.
LOOKED_AT = frozenset(_CHANGES)
