"""What is remembered is little, is shared out fairly, and is no secret (invariants 2, 4, 5, 6, 19)."""

from __future__ import annotations

import gc
import hashlib
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from functools import cache
from itertools import count, permutations

import pytest

from proxy.settings import AccessLogFormat, ClientAuth, ProxySettings
from proxy.wiring import Cluster
from tests.peers.answering_tool import AnsweringTool
from tests.peers.clock import FakeClock
from tests.peers.dialogue import message
from tests.peers.heap import begin, holds, texts
from tests.peers.manifests import Manifest, auth, bearer_token, caller_token, connector
from tests.peers.reviewer import Reviewer
from tests.peers.work import counted
from tests.proxy.transcripts.remembering.scene import ONE_LOOP, TIMES, Scene, Stage, prime

FLOOD = 1030
"""Blocks of one client: more than a table of 1,024 has room for."""
FEW = 700
"""Blocks of one client, all of which such a table holds."""
PARTS = 50
"""Lines of one answer that no other answer has."""
BOUND = 4 * 1024 * 1024
"""Bytes that one client may make the proxy remember, with one Connector."""
EMPTY = b"Content-Length: 0"
TWICE = 2
"""Nothing is remembered at first sight."""
SLACK = 5
"""Calls by which the work for one and the same request may differ."""


@pytest.fixture(scope="module", autouse=True)
def _heap() -> None:
    begin()


_OLD_TABLE: dict[str, bytes] = {}


@cache
def _old_cache(_: str) -> bytes:
    return old()


def old() -> bytes:
    return canary(b"dlo")


def test_what_lies_in_something_old_is_found() -> None:
    """Of the means of these tests: modules and their caches were there before them."""
    _OLD_TABLE["x"] = _old_cache("x")
    _OLD_TABLE["y"] = old()
    assert len(holds(old)) == 2
    _OLD_TABLE.clear()
    assert len(holds(old)) == 1
    _old_cache.cache_clear()
    assert holds(old) == []


def two(address: str) -> tuple[Manifest, ...]:
    return connector("tool", address), connector("other", address)


def asking(name: bytes, *lines: bytes) -> bytes:
    return message(b"GET /x HTTP/1.1", b"Host: c-" + name + b".default.localhost", *lines)


VICTIM = asking(b"other", b"X-Own: victim")


async def work(scene: Scene, request: bytes) -> int:
    """What the product does for one request over a connection of its own, to its end."""
    scene.leave()
    await scene.settled()
    scene.proxy.flush()  # lines of requests before are not this one's work
    with counted() as counting:
        await scene.asks(request)
    await scene.settled()
    return counting.calls


@contextmanager
def grown() -> Iterator[Callable[[], int]]:
    """How many bytes more than at the beginning are held."""
    gc.collect()
    tracemalloc.start()
    try:
        began, _ = tracemalloc.get_traced_memory()

        def more() -> int:
            gc.collect()
            return tracemalloc.get_traced_memory()[0] - began

        yield more
    finally:
        tracemalloc.stop()


async def flood(scene: Scene, request: Callable[[int], bytes], times: int, count: int = FLOOD) -> None:
    """So many requests, no two alike, each so often."""
    for number in range(count):
        await prime(scene, request(number), times=times)
        if not number % 64:
            scene.forget()
    scene.leave()
    await scene.settled()
    scene.forget()


@ONE_LOOP
async def test_r04_what_was_let_through_is_less_work_from_then_on(stage: Stage) -> None:
    """Of all these tests the one that fails where nothing is remembered."""
    scene = await stage(two, audit=False)
    await prime(scene, asking(b"other"), times=1)
    first = await work(scene, VICTIM)
    await prime(scene, VICTIM)
    assert await work(scene, VICTIM) < first / 2


@ONE_LOOP
async def test_r05_p10_t32_one_client_makes_the_proxy_remember_little(stage: Stage) -> None:
    scene = await stage(two, audit=False)
    await prime(scene, VICTIM)
    with grown() as more:
        await flood(scene, lambda number: asking(b"tool", b"X-Block: %04d" % number + b"x" * 7000), TWICE, FEW)
        assert more() < BOUND


@ONE_LOOP
async def test_r05_a_large_credential_counts_for_what_it_is(stage: Stage) -> None:
    """What is remembered of a block holds the credential as well, and that is larger than the block."""
    token = "t" * 16_000

    def objects(address: str) -> tuple[Manifest, ...]:
        return connector("tool", address, auth=auth("bearerAuth", "s")), bearer_token("s", token)

    scene = await stage(objects, audit=False)
    with grown() as more:
        await flood(scene, lambda number: asking(b"tool", b"X-Block: %04d" % number + b"x" * 1000), TWICE, FEW // 2)
        assert more() < BOUND


@ONE_LOOP
async def test_r05_the_more_connectors_there_are_the_less_is_remembered_for_each(stage: Stage) -> None:
    def many(address: str) -> tuple[Manifest, ...]:
        return (*two(address), *(connector(f"c{number}", address) for number in range(1000)))

    scene = await stage(many, audit=False)
    with grown() as more:
        await flood(scene, lambda number: asking(b"tool", b"X-Block: %04d" % number + b"x" * 7000), TWICE, 60)
        assert more() < BOUND // 32


@ONE_LOOP
@pytest.mark.parametrize("size", [0, 7000])
async def test_r05_p10_one_client_makes_the_proxy_forget_nothing_of_another_connector(stage: Stage, size: int) -> None:
    scene = await stage(two, audit=False)
    await prime(scene, VICTIM)
    before = await work(scene, VICTIM)
    await flood(scene, lambda number: asking(b"tool", b"X-Block: %04d" % number + b"x" * size), TWICE)
    assert await work(scene, VICTIM) <= before + SLACK


@ONE_LOOP
async def test_r05_one_caller_makes_the_proxy_forget_nothing_of_another_caller(stage: Stage) -> None:
    callers = ProxySettings(client_auth=ClientAuth.TOKEN)
    tokens = [caller_token(name, f"t0ken.of.{name}.some.length") for name in ("loud", "quiet")]
    quiet, loud = (b"Authorization: Bearer t0ken.of.%b.some.length" % name for name in (b"quiet", b"loud"))
    scene = await stage(lambda address: (*two(address), *tokens), callers, audit=False)
    await prime(scene, asking(b"tool", quiet))
    before = await work(scene, asking(b"tool", quiet))
    await flood(scene, lambda number: asking(b"tool", loud, b"X-Block: %04d" % number), TWICE)
    assert await work(scene, asking(b"tool", quiet)) <= before + SLACK


@ONE_LOOP
async def test_r05_what_is_seen_once_pushes_nothing_out(stage: Stage) -> None:
    """Not even of the same client and Connector: most blocks of a client that varies them never come again."""
    scene = await stage(two, audit=False)
    own = asking(b"tool", b"X-Own: kept")
    await prime(scene, own)
    before = await work(scene, own)
    await flood(scene, lambda number: asking(b"tool", b"X-Block: %04d" % number), 1)
    assert await work(scene, own) <= before + SLACK


@ONE_LOOP
async def test_r05_p10_what_is_seen_once_is_soon_forgotten(stage: Stage) -> None:
    scene = await stage(two, ProxySettings(access_log=AccessLogFormat.OFF), audit=False)
    await flood(scene, lambda number: asking(b"tool", b"X-Block: %04d" % number), 1)
    with grown() as more:
        await flood(scene, lambda number: asking(b"tool", b"X-Other: %04d" % number), 1, 2 * FLOOD)
        assert more() < BOUND // 32


def labelled(label: bytes, parts: int = 1) -> Callable[[bytes], bytes]:
    """An answer with so many lines that stand in two answers, and never again."""
    numbers = count()

    def answer(_: bytes) -> bytes:
        number = next(numbers) // 2
        lines = [b"X-Part-%d: %b-%06d-" % (part, label, number) + b"x" * 400 for part in range(parts)]
        return message(b"HTTP/1.1 200 OK", *lines, b"Server: " + label, b"Content-Length: 2", body=b"ok")

    return answer


@ONE_LOOP
async def test_r19_lines_of_answers_take_little(stage: Stage, tool: AnsweringTool) -> None:
    scene = await stage(two, audit=False)
    tool.answer = labelled(b"loud", PARTS)
    with grown() as more:
        await flood(scene, lambda _: asking(b"tool"), 1, FEW)
        assert more() < BOUND


@ONE_LOOP
async def test_r19_heads_of_lines_that_are_known_take_little(stage: Stage, tool: AnsweringTool) -> None:
    scene = await stage(two, audit=False)
    lines = [b"X-Part-%d: " % part + b"x" * 400 for part in range(14)]
    orders = permutations(lines)
    tool.answer = lambda _: message(b"HTTP/1.1 200 OK", *next(orders), EMPTY)
    with grown() as more:
        await flood(scene, lambda _: asking(b"tool"), 1, FEW)
        assert more() < BOUND


@ONE_LOOP
async def test_r19_lines_of_one_tool_push_out_none_of_another(
    stage: Stage, tool: AnsweringTool, exits: AsyncExitStack
) -> None:
    other = await exits.enter_async_context(AnsweringTool(lambda _: message(b"HTTP/1.1 200 OK", b"X: y", EMPTY)))
    scene = await stage(lambda address: (connector("tool", address), connector("other", other.address)), audit=False)
    await prime(scene, VICTIM)
    before = await work(scene, VICTIM)
    orders = permutations([b"X-%d: y" % number for number in range(7)])
    for answer in (lambda _: message(b"HTTP/1.1 200 OK", *next(orders), EMPTY), labelled(b"loud", PARTS)):
        tool.answer = answer
        await flood(scene, lambda _: asking(b"tool"), 1)
    assert await work(scene, VICTIM) <= before + SLACK


def canary(tail: bytes) -> bytes:
    """Made each time: the tests hold it nowhere, or they would find themselves."""
    return b"-yranac"[::-1].replace(b"-", b"_") + tail[::-1] + b"-%d" % len(tail)


def credential() -> bytes:
    return canary(b"laitnederc")


def token() -> bytes:
    return canary(b"nekot-rellac")


def keeper(address: str) -> tuple[Manifest, ...]:
    """A credential and a caller, both of whom memory shows."""
    return (
        connector("tool", address, auth=auth("bearerAuth", "s")),
        bearer_token("s", credential().decode()),
        caller_token("ci", token().decode()),
    )


def follower(address: str) -> tuple[Manifest, ...]:
    """Another credential, another caller."""
    return connector("tool", address, auth=auth("bearerAuth", "s")), bearer_token("s", "new"), caller_token("ci", "new")


def asks_with_token() -> bytes:
    return asking(b"tool", b"Authorization: Bearer " + token())


@ONE_LOOP
@pytest.mark.parametrize("refused", [False, True], ids=["nothing since", "a refusal since"])
async def test_r06_p09_t14_what_changed_is_gone_from_memory_in_the_turn_of_the_change(
    stage: Stage, refused: bool
) -> None:
    scene = await stage(keeper, ProxySettings(client_auth=ClientAuth.TOKEN), audit=False)
    for _ in range(TIMES):
        await scene.asks(asks_with_token())
    scene.leave()
    await scene.settled()
    scene.forget()
    assert holds(credential), "it serves, so it must be found: else this test finds nothing at all"
    scene.swap(follower)
    if refused:
        await scene.asks(asks_with_token())
        scene.leave()
        await scene.settled()
        scene.forget()
    assert holds(credential) == []
    assert holds(token) == []


DIGESTS = ["blake2b", "blake2s", "md5", "sha1", "sha256", "sha384", "sha512", "sha3_256"]
"""Fifteen bytes of one are looked for: nothing but the test itself holds as little."""


def shown() -> bytes:
    return canary(b"noisses")


PRIVATE = [b"X-Auth-Token", b"x-csrf-token", b"X-Request-Id", b"X-Session", b"Set-Cookie", b"Location", b"Refresh"]


@ONE_LOOP
async def test_r19_t14_of_a_line_that_can_hold_a_secret_only_the_name_is_kept(
    stage: Stage, tool: AnsweringTool
) -> None:
    """What is found stands before the name of its line."""
    scene = await stage(two, audit=False)
    for name in PRIVATE:
        line = name + b": %b-" + name
        tool.answer = lambda _, line=line: message(  # type: ignore[misc]
            b"HTTP/1.1 200 OK", line.replace(b"%b", shown()), b"Server: tool", EMPTY
        )
        await prime(scene, VICTIM, times=6)
    scene.leave()
    await scene.settled()
    scene.forget()
    assert holds(shown) == []


@ONE_LOOP
async def test_r19_t14_of_a_line_that_is_seen_once_only_the_name_is_kept(stage: Stage, tool: AnsweringTool) -> None:
    scene = await stage(two, audit=False)
    tool.answer = lambda _: message(b"HTTP/1.1 200 OK", b"X-Own: other", b"Server: tool", EMPTY)
    await prime(scene, VICTIM)
    tool.answer = lambda _: message(b"HTTP/1.1 200 OK", b"X-Own: " + shown(), b"Server: tool", EMPTY)
    await prime(scene, VICTIM, times=1)
    scene.leave()
    await scene.settled()
    scene.forget()
    assert holds(shown) == []


@ONE_LOOP
async def test_r02_t14_no_token_stands_in_memory(stage: Stage) -> None:
    """Nor in a path or query; in no mode, and while its owner is let in."""
    clock, api = FakeClock(), Reviewer()
    cluster = Cluster(api, clock)
    scene = await stage(two, ProxySettings(client_auth=ClientAuth.KUBERNETES), cluster, audit=False)
    for _ in range(TIMES):
        api.users = {token().decode(): "may"}
        assert (await scene.asks(asks_with_token())).startswith(b"HTTP/1.1 200 ")
        api.users.clear()
        api.questions.clear()
    scene.leave()
    await scene.settled()
    scene.forget()
    assert holds(token) == []


@ONE_LOOP
async def test_r02_t14_no_digest_stands_in_memory_that_others_can_make(stage: Stage) -> None:
    """Whoever reads it could try which token makes that one."""
    scene = await stage(two, ProxySettings(client_auth=ClientAuth.TOKEN), audit=False)
    scene.swap(keeper)
    request = asks_with_token()
    await prime(scene, request)
    block = request.partition(b"\r\n")[2]
    made = [hashlib.new(name, text).digest()[:15] for name in DIGESTS for text in (block, request)]
    others = (bytes(text) for text in texts() if not isinstance(text, str) and text not in made)
    assert not any(digest in text for text in others for digest in made)
