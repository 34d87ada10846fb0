"""Sends requests of probes: what a probe is about -> what goes over the wire."""

from __future__ import annotations

from collections.abc import Collection

from connectors.dial.dialer import Dialer
from connectors.dial.fetch import HttpClient, HttpRequest
from connectors.dial.marks import CDN_LOOP, Marks
from connectors.http.response import Response
from connectors.objects.addresses import Origin
from connectors.objects.secret import SecretValue
from connectors.process.run import VERSION
from connectors.tls.pool import ClientTls
from controller.probes.request import ProbeRequest

USER_AGENT = f"connectors/{VERSION} (probe)"


class ProbeClient:
    """The Sender of real probes."""

    def __init__(self, dialer: Dialer, published: Collection[Origin] = ()) -> None:
        """`published`: see Marks (connectors/dial/marks.py)."""
        self._client = HttpClient(dialer, USER_AGENT)
        self._published = published
        self._marks: Marks | None = None

    def identify(self, identity: str) -> None:
        """From now on requests carry the marks of this installation, so that one which leads back to it ends there."""
        self._marks = Marks(identity, self._published)

    async def send(self, request: ProbeRequest, *, read_body: bool) -> Response:
        """One request, one answer, over connections that trust what the Connector's own traffic trusts (threat 23).

        Raises:
            FetchFailedError: the tool did not answer.
            ValueError: the request cannot be sent as it is; the message does not quote it.
        """
        tls = ClientTls(request.trust.toward(request.address.origin), request.certificate)
        headers = tuple((header.name, header.value) for header in request.headers)
        if self._marks and request.connector and self._marks.may_lead_back(request.address):
            # In a line of its own, behind what the class sends by that name.
            headers += ((CDN_LOOP, SecretValue(self._marks.of(request.connector))),)
        proxy = request.egress.toward(request.address)
        sent = HttpRequest(request.method, request.address, request.target, headers, tls, request.namespace, proxy)
        return await self._client.send(sent, read_body=read_body)

    def close(self) -> None:
        """Drop every connection."""
        self._client.close()
