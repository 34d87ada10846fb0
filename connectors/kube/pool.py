"""Connections to one API server with one credential; a changed credential or CA makes a new pool."""

from __future__ import annotations

from typing import Any

import aiohttp

from connectors.kube.access import AccessError, Connection


class Pool:
    """An aiohttp session that closes once it is retired and its last request is over."""

    def __init__(self, connection: Connection) -> None:
        """Open it; nothing is sent.

        Raises:
            AccessError: the CA or the client certificate is none.
        """
        # Costs 40 MB: only where an API server is asked at all.
        from kubernetes_asyncio.client.rest import RESTClientObject

        self.connection = connection
        try:
            self._rest: Any = RESTClientObject(connection.configuration)
        except (OSError, ValueError) as error:
            # ssl.SSLError is an OSError. Its text names no content of the files.
            raise AccessError(f"the CA or client certificate for {connection.host} cannot be used: {error}") from None
        self._session: aiohttp.ClientSession = self._rest.pool_manager
        self._running = 0
        self._retired = False

    async def request(self, method: str, url: str, **arguments: Any) -> aiohttp.ClientResponse:
        """As aiohttp's, without redirects: the credential goes to the host that was asked for and no other.

        On a connection that was kept and turns out to be closed, aiohttp sends GET, PUT and DELETE once more by itself.

        Between one `enter` and one `left`.
        """
        if self._rest.proxy:
            arguments["proxy"] = self._rest.proxy
        if self._rest.server_hostname:
            arguments["server_hostname"] = self._rest.server_hostname
        try:
            return await self._session.request(method, url, allow_redirects=False, **arguments)
        except (RuntimeError, AssertionError):
            # What aiohttp raises for a request whose session is closed meanwhile.
            if self.closed:
                raise aiohttp.ClientConnectionError("the client of the API server was closed") from None
            raise

    def enter(self) -> None:
        """A request begins."""
        self._running += 1

    async def left(self) -> None:
        """A request is over."""
        self._running -= 1
        if self._retired and not self._running:
            await self.close()

    async def retire(self) -> None:
        """No new request will come."""
        self._retired = True
        if not self._running:
            await self.close()

    async def close(self) -> None:
        """Close every connection, those of running requests too."""
        await self._rest.close()

    @property
    def closed(self) -> bool:
        """Whether `close` ran."""
        return self._session.closed
