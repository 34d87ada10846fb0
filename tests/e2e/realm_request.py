"""Asks a realm for a token as often as it is told, as whatever asks a tool by itself does; prints a line for each."""

from __future__ import annotations

import asyncio
import json
import sys

from connectors.dial.dial_settings import DialSettings
from connectors.dial.dialer import Dialer
from connectors.dial.fetch import FetchFailedError, HttpClient, HttpRequest
from connectors.dial.guard import DialGuard
from connectors.objects.addresses import parse_address
from connectors.objects.secret import SecretValue


async def main(realm: str, times: int) -> None:
    """Ask `realm` so often, each time with a lookup of its own."""
    client = HttpClient(Dialer(DialSettings(DialGuard(loopback=True), dns_cache=0.0)), "connectors/test")
    request = HttpRequest(
        "GET", parse_address(realm), SecretValue(b"/token?scope=pull"), (("Authorization", SecretValue(b"Basic eA==")),)
    )
    for _ in range(times):
        try:
            answer = await client.send(request, read_body=True)
            outcome: dict[str, object] = {"status": answer.status}
        except FetchFailedError as error:
            outcome = {"kind": error.failure.kind, "message": error.failure.message}
        sys.stdout.write(json.dumps(outcome) + "\n")
    client.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
