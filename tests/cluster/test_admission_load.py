"""Threat 36 at a real API server: what some send to be judged does not hold up what others write."""

from __future__ import annotations

import asyncio
import io
import json
import ssl
import time
from typing import Any

import aiohttp
import pytest

from tests.cluster.admission import Reviewed
from tests.cluster.conftest import Start
from tests.cluster.installed import GROUP
from tests.controller.admission.reviews import body
from tests.peers.manifests import Manifest, connector_class

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(180)]

SIZE = int(1.4 * 2**20)
AT_ONCE = 4
LATEST = 1.0
"""Seconds that a valid write may take meanwhile."""


def checks(name: str) -> Manifest:
    """A class of 1.4 MiB of CEL, which took 3.6 s to compile."""
    one = "||".join(f"statusCode=={index}" for index in range(210))
    count = SIZE // (len(one) + 90)
    probes = [
        {"authName": f"a{index}", "probe": {"http": {"path": "/", "response": {"cel": f"{one}||statusCode=={index}"}}}}
        for index in range(count)
    ]
    return connector_class(name, authProbes=probes)


def mistakes(name: str) -> Manifest:
    """A class of 1.4 MiB of nothing but mistakes: it costs most to judge."""
    return connector_class(name, params=[{}] * (SIZE // 3))


async def _slowest_write(reviewed: Reviewed, until: asyncio.Future[Any]) -> tuple[float, int]:
    """Write valid Connectors until the others are done, ten at least: how long the slowest took, and how many."""
    slowest, count = 0.0, 0
    while not until.done() or count < 10:
        begun = time.monotonic()
        answer = await reviewed.create(f"tool-{count}", connectorClassName="git", address="https://x.example")
        slowest, count = max(slowest, time.monotonic() - begun), count + 1
        assert answer.status == 201, answer
    return slowest, count


async def _stranger(where: str, raw: bytes) -> dict[str, Any]:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connector = aiohttp.TCPConnector(ssl=context)
    sent = io.BytesIO(raw)
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.post(f"https://{where}/validate", data=sent) as answer,
    ):
        found: dict[str, Any] = json.loads(await answer.text()) if answer.status == 200 else {"status": answer.status}
    return found


@pytest.mark.parametrize("made", [checks, mistakes])
async def test_t36_large_reviews_of_a_stranger_delay_no_valid_write(
    made: Any, reviewed: Reviewed, start_reviewer: Start
) -> None:
    await start_reviewer()
    url = (await reviewed.configuration())["webhooks"][0]["clientConfig"]["url"]
    where = url.removeprefix("https://").removesuffix("/validate")
    await reviewed.create("warm", connectorClassName="git", address="https://x.example")
    raw = body(made("strange"))
    asking = asyncio.gather(*(_stranger(where, raw) for _ in range(AT_ONCE)))
    slowest, count = await _slowest_write(reviewed, asking)
    assert slowest < LATEST, f"the slowest of {count}"
    answers = await asking
    assert not any(answer.get("response", {}).get("allowed") for answer in answers)


async def test_t36_large_classes_of_a_user_delay_no_valid_write(reviewed: Reviewed, start_reviewer: Start) -> None:
    await start_reviewer()
    await reviewed.create("warm", connectorClassName="git", address="https://x.example")
    path = f"{GROUP}/connectorclasses?dryRun=All"
    writing = asyncio.gather(*(reviewed.ask("POST", path, checks(f"large-{index}")) for index in range(AT_ONCE)))
    slowest, count = await _slowest_write(reviewed, writing)
    assert slowest < LATEST, f"the slowest of {count}"
    for answer in await writing:
        assert answer.status == 422, answer
        assert "too much to compile" in answer.body["message"]
