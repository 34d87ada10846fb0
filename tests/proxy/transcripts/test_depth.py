"""Who follows a request that was seen before opens a dozen files."""

from __future__ import annotations

from tests.peers.depth import WARM_REQUEST, files_passed
from tests.peers.dialogue import OK, Dialogue, get, seen
from tests.proxy.transcripts.conftest import Talk

MOST = 12
"""docs/architecture.md names them."""


async def one_more(dialogue: Dialogue, path: bytes) -> None:
    dialogue.client_sends(get(path))
    await dialogue.tool_sees(seen(path))
    dialogue.tool_sends(OK)
    await dialogue.client_gets(OK)


async def test_a_warm_request_passes_a_dozen_files(talk: Talk) -> None:
    dialogue = await talk()
    # Judged, seen again and remembered, and sent over a kept connection.
    for path in (b"/a", b"/b", b"/c", b"/d"):
        await one_more(dialogue, path)
    with files_passed() as files:
        await one_more(dialogue, b"/e")
    assert files == set(WARM_REQUEST)
    assert len(files) <= MOST
