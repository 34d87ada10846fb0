"""Sends requests of probes: what a probe is about -> what goes over the wire."""

from __future__ import annotations

from connectors.dial.dialer import Dialer
from connectors.dial.fetch import HttpClient, HttpRequest
from connectors.http.response import Response
from connectors.process.run import VERSION
from connectors.tls.pool import ClientTls
from controller.probes.request import ProbeRequest

USER_AGENT = f"connectors/{VERSION} (probe)"


class ProbeClient:
    """The Sender of real probes."""

    def __init__(self, dialer: Dialer) -> None:
        self._client = HttpClient(dialer, USER_AGENT)

    async def send(self, request: ProbeRequest, *, read_body: bool) -> Response:
        """One request, one answer, over connections that trust what the Connector's own traffic trusts (threat 23).

        Raises:
            FetchFailedError: the tool did not answer.
            ValueError: the request cannot be sent as it is; the message does not quote it.
        """
        tls = ClientTls(request.trust.toward(request.address.origin), request.certificate)
        headers = tuple((header.name, header.value) for header in request.headers)
        proxy = request.egress.toward(request.address)
        sent = HttpRequest(request.method, request.address, request.target, headers, tls, request.namespace, proxy)
        return await self._client.send(sent, read_body=read_body)

    def close(self) -> None:
        """Drop every connection."""
        self._client.close()
