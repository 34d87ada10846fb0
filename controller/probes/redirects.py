"""Where a redirect leads a probe, and what the probe takes there (RFC 9110 section 15.4). Pure."""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import urljoin

from connectors.http.response import Response
from connectors.objects.addresses import DEFAULT_PORTS, AddressError, parse_address
from connectors.objects.secret import SecretValue
from controller.probes.request import MAX_TARGET, ProbeRequest, origin_of

# Redirects followed in one probe: a login page is two or three away, and a loop ends soon (threat 1).
MAX_HOPS = 5
_FOLLOWED = frozenset({301, 302, 303, 307, 308})
# As every client does: only 307 and 308 keep the method (RFC 9110 section 15.4).
_BECOMES_GET = frozenset({301, 302, 303})
_URL = re.compile(r"(?P<origin>https?://[^/?#]+)(?P<target>[^#]*)", re.IGNORECASE)
_UNSAFE = re.compile(r"[^!-~]")


def is_redirect(response: Response) -> bool:
    """Whether the answer leads elsewhere."""
    return response.status in _FOLLOWED and bool(response.header("location"))


def redirected(request: ProbeRequest, response: Response) -> ProbeRequest | None:
    """The request that an answer leads to; None if it does not, or to what cannot be followed.

    What was made of the Secret stays behind at a change of scheme, host or port, and does not come back (threat 25);
    so does the client certificate.
    """
    if not is_redirect(response):
        return None
    base = origin_of(request.address) + request.target.reveal().decode("ascii")
    found = _resolved(base, response.header("location"))
    if found is None:
        return None
    origin, target = found
    try:
        address = parse_address(origin)
    except AddressError:
        return None
    method = "GET" if response.status in _BECOMES_GET else request.method
    headers, certificate = request.headers, request.certificate
    if address.origin == request.address.origin:
        # The same host as it was written: a dot behind it turns search domains off, and a name that the cluster knows
        # (`nexus.dev`) is another server then, with an owner of its own in the world's DNS.
        address = request.address
    else:
        headers, certificate = tuple(header for header in headers if not header.from_secret), None
    target_value = SecretValue(target)
    return replace(
        request, method=method, address=address, target=target_value, headers=headers, certificate=certificate
    )


def may_quote_secret(asked: ProbeRequest, request: ProbeRequest) -> bool:
    """Whether host and port of `request` may be what the tool was sent: with `asked` it got a credential, and its
    redirect named them. So they are not shown (threat 14). The other scheme of the same host is what people may see.
    """
    known = (asked.address.port, DEFAULT_PORTS[request.address.scheme])
    same = request.address.server_name == asked.address.server_name and request.address.port in known
    return asked.holds_secret and not same


def _resolved(base: str, location: str) -> tuple[str, bytes] | None:
    """Origin and target of a Location (RFC 3986 section 5); None if it is not an http or https URL."""
    if _UNSAFE.search(location):
        return None
    try:
        joined = urljoin(base, location)
    except ValueError:
        return None
    found = _URL.fullmatch(joined.partition("#")[0])
    if found is None:
        return None
    target = found["target"] if found["target"].startswith("/") else "/" + found["target"]
    return (found["origin"], target.encode("ascii")) if len(target) <= MAX_TARGET else None
