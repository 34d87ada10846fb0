"""Under which bytes something is found again, and what else must be equal (invariants 1 to 3)."""

from __future__ import annotations

from base64 import b64encode

import pytest

from tests.peers.dialogue import get, message, seen
from tests.proxy.transcripts.conftest import Talk
from tests.proxy.transcripts.remembering.dialogues import known
from tests.proxy.transcripts.remembering.requests import (
    CALLERS,
    HOST,
    NO_HOST,
    SECOND,
    TOKEN,
    asking,
    basic,
    bearer,
    named,
    objects,
)
from tests.proxy.transcripts.remembering.scene import ONE_LOOP, Same, Scene, Stage

KNOWN = asking(b"/x", bearer(), b"Accept: text/html", b"X-Last: z")
BLOCK = KNOWN.partition(b"\r\n")[2]


@pytest.mark.parametrize(
    ("probe", "statuses"),
    [
        pytest.param(b"\r\n" + KNOWN, (b"200",), id="an empty line before"),
        pytest.param(b"\r\n\r\n" + KNOWN, (b"200",), id="two empty lines before"),
        pytest.param(b"GET /x HTTP/1.1\r\n\r\n", (b"400",), id="no block at all"),
        pytest.param(b"\r\n\r\nGET /x HTTP/1.1\r\n\r\n", (b"400",), id="no block behind empty lines"),
        pytest.param(b"GET /x HTTP/1.0\r\n" + KNOWN, (b"400",), id="another request line before it"),
        pytest.param(b"GET /x HTTP/1.1\r\nHost: c-other.default\r\n" + BLOCK, (b"400",), id="two Hosts"),
        pytest.param(b"GET /x HTTP/1.1\r\nX: y\r\n" + BLOCK, (b"200",), id="a line before the block"),
        pytest.param(b"GET /x HTTP/1.1\nX: y\r\n" + BLOCK, (b"400",), id="a bare LF before the block"),
        pytest.param(b"GET /x HTTP/1.1\n" + BLOCK, (b"400",), id="a bare LF behind the request line"),
        pytest.param(b"GET /x HTTP/1.1\r\r\n" + BLOCK, (b"400",), id="two CRs behind the request line"),
        pytest.param(b"GET /x HTTP/1.1\r\n \r\n" + BLOCK, (b"400",), id="a folded line before the block"),
        pytest.param(b"\nGET /x HTTP/1.1\r\n" + BLOCK, (b"400",), id="a bare LF before the request"),
        pytest.param(KNOWN[:-2] + b"X: y\r\n\r\n", (b"200",), id="a line behind the block"),
        pytest.param(asking(b"/x", bearer(), b"Accept: text/html"), (b"200",), id="a part of the block"),
        pytest.param(KNOWN + KNOWN.replace(b"/x", b"/y"), (b"200", b"200"), id="two at once"),
        pytest.param(KNOWN + b"\r\n" + KNOWN.replace(b"/x", b"/y"), (b"200", b"200"), id="an empty line between two"),
        pytest.param(KNOWN + b"GET /y HTTP/1.1\r\n\r\n", (b"200", b"400"), id="another without a block behind it"),
        pytest.param(KNOWN + b"x" * 20_000, (b"200", b"414"), id="rubbish behind it"),
    ],
)
async def test_r01_the_block_is_that_of_the_request(stage: Stage, probe: bytes, statuses: tuple[bytes, ...]) -> None:
    async def asks(scene: Scene) -> None:
        await scene.asks(probe, answers=len(statuses))

    expected = await Same([KNOWN], [asks]).check(stage, objects, CALLERS)
    got = b"".join(expected[0].client)
    assert tuple(part[:3] for part in got.split(b"HTTP/1.1 ")[1:]) == statuses


async def test_r01_heads_in_pieces_of_every_length_are_the_same_head(stage: Stage) -> None:
    scene = await stage(objects, CALLERS)
    for round_ in range(3):
        for place in range(1, len(KNOWN)):
            await scene.asks(KNOWN, cuts=[place])
        await scene.asks(KNOWN, cuts=range(1, len(KNOWN)))
        assert len(scene.tool.requests) == (round_ + 1) * len(KNOWN)
    assert len(set(scene.tool.requests)) == 1
    assert len(set(scene.answers)) == 1


NEAR = {
    "a token that differs in its last byte": KNOWN.replace(TOKEN, SECOND),
    "a token that has a byte more": KNOWN.replace(TOKEN, TOKEN + b"x"),
    "a token that lacks a byte": KNOWN.replace(TOKEN, TOKEN[:-1]),
    "the token as Basic": KNOWN.replace(bearer(), basic()),
    "the token as another Basic": KNOWN.replace(bearer(), b"Authorization: Basic " + b64encode(TOKEN + b":")),
    "another token as Basic": KNOWN.replace(bearer(), basic(SECOND)),
    "the scheme in lower case": KNOWN.replace(b"Bearer", b"bearer"),
    "another scheme": KNOWN.replace(b"Bearer", b"Digest"),
    "no token": KNOWN.replace(bearer() + b"\r\n", b""),
    "two tokens": KNOWN.replace(bearer(), bearer() + b"\r\n" + bearer()),
    "the token in another field": KNOWN.replace(b"Authorization: Bearer ", b"PRIVATE-TOKEN: "),
    "a name in upper case": KNOWN.replace(b"Accept:", b"ACCEPT:"),
    "white space before a value": KNOWN.replace(b"Accept: ", b"Accept:  "),
    "no white space before a value": KNOWN.replace(b"Accept: ", b"Accept:"),
    "white space behind a value": KNOWN.replace(b"text/html", b"text/html "),
    "a tab before a value": KNOWN.replace(b"Accept: ", b"Accept:\t"),
    "another value": KNOWN.replace(b"text/html", b"text/htmL"),
    "an empty value": KNOWN.replace(b"text/html", b""),
    "another order": asking(b"/x", b"Accept: text/html", bearer(), b"X-Last: z"),
    "a line twice": KNOWN.replace(b"X-Last: z", b"X-Last: z\r\nX-Last: z"),
    "Host's name in upper case": KNOWN.replace(b"Host: ", b"HOST: "),
    "Host in upper case": KNOWN.replace(HOST, HOST.upper()),
    "Host with a port": KNOWN.replace(HOST, HOST + b":8080"),
    "Host with a dot at its end": KNOWN.replace(HOST, HOST + b"."),
    "the other Connector": KNOWN.replace(HOST, named(b"other")),
    "a Connector that is not there": KNOWN.replace(HOST, named(b"none")),
    "a host that names none": KNOWN.replace(HOST, NO_HOST),
    "no Host": KNOWN.replace(b"Host: " + HOST + b"\r\n", b""),
    "an empty Host": KNOWN.replace(HOST, b""),
    "Connection: close": KNOWN.replace(b"X-Last: z", b"Connection: close"),
    "the credential nominated": KNOWN.replace(b"X-Last: z", b"Connection: Authorization"),
    "a field nominated": KNOWN.replace(b"X-Last: z", b"X-Last: z\r\nConnection: X-Last"),
    "a length": KNOWN[:-2] + b"Content-Length: 2\r\n\r\nok",
    "a length of nothing": KNOWN[:-2] + b"Content-Length: 0\r\n\r\n",
    "chunks": KNOWN[:-2] + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "both framings": KNOWN[:-2] + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a name with white space": KNOWN.replace(b"X-Last:", b"X-Last :"),
    "a control character": KNOWN.replace(b"X-Last: z", b"X-Last: \x01"),
    "a NUL": KNOWN.replace(b"X-Last: z", b"X-Last: \0"),
    "an extension": KNOWN.replace(b"X-Last: z", b"X-Openapi-Address: api"),
    "TE": KNOWN.replace(b"X-Last: z", b"TE: trailers"),
    "Proxy-Authorization": KNOWN.replace(b"X-Last: z", b"Proxy-Authorization: Basic eDp5"),
}


@ONE_LOOP
@pytest.mark.parametrize("near", NEAR.values(), ids=NEAR)
async def test_r02_only_the_whole_block_is_a_known_one(stage: Stage, near: bytes) -> None:
    await Same([KNOWN], [near, KNOWN, near]).check(stage, objects, CALLERS)


@ONE_LOOP
@pytest.mark.parametrize("near", NEAR.values(), ids=NEAR)
async def test_r02_what_is_near_a_known_block_teaches_nothing_about_it(stage: Stage, near: bytes) -> None:
    await Same([near], [KNOWN]).check(stage, objects, CALLERS)


FORMS = {
    "HTTP/1.0": KNOWN.replace(b"HTTP/1.1", b"HTTP/1.0"),
    "absolute form": KNOWN.replace(b" /x ", b" http://" + HOST + b"/x "),
    "absolute form of another": KNOWN.replace(b" /x ", b" http://" + named(b"other") + b"/x "),
    "path form of the same": KNOWN.replace(b" /x ", b" /namespaces/default/connectors/tool/x "),
    "path form of another": KNOWN.replace(b" /x ", b" /namespaces/default/connectors/other/x "),
    "registry form of the same": KNOWN.replace(b" /x ", b" /v2/namespaces/default/connectors/tool/x "),
    "path form with an extension": KNOWN.replace(b" /x ", b" /namespaces/default/connectors/tool@api/x "),
}


@ONE_LOOP
@pytest.mark.parametrize("probe", FORMS.values(), ids=FORMS)
async def test_r03_a_known_block_behind_another_kind_of_line(stage: Stage, probe: bytes) -> None:
    await Same([KNOWN], [probe, KNOWN, probe]).check(stage, objects, CALLERS)


NAMELESS = asking(b"/namespaces/default/connectors/tool/x", bearer(), host=NO_HOST)
FRONT = asking(b"/namespaces/default/connectors/tool/x", bearer(), host=named(b"front"))
EXTENDED = asking(b"/namespaces/default/connectors/extended/x", bearer(), host=NO_HOST)


@ONE_LOOP
@pytest.mark.parametrize("prime", [NAMELESS, FRONT, EXTENDED], ids=["Host of none", "Host that lets the path", "ext"])
@pytest.mark.parametrize(
    "path",
    [
        b"/namespaces/default/connectors/other/x",
        b"/namespaces/default/connectors/none/x",
        b"/namespaces/elsewhere/connectors/tool/x",
        b"/v2/namespaces/default/connectors/tool/x",
        b"/%6eamespaces/default/connectors/other/x",
        b"/namespaces/default/connectors/extended@api/x",
        b"/namespaces/default/connectors/extended@none/x",
        b"/namespaces/default/connectors/%74ool/x",
        b"/namespaces/default/connectors/tool",
        b"/namespaces/default/connectors/tool/",
        b"/namespaces/default/connectors/toolx",
        b"/namespaces/default/connectors//x",
        b"/x",
    ],
)
async def test_r03_a_known_block_whose_connector_the_path_names(stage: Stage, prime: bytes, path: bytes) -> None:
    """The block is the same for every Connector then: what was remembered of one must serve no other."""
    start = prime.index(b" /") + 1
    probe = prime[:start] + path + prime[prime.index(b" HTTP/1.1") :]
    await Same([prime], [probe, prime, probe]).check(stage, objects, CALLERS)


async def test_r02_t21_two_callers_of_one_block_length(talk: Talk) -> None:
    """The second has another last byte, and may nothing: a digest of a part would let it in."""
    line = await talk(*objects("http://127.0.0.1:1")[1:], settings=CALLERS)
    await known(line, get(b"/x", bearer()), seen(b"/x"))
    line.client_sends(get(b"/x", bearer(SECOND)))
    await line.client_is_refused(b"403", b"Forbidden")
    line.client_sends(message(b"GET /x HTTP/1.1", b"Host: <proxy>", bearer(TOKEN[:-1] + b"f")))
    await line.client_is_refused(b"401", b"Unauthenticated")
