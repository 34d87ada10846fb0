"""Probes to send, clients that send them, and whom they trust."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trustme

from connectors.dialing.guard import DialGuard
from connectors.dialing.kind import Failure
from connectors.dialing.resolver import Lookup, Resolver, look_up
from connectors.expressions.response import Response
from connectors.model.addresses import parse_address
from connectors.model.secret_value import SecretValue
from connectors.trust import Trust
from controller.probes.client import ProbeClient
from controller.probes.failures import ProbeFailedError
from controller.probes.request import ProbeHeader, ProbeRequest

LOOPBACK = DialGuard(loopback=True)
"""Tests' peers are on loopback."""


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


def trusting(*authorities: trustme.CA) -> Trust:
    """A pool of these alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for authority in authorities:
        authority.configure_trust(context)
    return Trust(1, context)


@asynccontextmanager
async def probe_client(
    *authorities: trustme.CA, guard: DialGuard = LOOPBACK, lookup: Lookup = look_up
) -> AsyncIterator[ProbeClient]:
    client = ProbeClient(trusting(*authorities), guard, Resolver(lookup))
    yield client
    await client.close()


def header(name: str, value: str | bytes) -> ProbeHeader:
    return ProbeHeader(name, SecretValue(value.encode() if isinstance(value, str) else value))


def get(address: str, target: str = "/", *headers: ProbeHeader, method: str = "GET") -> ProbeRequest:
    return ProbeRequest(method, parse_address(address), SecretValue(target.encode()), headers)


async def answer_of(address: str, target: str = "/", *authorities: trustme.CA) -> Response:
    """One probe by a client of its own, its body read."""
    async with probe_client(*authorities) as client:
        return await client.send(get(address, target), read_body=True)


async def failure_of(client: ProbeClient, request: ProbeRequest) -> Failure:
    with pytest.raises(ProbeFailedError) as caught:
        await client.send(request, read_body=True)
    return caught.value.failure
