"""CACertReady: what spec.caCertSecretRef leads to (requirement, "CACertReady Condition"). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from msgspec.structs import replace

from connectors.authorities import OwnAuthority
from connectors.model.conditions import Condition, ConditionStatus, ConditionType
from connectors.model.reasons import ConditionReason
from connectors.tls.certificates import Bundle
from controller.conditions import INFO, bounded, false, unknown

_KIND = ConditionType.CA_CERT_READY


def ca_condition(authority: OwnAuthority, namespace: str) -> Condition:
    """The condition; it informs, and Ready does not count it."""
    return replace(_judged(authority, namespace), severity=INFO)


def _judged(authority: OwnAuthority, namespace: str) -> Condition:
    name, bundle = authority.name, authority.bundle
    if not name:
        return _true(
            ConditionReason.NO_CA_CERT, "spec.caCertSecretRef is not set; the CAs that are trusted for all count"
        )
    if authority.unread:
        return unknown(_KIND, ConditionReason.SECRET_PENDING, authority.unread)
    if bundle is None:
        return false(
            _KIND, ConditionReason.SECRET_NOT_FOUND, f'secrets "{name}" not found; create it in namespace {namespace}'
        )
    if not bundle.certificates:
        return false(_KIND, ConditionReason.INVALID_PEM, invalid_message(name, bundle.problems))
    return _true(ConditionReason.VALID, _valid(name, bundle))


def invalid_message(name: str, problems: Sequence[str]) -> str:
    """What is said of a Secret without a single certificate."""
    why = "; ".join(problems) or "it has no key that ends in .crt or .pem, and no value in PEM"
    return f'Secret "{name}" contains invalid PEM data: {why}'


def left_out(problems: Sequence[str]) -> str:
    """What is said of a Secret that has certificates, and more that is none."""
    return "left out: " + "; ".join(problems)


def _valid(name: str, bundle: Bundle) -> str:
    count = len(bundle.certificates)
    what = "CA certificate" if count == 1 else f"{count} CA certificates"
    told = [f'{what} loaded from secret "{name}"']
    if bundle.first_end is not None:
        # The date, and not how long that is: a message must not change from day to day.
        word = "expires" if count == 1 else "the first expires"
        told.append(f"{word} {datetime.fromtimestamp(bundle.first_end, UTC):%Y-%m-%dT%H:%M:%SZ}")
    message = ", ".join(told)
    return f"{message}; {left_out(bundle.problems)}" if bundle.problems else message


def _true(reason: ConditionReason, message: str) -> Condition:
    return Condition(type=_KIND, status=ConditionStatus.TRUE, reason=reason.value, message=bounded(message))
