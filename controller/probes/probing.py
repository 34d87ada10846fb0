"""One probe: sends its request, follows redirects, judges the last answer. The only file that knows their order."""

from __future__ import annotations

import asyncio
from typing import Protocol

from connectors.dial.failure import timeout_failure
from connectors.dial.fetch import FetchFailedError
from connectors.dial.kind import DialFailure
from connectors.http.response import Response
from controller.probes.outcome import ProbeOutcome
from controller.probes.redirects import MAX_HOPS, may_quote_secret, redirected
from controller.probes.request import Ask, Hop, ProbeRequest, Report
from controller.probes.verdict import judge, too_many_redirects, unreachable


class Sender(Protocol):
    """Sends one request and reads its answer (controller/probes/client.py)."""

    async def send(self, request: ProbeRequest, *, read_body: bool) -> Response:
        """One request to where it says, no redirect followed.

        Raises:
            FetchFailedError: the tool did not answer.
        """
        ...


async def run_probe(sender: Sender, ask: Ask, timeout: float) -> Report:  # noqa: ASYNC109 - of the whole chain
    """Run one probe, redirects included, within `timeout` seconds. Does not raise: no answer is an outcome too."""
    hops: list[Hop] = []
    try:
        async with asyncio.timeout(timeout):
            return Report(ask, await _chain(sender, ask, hops), hops)
    except TimeoutError:
        failure = timeout_failure(hops[-1].request.address)
    except FetchFailedError as error:
        failure = error.failure
    return Report(ask, unreachable(_sayable(failure, ask, hops[-1].request)), hops)


def _sayable(failure: DialFailure, ask: Ask, request: ProbeRequest) -> DialFailure:
    if not may_quote_secret(ask.request, request):
        return failure
    message = (
        "a redirect leads to another host or port, from which there is no answer; which one is not said, since the "
        "tool that names it was sent a credential"
    )
    return DialFailure(failure.kind, message)


async def _chain(sender: Sender, ask: Ask, hops: list[Hop]) -> ProbeOutcome:
    request, left_origin = ask.request, False
    read_body = ask.check is not None and ask.check.reads_body
    while True:
        hops.append(Hop(request))
        response = await sender.send(request, read_body=read_body)
        hops[-1] = Hop(request, response.status)
        following = redirected(request, response) if ask.follow else None
        if following is None:
            return judge(ask, response, dropped=left_origin and ask.request.authenticates)
        if len(hops) > MAX_HOPS:
            return too_many_redirects(response, MAX_HOPS)
        left_origin = left_origin or following.address.origin != request.address.origin
        if left_origin and request.target_from_secret:
            # A login page gets the path that was asked for, to lead back to it: with it the secret would go elsewhere.
            return judge(ask, response, dropped=True)
        request = following
