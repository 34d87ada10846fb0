"""Whose pages may use a port that asks callers for no token: a browser on the machine sends what any page tells it to.

What the browser itself says of a request decides: Fetch Metadata (W3C), Origin (RFC 6454 section 7) and Host. No page
can set or leave out these fields. Programs send none of the first two, and pass.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass

from connectors.http.message import RequestHead
from connectors.objects.addresses import origin_of_url
from connectors.objects.reasons import Reason, Refusal, RefusedError

# The values of Sec-Fetch-Site with which a request is not another origin's: `none` is the user's own doing, by the
# address bar or a bookmark. `same-site` is another port or a sister name, and so another Connector's tool.
_OWN_SITES = frozenset({b"same-origin", b"none"})
_ORIGIN = re.compile(rb"(https?)://([^/?#@]+)", re.IGNORECASE)

_FOREIGN_HOST = (
    "Host names neither this machine nor a Connector; a web page could have sent this, by a name of its own that leads "
    "here: use c-NAME.NAMESPACE.localhost or localhost, or list the name with --allow-host"
)
_FOREIGN_PAGE = (
    "a web page of another origin sent this, and this port asks callers for no token: "
    "open the address in the browser itself, or send the request with a program"
)


def names_this_machine(host: str) -> bool:
    """Whether no name server of a stranger's decides where `host` leads: a loopback address, or below `localhost`.

    RFC 6761 section 6.3. Not `0.0.0.0`, which reaches this machine too, and which browsers take for another one.
    """
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return (mapped or ip).is_loopback


@dataclass(frozen=True, slots=True)
class IsolationPolicy:
    """A resource isolation policy, as the Fetch Metadata specification calls it, for one listener.

    `scheme` is that of the listener's URLs. `own_host`: whether a host is one by which clients reach it; None: any.
    """

    scheme: str
    own_host: Callable[[str], bool] | None

    def require_own(self, head: RequestHead) -> None:
        """Let programs, the listener's own pages and links to it pass.

        All that it reads but the method stands in the header block (see `depends_on_method`).

        Raises:
            RefusedError: Forbidden: the request is one that a page of another origin can send.
        """
        authority = next(iter(head.values(b"host")), b"")
        # DNS rebinding: to the browser a page of evil.example is of the same origin as whatever that name leads to.
        # Browsers always send Host; HTTP/1.0 clients that send none name nothing that a page could have chosen.
        host = origin_of_url(self.scheme.encode(), authority)
        if authority and self.own_host is not None and not (host and self.own_host(host.host)):
            raise RefusedError(Refusal(Reason.FORBIDDEN, _FOREIGN_HOST))
        if not all(self._is_own(origin, authority, head) for origin in head.values(b"origin")):
            raise RefusedError(Refusal(Reason.FORBIDDEN, _FOREIGN_PAGE))
        if not _of_own_site(head) and not _follows_link(head):
            raise RefusedError(Refusal(Reason.FORBIDDEN, _FOREIGN_PAGE))

    def _is_own(self, origin: bytes, authority: bytes, head: RequestHead) -> bool:
        """Whether the Origin is that of the address which the request itself goes to."""
        if origin == b"null":
            # A form of a page with `Referrer-Policy: no-referrer` has it too (Fetch, "append a request Origin header");
            # the browser then says of itself that the page is the listener's own. A sandboxed page is cross-site.
            return list(head.values(b"sec-fetch-site")) == [b"same-origin"]
        found = _ORIGIN.fullmatch(origin)
        named = None if found is None else origin_of_url(found[1], found[2])
        if found is None or named is None or named != origin_of_url(found[1], authority):
            return False
        # TLS may end before the proxy. Not under this machine's own names: there another program may have port 443.
        return named.scheme == self.scheme or (named.scheme == "https" and not names_this_machine(named.host))


def depends_on_method(head: RequestHead) -> bool:
    """Whether the policy lets this header block pass with some methods, and not with others."""
    return not _of_own_site(head)


def _of_own_site(head: RequestHead) -> bool:
    # A value of tomorrow is none of these: unknown means no.
    return all(site in _OWN_SITES for site in head.values(b"sec-fetch-site"))


def _follows_link(head: RequestHead) -> bool:
    """A top-level navigation: the page that has the link learns nothing of what it leads to.

    By GET alone, as a form of another page can send a POST this way. Not into frames, `embed` and `object`: the page
    around could make its user click what they do not see.
    """
    mode, dest = list(head.values(b"sec-fetch-mode")), list(head.values(b"sec-fetch-dest"))
    return head.method == b"GET" and mode == [b"navigate"] and dest == [b"document"]
