from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.http.head import parse_request
from connectors.http.plain import Plain
from connectors.objects.connector import ConnectorKey
from connectors.objects.user import User, service_account_user
from connectors.plan import Plan, Target
from connectors.snapshot import Snapshot
from proxy.callers.answers import CachedReview, Evidence
from proxy.callers.identity import CallerIdentity, TokenSecrets
from proxy.decision import Facts, Permission
from proxy.memory import COST, EVIDENCE_COST, MAX_BYTES, MAX_LINE_BYTES, MAX_LINE_SHARE, MAX_SHARE, Memory
from proxy.request import Passage
from proxy.response import KnownLines
from proxy.route import find
from tests.peers.heap import bytes_of, texts_with
from tests.peers.manifests import auth, basic_auth, caller_token, connector
from tests.proxy.decisions import ANYBODY, HOSTS, snapshot_of, tool
from tests.proxy.passages import head_of, judged, plain_of

TOKEN = b"callers-token-of-more-than-16-bytes"
SECRET = "canary-of-the-tools"
NAMES = ("tool", "one", "two")


@cache
def snapshot() -> Snapshot:
    """team/tool, with a credential, and two Connectors more."""
    others = [connector(name, "https://tool.example", namespace="team") for name in NAMES[1:]]
    credential = basic_auth("s", "robot", SECRET, namespace="team")
    callers = caller_token("a", TOKEN.decode(), namespace="team")
    return snapshot_of(tool(auth=auth("basicAuth", "s")), credential, callers, *others)


def of(name: str = "", evidence: Evidence | None = None) -> Facts:
    """What is known of the caller `name`; empty: no one has to prove anything."""
    user = service_account_user("team", name)
    return Facts(True, user, Permission(allowed=True), evidence=evidence) if name else ANYBODY


def told(
    *fields: bytes, to: str = "tool", line: bytes = b"GET /x HTTP/1.1", by: Facts = ANYBODY
) -> tuple[Plain, Passage]:
    """A request to this Connector, and what was decided on it."""
    raw = head_of(*fields, line=line, host=f"c-{to}.team.localhost".encode())
    got = judged(raw, snapshot(), by)
    assert got.again
    return plain_of(raw), got.passage


def learn(memory: Memory, plain: Plain, passage: Passage, times: int = 2) -> None:
    for _ in range(times):
        memory.learn(plain, passage)


@pytest.fixture
def memory() -> Memory:
    return Memory(snapshot())


# -- what is found


def test_a_block_is_found_from_its_second_sight_on(memory: Memory) -> None:
    plain, passage = told()
    assert memory.find(plain) is None
    learn(memory, plain, passage, 1)
    assert memory.find(plain) is None
    learn(memory, plain, passage, 1)
    assert memory.find(plain) is passage


def test_the_latest_decision_counts(memory: Memory) -> None:
    plain, passage = told()
    learn(memory, plain, passage)
    _, newer = told()
    learn(memory, plain, newer, 1)
    assert memory.find(plain) is newer
    assert size(memory, "tool") == cost(plain, newer)


FORM = b"/namespaces/team/connectors/tool"
LINES = [
    pytest.param(b"GET /x HTTP/1.1", b"PUT /y/z?q HTTP/1.1", True, id="line"),
    pytest.param(b"GET " + FORM + b"/x HTTP/1.1", b"GET " + FORM + b"?q HTTP/1.1", True, id="path form"),
    pytest.param(b"GET /x HTTP/1.1", b"GET " + FORM + b"/x HTTP/1.1", False, id="a prefix or none"),
    pytest.param(b"GET " + FORM + b"/x HTTP/1.1", b"GET /v2" + FORM + b"/x HTTP/1.1", False, id="registry form"),
    pytest.param(b"GET " + FORM + b" HTTP/1.1", b"GET " + FORM + b"@api HTTP/1.1", False, id="extension"),
    pytest.param(b"GET " + FORM + b" HTTP/1.1", b"GET " + FORM[:-4] + b"one HTTP/1.1", False, id="Connector"),
]


@pytest.mark.parametrize(("line", "other", "found"), LINES)
def test_of_the_request_line_the_prefix_alone_counts(memory: Memory, line: bytes, other: bytes, found: bool) -> None:
    learn(memory, *told(line=line))
    assert (memory.find(plain_of(head_of(line=other, host=b"c-tool.team.localhost"))) is not None) is found


@given(st.data())
def test_one_other_byte_in_the_block_is_another_block(data: st.DataObject) -> None:
    memory = Memory(snapshot())
    plain, passage = told(b"Authorization: Bearer " + TOKEN, b"X-A: b")
    learn(memory, plain, passage)
    at = data.draw(st.integers(0, len(plain.block) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != plain.block[at]))
    block = plain.block[:at] + bytes([byte]) + plain.block[at + 1 :]
    for other in (block, plain.block[:at] + plain.block[at + 1 :], plain.block[:at] + b"x" + plain.block[at:]):
        if other != plain.block:
            assert memory.find(Plain(plain.method, plain.prefix, plain.path, plain.query, other, plain.end)) is None
    assert memory.find(plain) is passage


def test_a_prefix_does_not_pass_for_a_part_of_the_block(memory: Memory) -> None:
    plain, passage = told(line=b"GET " + FORM + b" HTTP/1.1")
    learn(memory, plain, passage)
    moved = Plain(plain.method, b"", plain.path, b"", plain.block + plain.prefix, plain.end)
    assert memory.find(moved) is None
    assert memory.find(Plain(plain.method, b"", plain.path, b"", plain.prefix + plain.block, plain.end)) is None


def test_what_another_snapshot_allowed_is_unknown(memory: Memory) -> None:
    plain, passage = told()
    learn(memory, plain, passage)
    later = Memory(snapshot())
    assert later.snapshot is snapshot()
    assert later.find(plain) is None
    assert later.lines_of(ConnectorKey("team", "tool")) is not memory.lines_of(ConnectorKey("team", "tool"))


def test_before_anything_serves() -> None:
    memory = Memory(None)
    assert memory.snapshot is None
    assert memory.find(told()[0]) is None


# -- evidence


def lasting() -> tuple[Evidence, CachedReview[str]]:
    evidence, answer = Evidence(lambda: 0.0, lambda: 0.0), CachedReview("yes", 0.0, None)
    evidence.rests_on(answer, 10.0, Counter())
    return evidence, answer


def test_what_evidence_no_longer_carries_is_forgotten_at_the_look_up(memory: Memory) -> None:
    evidence, answer = lasting()
    plain, passage = told(by=of("a", evidence))
    other, stays = told(b"X: y", by=of("a", lasting()[0]))
    learn(memory, plain, passage)
    learn(memory, other, stays)
    assert memory.find(plain) is passage
    answer.kept = False
    assert size(memory, "tool") == cost(plain, passage) + cost(other, stays)
    assert memory.find(plain) is None
    assert size(memory, "tool") == cost(other, stays)
    answer.kept = True
    assert memory.find(plain) is None, "what was found invalid once must not come back"
    assert memory.find(other) is stays
    learn(memory, plain, passage, 1)
    assert memory.find(plain) is passage


def test_evidence_of_nothing_is_never_used(memory: Memory) -> None:
    plain, passage = told(by=of("a", Evidence(lambda: 0.0, lambda: 0.0)))
    learn(memory, plain, passage)
    assert memory.find(plain) is None


# -- what a key tells of the caller's token


def token_mode(field: bytes) -> tuple[Plain, Passage]:
    """A caller who proved who it is by TOKEN in `field`, as --client-auth token finds it."""
    raw = head_of(field, b"X-Copy: of " + TOKEN, line=b"GET /x HTTP/1.1")
    head = parse_request(raw, header_count=8).head
    facts = CallerIdentity(TokenSecrets()).facts_now(head, find(head, snapshot(), HOSTS), snapshot())
    assert facts is not None
    assert facts.presented is not None
    return plain_of(raw), judged(raw, snapshot(), facts).passage


BASIC = b64encode(b"any:" + TOKEN)


@pytest.mark.parametrize("field", [b"Bearer " + TOKEN, b"Basic " + BASIC], ids=["Bearer", "Basic"])
def test_t27_of_a_callers_token_nothing_is_kept(memory: Memory, field: bytes) -> None:
    plain, passage = token_mode(b"Authorization: " + field)
    learn(memory, plain, passage)
    assert memory.find(plain) is passage
    # That the look is a good one: the tool's credential is found, which the passage is there to hold.
    assert texts_with(b64encode(b"robot:" + SECRET.encode()), memory)
    for text in (TOKEN, BASIC, TOKEN.hex().encode(), TOKEN[:-2], BASIC[:-4]):
        assert texts_with(text, memory, passage) == []


def test_a_key_is_a_digest_that_no_other_process_makes(memory: Memory) -> None:
    plain, passage = token_mode(b"Authorization: Bearer " + TOKEN)
    other = Memory(snapshot())
    for each in (memory, other):
        learn(each, plain, passage)
    ((key,), (others,)) = ([*each._passages] for each in (memory, other))
    assert len(key) >= 16 + len(plain.prefix)
    assert key != others
    assert key != sha256(plain.block).digest() + plain.prefix


def test_two_tokens_that_differ_in_the_last_byte_are_two_callers(memory: Memory) -> None:
    plain, passage = token_mode(b"Authorization: Bearer " + TOKEN)
    learn(memory, plain, passage)
    assert memory.find(plain_of(head_of(b"Authorization: Bearer " + TOKEN[:-1] + b"S", b"X-Copy: of " + TOKEN))) is None


# -- bounds and shares


def cost(plain: Plain, passage: Passage) -> int:
    return COST + (EVIDENCE_COST if passage.evidence else 0) + len(plain.prefix) + len(passage.tail)


def size(memory: Memory, name: str) -> int:
    return memory._shares[ConnectorKey("team", name)].size


def flood(memory: Memory, number: int, make: Callable[[int], tuple[Plain, Passage]]) -> list[Plain]:
    """Each block twice."""
    learned = [make(position) for position in range(number)]
    for plain, passage in learned:
        learn(memory, plain, passage)
    return [plain for plain, _ in learned]


def known(memory: Memory, plains: list[Plain]) -> int:
    return sum(memory.find(plain) is not None for plain in plains)


PAD = b"X-Pad: " + b"x" * 7000


def test_1030_blocks_of_7_kilobytes_push_out_nothing_of_others(memory: Memory) -> None:
    others = [told(b"X: %d" % number, to=name) for name in NAMES[1:] for number in range(3)]
    for plain, passage in others:
        learn(memory, plain, passage)
    flooded = flood(memory, 1030, lambda number: told(PAD, b"X: %d" % number))
    assert [memory.find(plain) for plain, _ in others] == [passage for _, passage in others]
    assert size(memory, "tool") <= MAX_SHARE
    assert known(memory, flooded) == MAX_SHARE // cost(*told(PAD, b"X: 1000"))
    assert memory.find(flooded[-1]) is not None
    assert memory.find(flooded[0]) is None
    assert held(memory) <= MAX_BYTES


SHARED = (Plan, Target, User, CachedReview, KnownLines)


def held(memory: Memory) -> int:
    """Bytes that the passages take, without what others hold as well."""
    return bytes_of(memory._passages, memory._shares, shared=SHARED)


def test_all_shares_together_stay_within_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = 96 * 1024
    monkeypatch.setattr("proxy.memory.MAX_BYTES", whole)
    memory = Memory(snapshot())
    for name in NAMES:
        flood(memory, 80, lambda number, name=name: told(b"X: %d" % number, to=name))  # type: ignore[misc]
        assert 0 < size(memory, name) <= whole // len(NAMES)
    # What is seen once has an eighth of a share beside it, and dicts have room for more than is in them.
    assert held(memory) <= whole * 5 // 4


@pytest.mark.parametrize("modes", ["none", "kubernetes"])
@pytest.mark.parametrize("pad", [0, 500, 5000])
def test_what_is_counted_is_what_is_held(memory: Memory, modes: str, pad: int) -> None:
    def one(number: int) -> tuple[Plain, Passage]:
        by = of(f"a{number}", lasting()[0]) if modes == "kubernetes" else ANYBODY
        return told(b"X: %d" % number, b"Y: " + b"y" * pad, by=by)

    flood(memory, 50, one)
    assert known(memory, [one(number)[0] for number in range(50)]) == 50
    assert held(memory) <= size(memory, "tool")


def test_a_full_share_forgets_its_own_oldest_first(memory: Memory) -> None:
    fits = MAX_SHARE // cost(*told(PAD, b"X: 10"))
    plains = flood(memory, fits + 5, lambda number: told(PAD, b"X: %d" % (number + 10)))
    assert [memory.find(plain) is not None for plain in plains] == [False] * 5 + [True] * fits


def test_a_caller_who_floods_pushes_out_its_own(memory: Memory) -> None:
    modest = flood(memory, 5, lambda number: told(b"X: %d" % number, by=of("modest")))
    flooded = flood(memory, 300, lambda number: told(PAD, b"X: %d" % number, by=of("greedy")))
    assert known(memory, modest) == len(modest)
    assert 0 < known(memory, flooded) < len(flooded)


def test_callers_who_all_want_everything_get_equal_shares(memory: Memory) -> None:
    asked = {name: [told(PAD, b"X: %s %d" % (name.encode(), at), by=of(name)) for at in range(80)] for name in "abc"}
    for name in "abc":
        for plain, passage in asked[name]:
            learn(memory, plain, passage)
    counts = [known(memory, [plain for plain, _ in asked[name]]) for name in "abc"]
    assert max(counts) - min(counts) <= 2
    assert min(counts) > 15


def test_callers_who_come_once_leave_nothing_behind(memory: Memory) -> None:
    flood(memory, 20, lambda number: told(PAD, b"X: %d" % number, by=of("first")))
    flood(memory, 1500, lambda number: told(PAD, b"X: %d" % (number + 1000), by=of(f"caller-{number}")))
    share = memory._shares[ConnectorKey("team", "tool")]
    assert len(share._callers) == len(share._sizes) == len(share._costs) == len(memory._passages) < 100


def test_blocks_seen_once_are_remembered_within_bounds(memory: Memory) -> None:
    plains = [told(b"X: %d" % number) for number in range(600)]
    for plain, passage in plains:
        learn(memory, plain, passage, 1)
    assert known(memory, [plain for plain, _ in plains]) == 0
    assert held(memory) <= MAX_SHARE // 4
    learn(memory, *plains[-1], 1)
    learn(memory, *plains[0], 1)
    assert memory.find(plains[-1][0]) is not None
    assert memory.find(plains[0][0]) is None, "it was forgotten as seen, and so was seen for the first time"


def test_what_is_larger_than_a_share_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.memory.MAX_SHARE", 4000)
    memory = Memory(snapshot())
    small, large = told(), told(PAD)
    learn(memory, *small)
    learn(memory, *large, 3)
    assert memory.find(small[0]) is small[1]
    assert memory.find(large[0]) is None


def test_with_shares_too_small_for_anything_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.memory.MAX_BYTES", 3 * 1000)
    memory = Memory(snapshot())
    plain, passage = told()
    learn(memory, plain, passage, 3)
    assert memory.find(plain) is None


def test_the_bounds_of_known_lines(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = memory.lines_of(ConnectorKey("team", "tool"))
    assert memory.lines_of(ConnectorKey("team", "tool")) is lines
    assert memory.lines_of(ConnectorKey("team", "one")) is not lines
    assert lines._budget == MAX_LINE_SHARE
    monkeypatch.setattr("proxy.memory.MAX_LINE_SHARE", MAX_LINE_BYTES)
    assert Memory(snapshot()).lines_of(ConnectorKey("team", "tool"))._budget == MAX_LINE_BYTES // len(NAMES)


# -- any history


@cache
def drawers() -> tuple[tuple[Plain, Passage, CachedReview[str]], ...]:
    """Requests of two Connectors and three callers in three sizes, each with the answer that it rests on."""

    def made() -> Iterator[tuple[Plain, Passage, CachedReview[str]]]:
        for name in NAMES[:2]:
            for caller in "abc":
                for pad in (0, 900, 2500):
                    evidence, answer = lasting()
                    fields = (b"X-Caller: " + caller.encode(), b"Y: " + b"y" * pad)
                    yield *told(*fields, to=name, by=of(caller, evidence)), answer

    return tuple(made())


@settings(max_examples=150)
@given(st.lists(st.tuples(st.sampled_from(["learn", "find", "ends"]), st.integers(0, 17)), max_size=80))
def test_any_history_keeps_the_books(steps: list[tuple[str, int]]) -> None:
    share, shelf = 9000, drawers()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("proxy.memory.MAX_SHARE", share)
        memory = Memory(snapshot())
    for _, _, answer in shelf:
        answer.kept = True
    for step, number in steps:
        plain, passage, answer = shelf[number]
        if step == "learn":
            memory.learn(plain, passage)
        elif step == "find":
            assert memory.find(plain) in ((passage, None) if answer.kept else (None,))
        else:
            answer.kept = False
        counted = [cost(*pair[:2]) for pair in shelf if memory._key(pair[0]) in memory._passages]
        assert sum(each.size for each in memory._shares.values()) == sum(counted)
        assert all(each.size <= share for each in memory._shares.values())
