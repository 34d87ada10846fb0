"""A block that one method lets through is no known block (invariant 13; threat 38)."""

from __future__ import annotations

import pytest

from proxy.settings import ProxySettings
from tests.proxy.transcripts.remembering.requests import NO_HOST, asking, objects
from tests.proxy.transcripts.remembering.scene import ONE_LOOP, Same, Stage

LAPTOP = ProxySettings(allow_hosts=frozenset({"tools.example"}))
LINK = (b"Sec-Fetch-Site: cross-site", b"Sec-Fetch-Mode: navigate", b"Sec-Fetch-Dest: document")
PLAIN = (b"Sec-Fetch-Site: same-origin", b"Origin: http://c-tool.default.localhost")
METHODS = (b"GET", b"POST", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"PATCH", b"PROPFIND")


@ONE_LOOP
@pytest.mark.parametrize("lines", [LINK, PLAIN, ()], ids=["link", "own", "program"])
async def test_r13_t38_a_link_that_was_followed_opens_the_way_for_no_other_method(
    stage: Stage, lines: tuple[bytes, ...]
) -> None:
    probes = [asking(b"/x", *lines, method=method) for method in METHODS]
    expected = await Same([asking(b"/x", *lines)], probes).check(stage, objects, LAPTOP)
    served = [method for method, seen in zip(METHODS, expected, strict=True) if seen.tool]
    assert served == ([b"GET"] if lines is LINK else list(METHODS))


@ONE_LOOP
async def test_r02_t38_nor_does_a_known_block_for_another_one(stage: Stage) -> None:
    target = b"/namespaces/default/connectors/tool/x"
    probes = [
        asking(target, host=NO_HOST),
        asking(target, b"Origin: http://tools.example", host=b"tools.example"),
        asking(target, b"Origin: http://tools.example", host=NO_HOST),
        asking(target, b"Origin: http://evil.example", host=b"tools.example"),
    ]
    primes = [asking(target, host=b"tools.example"), probes[1]]
    expected = await Same(primes, probes).check(stage, objects, LAPTOP)
    assert [bool(seen.tool) for seen in expected] == [False, True, False, False]
