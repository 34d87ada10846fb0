"""What browsers say of the pages that make them ask, where callers are asked for no token (threat 38)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.settings import ClientAuth, ProxySettings
from tests.peers.dialogue import OK, Dialogue, message
from tests.peers.manifests import caller_token, connector
from tests.proxy.transcripts.conftest import Talk
from tests.proxy.transcripts.test_refusals import refusal

LAPTOP = ProxySettings(allow_hosts=frozenset({"tools.example"}))
TOKEN = b"callers-token-of-more-than-16-bytes"
CROSS = b"Sec-Fetch-Site: cross-site"
LINK = (CROSS, b"Sec-Fetch-Mode: navigate", b"Sec-Fetch-Dest: document")
PATH = b"/namespaces/default/connectors/tool/x"
OPEN_TO_ALL = b"Access-Control-Allow-Origin: *"


def asking(*lines: bytes, method: bytes = b"GET", host: bytes = b"<proxy>", target: bytes = b"/x") -> bytes:
    return message(method + b" " + target + b" HTTP/1.1", b"Host: " + host, *lines)


async def reaches_the_tool(line: Dialogue) -> None:
    await (line.tool if line.upstream.connections else await line.tool_accepts()).read_head()


async def passes(line: Dialogue, request: bytes) -> None:
    """The tool sees it; how it is changed on its way is not the point here."""
    line.client_sends(request)
    await reaches_the_tool(line)
    line.tool_sends(OK)
    await line.client_gets(OK)


@pytest.mark.parametrize(
    "asked",
    [
        asking(CROSS),
        asking(CROSS, method=b"POST"),
        asking(*LINK, method=b"POST"),
        asking(b"Origin: http://evil.example"),
        asking(b"Origin: null", method=b"DELETE"),
        asking(b"Origin: http://evil.example", b"Access-Control-Request-Method: PUT", method=b"OPTIONS"),
        asking(b"Origin: http://evil.example", b"Connection: Upgrade", b"Upgrade: websocket"),
        asking(host=b"evil.example", target=PATH),
        asking(host=b"c-tool.default"),
        asking(host=b"0.0.0.0:8080", target=PATH),
        asking(host=b"evil.example", target=b"/namespaces/default/connectors/none/x"),
        asking(CROSS, host=b"c-none.default.localhost"),
    ],
    ids=repr,
)
async def test_t38_what_a_page_sends_never_reaches_the_tool(talk: Talk, asked: bytes) -> None:
    """The answer has no field that would let a page read it, and is the same whatever Connectors there are."""
    line = await talk(settings=LAPTOP)
    for _ in range(3):
        line.client_sends(asked)
        assert "page" in await refusal(line, 403, "Forbidden", "Forbidden")
    assert line.upstream.connections == []


@pytest.mark.parametrize(
    "asked",
    [
        asking(),
        asking(*LINK),
        asking(b"Sec-Fetch-Site: none", *LINK[1:]),
        asking(b"Origin: http://<proxy>", b"Sec-Fetch-Site: same-origin", method=b"POST"),
        asking(host=b"localhost", target=PATH),
        asking(host=b"127.0.0.1:8080", target=PATH),
        asking(host=b"[::1]:8080", target=PATH),
        asking(host=b"tools.example", target=PATH),
        asking(host=b"c-tool.default.svc"),
        asking(host=b"c-tool.default.svc.cluster.local"),
    ],
    ids=repr,
)
async def test_programs_links_and_the_tools_own_pages_reach_it(talk: Talk, asked: bytes) -> None:
    line = await talk(settings=LAPTOP)
    for _ in range(3):
        await passes(line, asked)


async def test_t38_a_page_is_refused_where_other_machines_reach_the_port_too(talk: Talk) -> None:
    """There any Host may be one of the machine's names."""
    line = await talk(settings=replace(LAPTOP, host="0.0.0.0"))  # noqa: S104
    await passes(line, asking(host=b"machine.example:8080", target=PATH))
    line.client_sends(asking(CROSS, host=b"machine.example:8080", target=PATH))
    await refusal(line, 403, "Forbidden", "Forbidden")


async def test_a_token_is_proof_enough(talk: Talk) -> None:
    """A page has none to send."""
    settings = replace(LAPTOP, client_auth=ClientAuth.TOKEN)
    line = await talk(caller_token("may", TOKEN.decode()), settings=settings)
    await passes(line, asking(CROSS, b"Authorization: Bearer " + TOKEN, host=b"any.example", target=PATH))


@pytest.mark.parametrize("times", range(1, 4))
async def test_t38_what_the_tool_allows_all_pages_is_not_passed_on(talk: Talk, times: int) -> None:
    """Nor where its answer is known."""
    line = await talk(settings=LAPTOP)
    answer = (b"HTTP/1.1 200 OK", b"Content-Length: 0", b"Vary: Origin")
    for _ in range(times):
        line.client_sends(asking())
        await reaches_the_tool(line)
        line.tool_sends(message(*answer, OPEN_TO_ALL))
        await line.client_gets(message(*answer))
    await passes(line, asking())


async def test_where_callers_have_tokens_it_is_passed_on(talk: Talk) -> None:
    settings = replace(LAPTOP, client_auth=ClientAuth.TOKEN)
    line = await talk(caller_token("may", TOKEN.decode()), settings=settings)
    line.client_sends(asking(b"Authorization: Bearer " + TOKEN))
    await reaches_the_tool(line)
    answer = message(b"HTTP/1.1 200 OK", b"Content-Length: 0", OPEN_TO_ALL)
    line.tool_sends(answer)
    await line.client_gets(answer)


async def test_t38_another_connectors_page_is_another_origin(talk: Talk) -> None:
    line = await talk(connector("other", "http://127.0.0.1:1"), settings=LAPTOP)
    line.client_sends(asking(b"Origin: http://c-other.default.localhost", b"Sec-Fetch-Site: same-site"))
    await refusal(line, 403, "Forbidden", "Forbidden")
    assert line.upstream.connections == []
