"""What an answer says of a condition. Pure."""

from __future__ import annotations

from connectors.dial.kind import DialFailure, FailureKind
from connectors.expressions.check import CheckError
from connectors.http.response import Response
from connectors.objects.conditions import ConditionStatus
from connectors.objects.reasons import HTTP_STATUS, ConditionReason, Reason
from controller.probes.outcome import PASSED, ProbeOutcome, Purpose, failed
from controller.probes.request import Ask

_REFUSED_LOGIN = frozenset({401, 403})
_LOOP = HTTP_STATUS[Reason.LOOP_DETECTED]


def judge(ask: Ask, response: Response, *, dropped: bool = False) -> ProbeOutcome:
    """The outcome of a probe whose last answer is `response`.

    `dropped`: a redirect to another origin left behind what was made of the Secret. An answer to a request without
    the credential proves nothing of it, so such a probe of a credential cannot succeed.
    """
    if response.status == _LOOP and response.header("x-connectors-reason") == Reason.LOOP_DETECTED:
        message = f"{_says(response)}: the address leads back to this Connector; point it at the tool itself"
        return failed(ConditionReason.UNEXPECTED_STATUS, message)
    if problem := _problem(ask, response):
        return _with_note(problem) if dropped else problem
    if dropped and ask.purpose is Purpose.AUTH:
        message = f"not checked: a redirect leads to another origin, to which no credential is sent; {_says(response)}"
        return failed(ConditionReason.UNEXPECTED_STATUS, message)
    return PASSED


def too_many_redirects(response: Response, limit: int) -> ProbeOutcome:
    """The outcome if `limit` redirects lead to one more."""
    return failed(ConditionReason.UNEXPECTED_STATUS, f"{_says(response)} after {limit} redirects; is it a loop?")


def unreachable(failure: DialFailure) -> ProbeOutcome:
    """The outcome if there was no answer."""
    if failure.kind is FailureKind.BUSY:
        # The tool was not asked: nothing is known of it, good or bad.
        return ProbeOutcome(ConditionStatus.UNKNOWN, ConditionReason.PROBE_PENDING, failure.message)
    reason = ConditionReason.TARGET_DENIED if failure.kind is FailureKind.DENIED else ConditionReason.CONNECTION_FAILED
    return failed(reason, f"{failure.kind.value}: {failure.message}")


def _problem(ask: Ask, response: Response) -> ProbeOutcome | None:
    """What is wrong with an answer; None if nothing is."""
    refused = ask.purpose is Purpose.AUTH and response.status in _REFUSED_LOGIN
    denied = failed(ConditionReason.AUTHENTICATION_FAILED, f"Authentication failed: {_says(response)}")
    if ask.check is None:
        if response.status in ask.success:
            return None
        return denied if refused else failed(ConditionReason.UNEXPECTED_STATUS, _says(response))
    try:
        if ask.check.holds(response):
            return None
    except CheckError as error:
        # A body that says "log in" has not the keys that the check looks for: the status is the better reason.
        return denied if refused else failed(ConditionReason.EXPRESSION_ERROR, f"{error} ({_says(response)})")
    message = f"the class's check does not hold: {ask.check.source} ({_says(response)})"
    return denied if refused else failed(ConditionReason.EXPRESSION_FALSE, message)


def _with_note(outcome: ProbeOutcome) -> ProbeOutcome:
    message = f"{outcome.message}; behind a redirect to another origin, to which no credential is sent"
    return ProbeOutcome(outcome.status, outcome.reason, message)


def _says(response: Response) -> str:
    return f"status code {response.status}"
