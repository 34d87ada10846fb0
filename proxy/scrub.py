"""The tool's response head -> the client's: hop-by-hop fields gone, the tool's own addresses mapped to the proxy's."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from connectors.credentials.credential import fold, is_shown, without_query
from connectors.dial.upstream_proxy import login_refused
from connectors.http.framing import BODYLESS
from connectors.http.message import NEVER_TRAILERS, Headers, MessageError, ResponseHead
from connectors.objects.reasons import Reason
from connectors.plan import Query, Target
from proxy.decision import Forward, Mount
from proxy.inject import not_forwarded
from proxy.locations import UriReferences, at_root, map_path

_WHOLE = re.compile(rb"\A()(.*)\Z", re.DOTALL)
# Fields that hold addresses; group 2 is the address.
_ADDRESSES = {
    b"location": _WHOLE,
    b"content-location": _WHOLE,
    b"link": re.compile(rb"(<)([^<>]*)(?=>)"),
    b"refresh": re.compile(rb"(url\s*=\s*['\"]?)([^'\"\s]*)", re.IGNORECASE),
}
ADDRESS_FIELDS = frozenset(_ADDRESSES)


# A tool that repeats the request's query in an address: the credential that was put there is taken out again.
#
# A slash is added behind a directory, http becomes https, a login remembers where to go back to: all of these
# answer with the query that the tool saw, which is the caller's and the injected parameter (threat 6).
def without_credential(name: bytes, value: bytes, query: Query | None) -> bytes | None:
    """The field, `name` folded, without query parameters that `query` owns; of any origin, relative ones too.

    None, so that the field is left out, where the credential still stands in it: inside of another parameter, in the
    path or in the fragment.
    """
    addresses = _ADDRESSES.get(name)
    if addresses is None or query is None or not query.injected:
        return value
    left = addresses.sub(lambda found: found[1] + _without_parameters(found[2], query.owned), value)
    return None if is_shown(left, query.injected) else left


def _without_parameters(address: bytes, owned: frozenset[bytes]) -> bytes:
    reference, mark, fragment = address.partition(b"#")
    return without_query(reference, owned) + mark + fragment


_SAME_PATHS = (Mount(b"", b""),)
# Attributes that are looked at where every path is the client's as it is the tool's.
_CHANGED_ATTRIBUTES = re.compile(rb";[ \t]*(?:domain|secure)", re.IGNORECASE)


# Set-Cookie of the tool's, for the address that the client used (RFC 6265 section 5).
def rewrite_cookie(value: bytes, references: UriReferences) -> bytes:
    """Domain is dropped (the cookie becomes host-only), Path is mapped, Secure follows the scheme.

    Without this a client would refuse the cookie, or send one Connector's cookie to another: on a shared host, or where
    a Domain such as `team.svc.cluster.local` stands above the hosts of several (threat 13). Other attributes keep
    their bytes.

    Raises:
        MessageError: it has more addresses, or longer ones, than a head may have.
    """
    forward = references.forward
    if forward.mounts == _SAME_PATHS and not _CHANGED_ATTRIBUTES.search(value):
        return value
    pair, *attributes = value.split(b";")
    kept = [pair]
    has_path = False
    for attribute in attributes:
        name = attribute.partition(b"=")[0].strip().lower()
        if name == b"domain":
            continue
        if name == b"secure" and references.scheme == "http" and forward.target.address.scheme == "https":
            continue
        if name == b"path":
            has_path = _attribute_value(attribute).startswith(b"/")
            references.count(1)
            attribute = references.grown(attribute, _path(attribute, forward))  # noqa: PLW2901 - the attribute as the client gets it
        kept.append(attribute)
    if not has_path and at_root(forward):
        kept.append(references.grown(b"", b" Path=" + forward.mounts[-1].client))
    return b";".join(kept)


def _path(attribute: bytes, forward: Forward) -> bytes:
    head, _, _ = attribute.partition(b"=")
    path = _attribute_value(attribute)
    if not path.startswith(b"/"):
        # Not a path: the client uses the request's own directory (RFC 6265 section 5.2.4).
        return attribute
    mount = forward.mounts[-1]
    mapped = map_path(path, forward.mounts)
    # A path above the address's prefix (`/` most of all) covers all of the Connector, and nothing besides it.
    new = (mount.client if mapped is None else mapped) or b"/"
    return attribute if new == path else head + b"=" + new


def _attribute_value(attribute: bytes) -> bytes:
    return attribute.partition(b"=")[2].strip()


# WWW-Authenticate: one field can hold several challenges, each with parameters (RFC 9110 section 11.6.1).
#
# One member of a comma-separated list whose members can hold quoted commas.
_ITEM = re.compile(rb"""(?:[^",]|"(?:[^"\\]|\\.)*")+""")
_QUOTED = re.compile(rb'"[^"]*"')
# A scheme name stands alone or before a space; a parameter has `=` behind its name.
_STARTS_CHALLENGE = re.compile(rb"\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:\s+(?!=)|\s*$)")

# Bytes of a field worth taking apart; unbalanced quotes make that quadratic.
_MAX_FIELD = 4096


def without_bearer(value: bytes) -> bytes | None:
    """The field without its Bearer challenges, byte for byte otherwise; None where nothing is left."""
    if b"bearer" not in value.lower():
        return value
    if len(value) > _MAX_FIELD:
        return None
    outside = _QUOTED.sub(b"", value)
    if b'"' in outside or b"\\" in value:
        # Clients disagree on where such a quoted string ends, and so on whether a challenge begins inside of it.
        return None
    kept, dropping = [], False
    for item in _ITEM.findall(value):
        start = _STARTS_CHALLENGE.match(item)
        if start:
            dropping = start[1].lower() == b"bearer"
        if not dropping:
            kept.append(item)
    left = b",".join(kept).strip()
    # What is not a list of challenges can hold one where a client's looser reading finds it: `Basic a="b" Bearer ...`.
    return None if b"bearer" in _QUOTED.sub(b"", left).lower() else left or None


_REASON_HEADER = b"x-connectors-reason"
# Folded names of the fields whose values are looked at; all others pass as they are, or end here.
CHANGED = ADDRESS_FIELDS | {b"set-cookie", b"www-authenticate", _REASON_HEADER}
_LINK_TARGET = re.compile(rb"<([^<>]*)>")
# With what each address begins in the fields that can hold many. What is counted so is never too few.
_BEGINNINGS = {b"link": b"<", b"refresh": b"url"}


@dataclass(frozen=True, slots=True)
class ClientSide:
    """How the client reached the proxy: the URL scheme it used. `dropped`: folded names of fields not for clients."""

    scheme: str = "http"
    dropped: frozenset[bytes] = frozenset()


def client_head(head: ResponseHead, forward: Forward, side: ClientSide) -> ResponseHead:
    """Every field in its order; only the declared ones are changed (docs/transparency.md).

    Raises:
        MessageError: it has too many addresses, or they become too long, with reason UpstreamProtocol; it is an
            upstream proxy's own word, with reason UpstreamUnreachable.
    """
    if head.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        _require_tools_own(forward.target)
    headers = []
    references = UriReferences(forward, side.scheme)
    dropped = not_forwarded(head) | side.dropped
    has_no_body = head.status < 200 or head.status in BODYLESS
    for name, value in head.headers:
        folded = fold(name)
        if folded in dropped:
            continue
        if has_no_body and _frames(folded, head.status):
            continue
        changed = field_for_client(folded, value, references) if folded in CHANGED else value
        if changed is not None:
            headers.append((name, changed))
    return ResponseHead(head.status, head.reason, tuple(headers), head.version)


def _require_tools_own(target: Target) -> None:
    """A 407 that comes without a tunnel is about credentials of this program's, which no client has."""
    proxy = target.proxy
    if proxy is not None and not proxy.needs_tunnel(target.address):
        raise MessageError(login_refused(proxy), Reason.UPSTREAM_UNREACHABLE)


def _frames(name: bytes, status: int) -> bool:
    """Whether the field, `name` folded, promises a body that an answer of this status never has.

    A client that believed it would wait for one, or take the next answer for it (threat 11; RFC 9112 section 6.1, RFC
    9110 section 8.6). A length behind 204 and 304 stays: every client knows that they have no body, and that of a 304
    is of what was not sent.
    """
    if name == b"content-length":
        return status < 200
    return name in (b"transfer-encoding", b"trailer")


def response_trailers(trailers: Headers) -> Headers:
    """The trailers that may follow a response's body."""
    return tuple(field for field in trailers if fold(field[0]) not in NEVER_TRAILERS | {_REASON_HEADER})


def field_for_client(name: bytes, value: bytes, references: UriReferences) -> bytes | None:
    """The field's value for the client; None where the field is not passed on. `references` is the whole head's.

    Raises:
        MessageError: as `client_head`.
    """
    forward = references.forward
    if name in ADDRESS_FIELDS:
        # Before any of them is looked at: the count is of C, and what follows is not.
        beginning = _BEGINNINGS.get(name)
        references.count(1 if beginning is None else value.lower().count(beginning))
    if forward.target.query is not None:
        shown = without_credential(name, value, forward.target.query)
        if shown is None:
            return None
        value = shown
    change = _CHANGES.get(name)
    return value if change is None else change(value, references)


def _rewrite_location(value: bytes, references: UriReferences) -> bytes:
    return references.location(value)


def _rewrite_links(value: bytes, references: UriReferences) -> bytes:
    return _LINK_TARGET.sub(lambda link: b"<" + references.location(link[1]) + b">", value)


_CHANGES: dict[bytes, Callable[[bytes, UriReferences], bytes | None]] = {
    b"location": _rewrite_location,
    b"content-location": _rewrite_location,
    b"link": _rewrite_links,
    b"set-cookie": rewrite_cookie,
    # The client would carry its own token to the realm that a Bearer challenge names (threat 5).
    b"www-authenticate": lambda value, _: without_bearer(value),
    # Only the proxy's own answers carry it; a tool cannot pass its answer off as a refusal.
    _REASON_HEADER: lambda _, __: None,
}
