"""Transcripts whose request has been seen before: the rest goes on byte by byte, as a test writes it."""

from __future__ import annotations

from tests.peers.dialogue import OK, Dialogue
from tests.proxy.transcripts.remembering.scene import TIMES


async def known(line: Dialogue, request: bytes, expected: bytes, answer: bytes = OK, *, got: bytes = OK) -> None:
    """The client sends `request` until it is known; the tool, which sees `expected`, gives `answer` each time."""
    for _ in range(TIMES):
        line.client_sends(request)
        await line.tool_sees(expected)
        line.tool_sends(answer)
        await line.client_gets(got)
