"""Foreign exceptions of a dial -> refusals: the table on top of their one classification."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.dialing.failure import dial_failure
from connectors.dialing.kind import FailureKind
from connectors.model.addresses import Address
from connectors.model.reasons import Reason
from connectors.model.refusal import Refusal

REASONS: Mapping[FailureKind, Reason] = {
    FailureKind.DNS: Reason.UPSTREAM_UNREACHABLE,
    FailureKind.REFUSED: Reason.UPSTREAM_UNREACHABLE,
    FailureKind.TIMEOUT: Reason.UPSTREAM_TIMEOUT,
    FailureKind.TLS: Reason.UPSTREAM_TLS,
    FailureKind.UNREACHABLE: Reason.UPSTREAM_UNREACHABLE,
    FailureKind.PROTOCOL: Reason.UPSTREAM_PROTOCOL,
    FailureKind.DENIED: Reason.TARGET_DENIED,
    FailureKind.BUSY: Reason.UPSTREAM_UNREACHABLE,
}


def dial_refusal(error: OSError | TimeoutError, address: Address) -> Refusal:
    """What to tell the caller. Names the declared host and port only: an address is not a secret, all else could be."""
    failure = dial_failure(error, address)
    return Refusal(REASONS[failure.kind], failure.message)
