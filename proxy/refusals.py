"""The proxy's own answers: metav1.Status as JSON, with the reason in a header that no tool's answer carries."""

from __future__ import annotations

from email.utils import formatdate

import msgspec

from connectors.model.message import ResponseHead
from connectors.model.reasons import Reason
from connectors.model.refusal import Refusal
from proxy.http1.head import write_response

_CHALLENGES = ((b"WWW-Authenticate", b'Basic realm="connectors"'), (b"WWW-Authenticate", b'Bearer realm="connectors"'))

_ALLOW = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
"""RFC 9110 section 15.5.6 wants a list; others than TRACE and CONNECT pass too."""


def refusal_response(refusal: Refusal, now: float, *, with_body: bool = True, keep: bool = False) -> bytes:
    """The whole answer. `now`: seconds since the epoch; `with_body`: not for HEAD; `keep`: the connection stays.

    Shape: Kubernetes API conventions, "Response Status Kind".
    """
    status = refusal.status
    body = msgspec.json.encode(
        {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": refusal.message,
            "reason": refusal.reason.value,
            "code": status.value,
        }
    )
    headers = [
        (b"Content-Type", b"application/json"),
        (b"Content-Length", b"%d" % len(body)),
        (b"Date", formatdate(now, usegmt=True).encode()),
        (b"Cache-Control", b"no-store"),
        (b"X-Connectors-Reason", refusal.reason.value.encode()),
    ]
    if refusal.reason is Reason.UNAUTHENTICATED:
        headers.extend(_CHALLENGES)
    if refusal.reason is Reason.METHOD_NOT_ALLOWED:
        headers.append((b"Allow", _ALLOW))
    if refusal.reason is Reason.TOO_MANY_REQUESTS:
        headers.append((b"Retry-After", b"1"))
    if not keep:
        headers.append((b"Connection", b"close"))
    head = write_response(ResponseHead(status.value, status.phrase.encode(), tuple(headers)))
    return head + body if with_body else head
