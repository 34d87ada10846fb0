"""Requests to send, and clients that send them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import trustme

from connectors.dial.dialer import Dialer
from connectors.dial.fetch import FetchFailedError, HttpClient, HttpRequest
from connectors.dial.guard import DialGuard
from connectors.dial.kind import DialFailure
from connectors.dial.resolver import Lookup, look_up
from connectors.http.response import Response
from connectors.objects.addresses import parse_address
from connectors.objects.secret import SecretValue
from tests.peers.trust import LOOPBACK, dialer, tls

USER_AGENT = "connectors/test"


class Answers:
    """A name server: its answers one after the other, the last one again and again. Counts questions."""

    def __init__(self, *answers: list[str] | OSError) -> None:
        self.asked: list[str] = []
        self._answers = answers

    def __call__(self, host: str, port: int) -> list[str]:
        answer = self._answers[min(len(self.asked), len(self._answers) - 1)]
        self.asked.append(host)
        if isinstance(answer, OSError):
            raise answer
        return answer


class TrustingClient(HttpClient):
    """Sends whatever it is given as somebody who knows these authorities."""

    def __init__(self, dialer: Dialer, *authorities: trustme.CA) -> None:
        super().__init__(dialer, USER_AGENT)
        self._tls = tls(*authorities)

    async def send(self, request: HttpRequest, *, read_body: bool) -> Response:
        return await super().send(replace(request, tls=self._tls), read_body=read_body)


@asynccontextmanager
async def sending_client(
    *authorities: trustme.CA, guard: DialGuard = LOOPBACK, lookup: Lookup = look_up
) -> AsyncIterator[HttpClient]:
    client = TrustingClient(dialer(guard, lookup), *authorities)
    yield client
    client.close()


def header(name: str, value: str | bytes) -> tuple[str, SecretValue]:
    return name, SecretValue(value.encode() if isinstance(value, str) else value)


def get(address: str, target: str = "/", *headers: tuple[str, SecretValue], method: str = "GET") -> HttpRequest:
    return HttpRequest(method, parse_address(address), SecretValue(target.encode()), headers)


async def answer_of(address: str, target: str = "/", *authorities: trustme.CA) -> Response:
    """One request by a client of its own, its body read."""
    async with sending_client(*authorities) as client:
        return await client.send(get(address, target), read_body=True)


async def failure_of(client: HttpClient, request: HttpRequest) -> DialFailure:
    with pytest.raises(FetchFailedError) as caught:
        await client.send(request, read_body=True)
    return caught.value.failure
