"""The proxy's own answers: metav1.Status as JSON, with the reason in a header that no tool's answer carries.

A person in front of a browser gets a page that says the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import formatdate
from html import escape

import msgspec

from connectors.http.head import write_response
from connectors.http.message import ResponseHead
from connectors.objects.reasons import Reason, Refusal

_BASIC = (b"WWW-Authenticate", b'Basic realm="connectors"')
_BEARER = (b"WWW-Authenticate", b'Bearer realm="connectors"')

# Where registries are asked. Their clients take a Bearer challenge's realm for the URL of a token server, and give up.
#
# distribution/registry/client/auth/session.go (docker) asks that URL, containerd misses a scope; both, and skopeo, take
# Basic alone.
_REGISTRY = b"/v2/"

# RFC 9110 section 15.5.6 wants a list; others than TRACE and CONNECT pass too.
_ALLOW = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"


@dataclass(frozen=True, slots=True)
class Answered:
    """What an answer depends on besides its reason.

    `request_id` is for the user to quote; `target` is the request's, where there was one; `with_body`: not for HEAD;
    `keep`: the connection stays. `page`: a browser shows it.
    """

    request_id: str
    target: bytes = b""
    with_body: bool = True
    keep: bool = False
    page: bool = False


def refusal_response(refusal: Refusal, now: float, answered: Answered) -> bytes:
    """The whole answer. `now`: seconds since the epoch.

    Shape: Kubernetes API conventions, "Response Status Kind".
    """
    status = refusal.status
    body = _page(refusal) if answered.page else msgspec.json.encode(refusal.as_status())
    headers = [
        (b"Content-Type", b"text/html; charset=utf-8" if answered.page else b"application/json"),
        (b"Content-Length", b"%d" % len(body)),
        (b"Date", formatdate(now, usegmt=True).encode()),
        (b"Cache-Control", b"no-store"),
        (b"X-Connectors-Reason", refusal.reason.value.encode()),
        (b"X-Request-Id", answered.request_id.encode()),
    ]
    if refusal.reason is Reason.UNAUTHENTICATED:
        headers += [_BASIC] if answered.target.startswith(_REGISTRY) else [_BASIC, _BEARER]
    if refusal.reason is Reason.METHOD_NOT_ALLOWED:
        headers.append((b"Allow", _ALLOW))
    if refusal.reason is Reason.TOO_MANY_REQUESTS:
        headers.append((b"Retry-After", b"%d" % refusal.retry_after))
    if not answered.keep:
        headers.append((b"Connection", b"close"))
    head = write_response(ResponseHead(status.value, status.phrase.encode(), tuple(headers)))
    return head + body if answered.with_body else head


def _page(refusal: Refusal) -> bytes:
    # Escaped, though no sentence quotes the caller: some have a tool's, or OpenSSL's, words.
    title = f"{refusal.status.value} {refusal.reason.value}"
    text = f"<!doctype html><title>{title}</title><h1>{title}</h1><p>{escape(refusal.message)}</p>\n"
    return text.encode()
