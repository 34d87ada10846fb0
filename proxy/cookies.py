"""Set-Cookie of the tool's, for the address that the client used (RFC 6265 section 5)."""

from __future__ import annotations

import re

from proxy.decision import Forward, Mount
from proxy.locations import at_root, map_path

_SAME_PATHS = (Mount(b"", b""),)
_CHANGED = re.compile(rb";[ \t]*(?:domain|secure)", re.IGNORECASE)
"""Attributes that are looked at where every path is the client's as it is the tool's."""


def rewrite_cookie(value: bytes, forward: Forward, client_scheme: str) -> bytes:
    """Domain is dropped (the cookie becomes host-only), Path is mapped, Secure follows the scheme.

    Without this a client would refuse the cookie, or send one Connector's cookie to another: on a shared host, or where
    a Domain such as `team.svc.cluster.local` stands above the hosts of several (threat 13). Other attributes keep
    their bytes.
    """
    if forward.mounts == _SAME_PATHS and not _CHANGED.search(value):
        return value
    pair, *attributes = value.split(b";")
    kept = [pair]
    has_path = False
    for attribute in attributes:
        name = attribute.partition(b"=")[0].strip().lower()
        if name == b"domain":
            continue
        if name == b"secure" and client_scheme == "http" and forward.target.address.scheme == "https":
            continue
        if name == b"path":
            has_path = _attribute_value(attribute).startswith(b"/")
            attribute = _path(attribute, forward)  # noqa: PLW2901 - the attribute as the client gets it
        kept.append(attribute)
    if not has_path and at_root(forward):
        kept.append(b" Path=" + forward.mounts[-1].client)
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
