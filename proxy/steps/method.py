"""Step: methods that no Connector takes."""

from __future__ import annotations

from connectors.model.reasons import Reason
from connectors.model.refusal import Refusal, RefusedError

_REFUSED = {
    b"TRACE": "TRACE is refused: a tool that answers it would show the injected credential",
    b"CONNECT": "CONNECT is refused: this is a reverse proxy; send the request itself",
}


def check_method(method: bytes) -> None:
    """TRACE reflects the request, the credential included (RFC 9110 section 9.3.8; threat 6); CONNECT tunnels past it.

    Raises:
        RefusedError: MethodNotAllowed.
    """
    if method in _REFUSED:
        raise RefusedError(Refusal(Reason.METHOD_NOT_ALLOWED, _REFUSED[method]))
