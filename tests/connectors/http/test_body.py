from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.http.body import (
    MAX_CHUNK_LINE,
    MAX_CHUNKS,
    MAX_TRAILERS,
    BodyReader,
    ChunkedBody,
    EmptyBody,
    LengthBody,
    UntilCloseBody,
    body_reader,
    is_one_chunk,
)
from connectors.http.framing import CHUNKED, NO_BODY, UNTIL_CLOSE, BodyKind, Framing
from connectors.http.message import Headers, MessageError


def unchanged(trailers: Headers) -> Headers:
    return trailers


def without_x(trailers: Headers) -> Headers:
    return tuple(field for field in trailers if field[0] != b"X")


def feed_all(reader: BodyReader, pieces: Sequence[bytes]) -> tuple[bytes, bytes]:
    """What was passed on, and what lies behind the body; once done nothing more may be fed."""
    passed = b""
    for index, piece in enumerate(pieces):
        out, rest = reader.feed(piece)
        passed += out
        if reader.done:
            return passed, rest + b"".join(pieces[index + 1 :])
        assert not rest
    return passed, b""


def split(raw: bytes, cuts: Sequence[int]) -> list[bytes]:
    ends = sorted({min(cut, len(raw)) for cut in cuts} | {len(raw)})
    return [raw[start:end] for start, end in zip([0, *ends], ends, strict=False)]


CUTS = st.lists(st.integers(0, 400), max_size=12)
PIECES = st.binary(min_size=1, max_size=60)
DATA = st.lists(PIECES, max_size=5) | st.builds(lambda piece, count: [piece] * count, PIECES, st.integers(1, 5))
EXTENSION = st.sampled_from([b"", b";a", b' ; a="b;c"', b";\xff=1", b"\t;x"])
TRAILERS = st.lists(st.sampled_from([(b"X", b"1"), (b"Y", b"two"), (b"Y", b"")]), max_size=3).map(tuple)


def plain(data: list[bytes], trailers: Headers) -> bytes:
    """The chunked form without extensions: the oracle."""
    chunks = b"".join(b"%X\r\n%b\r\n" % (len(piece), piece) for piece in data)
    return chunks + b"0\r\n" + b"".join(b"%b: %b\r\n" % field for field in trailers) + b"\r\n"


@given(DATA, EXTENSION, TRAILERS, st.binary(max_size=30), CUTS)
def test_any_split_of_a_chunked_body_gives_the_same(
    data: list[bytes], extension: bytes, trailers: Headers, behind: bytes, cuts: list[int]
) -> None:
    chunks = b"".join(b"%X%b\r\n%b\r\n" % (len(piece), extension, piece) for piece in data)
    end = b"0" + extension + b"\r\n" + b"".join(b"%b: %b\r\n" % field for field in trailers) + b"\r\n"
    reader = ChunkedBody(without_x)
    passed, rest = feed_all(reader, split(chunks + end + behind, cuts))
    assert reader.done
    assert rest == behind
    assert passed == plain(data, without_x(trailers))
    decoded = feed_all(ChunkedBody(without_x, decode=True), split(chunks + end + behind, cuts))
    assert decoded == (b"".join(data), behind)


def take_all(reader: BodyReader, pieces: Sequence[bytes]) -> tuple[bytes, bytes]:
    """As `feed_all`, through a buffer in which other bytes stand behind those that have come."""
    passed, buffer = b"", bytearray(b"0\r\n\r\n" * 10_000)
    for index, piece in enumerate(pieces):
        start, end = MAX_TRAILERS - len(reader.pending), MAX_TRAILERS + len(piece)
        buffer[start:end] = reader.pending + piece
        out, position = reader.take(buffer, start, end)
        passed += b"".join(out)
        rest = bytes(buffer[position:end])
        if reader.done:
            return passed, rest + b"".join(pieces[index + 1 :])
        assert not rest
    return passed, b""


@given(
    st.one_of(
        st.tuples(DATA, EXTENSION, TRAILERS).map(lambda made: chunks_of(*made)),
        st.text("0123456789abcdefF\r\n; X:", max_size=80).map(str.encode),
    ),
    st.binary(max_size=30),
    CUTS,
    st.booleans(),
)
def test_bytes_that_stay_where_they_are_are_read_as_others(
    body: bytes, behind: bytes, cuts: list[int], decode: bool
) -> None:
    def outcome(read: Callable[[BodyReader, Sequence[bytes]], object]) -> object:
        reader = ChunkedBody(without_x, decode=decode)
        try:
            return read(reader, split(body + behind, cuts)), reader.done
        except MessageError as error:
            return error.refusal.message

    assert outcome(take_all) == outcome(feed_all)


@pytest.mark.parametrize("cut", range(1, 13))
def test_what_another_read_has_left_behind_is_not_read(cut: int) -> None:
    """The same bytes stand there from the last time."""
    body = b"3\r\nabc\r\n0\r\n\r\n"
    buffer, reader = bytearray(body), ChunkedBody(unchanged)
    pieces, position = reader.take(buffer, 0, cut)
    assert (b"".join(pieces) + reader.pending, position, reader.done) == (body[:cut], cut, False)
    start = cut - len(reader.pending)
    pieces, position = reader.take(buffer, start, len(body))
    assert (b"".join(pieces), position, reader.done) == (body[start:], len(body), True)


ALIKE = b"3\r\nabc\r\n3\r\ndef\r\n3\r\nghi\r\n0\r\n\r\n"


@pytest.mark.parametrize("cut", range(1, len(ALIKE)))
def test_chunks_of_one_size_pass_in_one_piece_up_to_what_has_come(cut: int) -> None:
    """The others stand behind it in the buffer, from the last time."""
    buffer, reader = bytearray(ALIKE), ChunkedBody(unchanged)
    pieces, _ = reader.take(buffer, 0, cut)
    assert len(pieces) <= 1
    assert b"".join(pieces) + reader.pending == ALIKE[:cut]
    start = cut - len(reader.pending)
    pieces, position = reader.take(buffer, start, len(ALIKE))
    assert (b"".join(pieces), position, reader.done) == (ALIKE[start:], len(ALIKE), True)


@pytest.mark.parametrize(
    "odd", [b"3\r\nabcd\r\n", b"3\r\nab\r\n0", b"3\r\nabc\n\n", b"3\n\nabc\r\n", b"3\r\nabc\r\r", b"-\r\nabc\r\n"]
)
def test_t11_one_chunk_that_is_not_like_those_before_it(odd: bytes) -> None:
    buffer = bytearray(b"3\r\nabc\r\n3\r\ndef\r\n" + odd + b"3\r\nghi\r\n0\r\n\r\n")
    with pytest.raises(MessageError):
        ChunkedBody(unchanged).take(buffer, 0, len(buffer))


def test_chunks_of_other_sizes_between_those_of_one_size() -> None:
    body = b"".join(b"%x\r\n%b\r\n" % (size, bytes(size)) for size in (3, 3, 30, 3, 3, 4, 4, 3, 3)) + b"0\r\n\r\n"
    reader = ChunkedBody(unchanged)
    assert reader.feed(body + b"behind") == (body, b"behind")
    assert reader.done


@pytest.mark.parametrize("length", [3, 5, 7])
def test_a_body_of_known_length_that_stays_where_it_is(length: int) -> None:
    reader = LengthBody(length)
    pieces, position = reader.take(bytearray(b"..abcde..."), 2, 7)
    assert (b"".join(pieces), position, reader.left) == (b"abcde"[:length], 2 + min(length, 5), max(0, length - 5))
    assert UntilCloseBody().take(bytearray(b"..abcde..."), 2, 7) == ([b"abcde"], 7)
    assert EmptyBody().take(bytearray(b"..abcde..."), 2, 7) == ([], 2)


def chunks_of(data: list[bytes], extension: bytes, trailers: Headers) -> bytes:
    """A chunked body whose sizes have this extension."""
    chunks = b"".join(b"%X%b\r\n%b\r\n" % (len(piece), extension, piece) for piece in data)
    return chunks + b"0" + extension + b"\r\n" + b"".join(b"%b: %b\r\n" % field for field in trailers) + b"\r\n"


@given(DATA, TRAILERS, st.binary(max_size=30), CUTS)
def test_decoding_gives_the_data(data: list[bytes], trailers: Headers, behind: bytes, cuts: list[int]) -> None:
    reader = ChunkedBody(unchanged, decode=True)
    passed, rest = feed_all(reader, split(plain(data, trailers) + behind, cuts))
    assert (passed, rest, reader.done) == (b"".join(data), behind, True)


@given(st.one_of(st.binary(max_size=300), st.text("0123456789abcdefF\r\n; X:", max_size=80).map(str.encode)), CUTS)
def test_garbage_is_refused_or_waited_for(raw: bytes, cuts: list[int]) -> None:
    try:
        passed, _ = feed_all(ChunkedBody(unchanged), split(raw, cuts))
    except MessageError:
        return
    assert len(passed) <= len(raw)


@given(st.binary(max_size=120), CUTS)
def test_a_verdict_does_not_depend_on_the_split(raw: bytes, cuts: list[int]) -> None:
    def outcome(pieces: list[bytes]) -> object:
        reader = ChunkedBody(unchanged)
        try:
            return feed_all(reader, pieces), reader.done
        except MessageError:
            return "refused"

    assert outcome(split(b"3\r\nabc\r\n" + raw, cuts)) == outcome([b"3\r\nabc\r\n" + raw])


REFUSED = {
    "0x before the size": b"0x5\r\nabcde\r\n",
    "sign": b"+5\r\nabcde\r\n",
    "negative": b"-5\r\n",
    "space before": b" 5\r\nabcde\r\n",
    "space behind": b"5 \r\nabcde\r\n",
    "underscore": b"1_0\r\n",
    "no size": b"\r\n",
    "not hex": b"g\r\n",
    "bare LF": b"5\nabcde\r\n",
    "bare LF first": b"\n5\r\n",
    "bare CR in an extension": b"5;a\rb\r\nabcde\r\n",
    "NUL in an extension": b"5;\0\r\nabcde\r\n",
    "size of 2**64": b"10000000000000000\r\n",
    "longer than its size": b"3\r\nabcde\r\n",
    "two other bytes for CRLF behind data": b"3\r\nabcXX0\r\n\r\n",
    "LF for CRLF behind data": b"3\r\nabc\n0\r\n\r\n",
    "endless size line": b"5;" + b"a" * MAX_CHUNK_LINE,
    "endless trailers": b"0\r\n" + b"X: a\r\n" * (MAX_TRAILERS // 6 + 1),
    "trailer with a bare LF": b"0\r\nX: a\nY: b\r\n\r\n",
    "folded trailer": b"0\r\nX: a\r\n b\r\n\r\n",
    "trailer without a colon": b"0\r\nGET / HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("bytewise", [False, True], ids=["whole", "byte by byte"])
@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED.keys())
def test_t11_chunk_framing(raw: bytes, bytewise: bool) -> None:
    pieces = [raw[i : i + 1] for i in range(len(raw))] if bytewise else [raw]
    with pytest.raises(MessageError):
        feed_all(ChunkedBody(unchanged), pieces)


def test_a_started_chunk_is_passed_on_before_it_ends() -> None:
    reader = ChunkedBody(unchanged)
    assert reader.feed(b"a\r\nabc") == (b"a\r\nabc", b"")
    assert not reader.done


@given(st.binary(max_size=100), st.binary(max_size=30), CUTS)
def test_a_body_of_known_length_ends_there(data: bytes, behind: bytes, cuts: list[int]) -> None:
    reader = LengthBody(len(data))
    assert reader.done is (not data)
    if data:
        assert feed_all(reader, split(data + behind, cuts)) == (data, behind)
        assert reader.done


def test_no_body_passes_nothing_and_until_close_everything() -> None:
    assert EmptyBody().feed(b"next") == (b"", b"next")
    assert UntilCloseBody().feed(b"data") == (b"data", b"")
    assert not UntilCloseBody().done


@pytest.mark.parametrize(
    ("framing", "kind"),
    [
        (NO_BODY, EmptyBody),
        (Framing(BodyKind.LENGTH, 3), LengthBody),
        (CHUNKED, ChunkedBody),
        (UNTIL_CLOSE, UntilCloseBody),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_each_framing_has_its_reader(framing: Framing, kind: type) -> None:
    assert type(body_reader(framing, unchanged)) is kind


def test_decode_reaches_the_reader() -> None:
    assert body_reader(CHUNKED, unchanged, decode=True).feed(b"3\r\nabc\r\n0\r\n\r\n") == (b"abc", b"")


@pytest.mark.parametrize("decode", [False, True])
def test_tiny_chunks_are_read_in_turns(decode: bool) -> None:
    """One peer's bytes of a few hundred chunks are a turn's work; the rest comes back to be fed again."""
    body = b"1\r\nx\r\n" * (3 * MAX_CHUNKS) + b"0\r\n\r\n"
    reader = body_reader(CHUNKED, unchanged, decode=decode)
    out, data, turns = b"", body + b"next", 0
    while not reader.done:
        passed, data = reader.feed(data)
        assert passed.count(b"x") <= MAX_CHUNKS
        out, turns = out + passed, turns + 1
    assert (out, data, turns) == (b"x" * (3 * MAX_CHUNKS) if decode else body, b"next", 4)


@pytest.mark.parametrize(
    ("body", "is_one"),
    [
        (b"2\r\nab\r\n0\r\n\r\n", True),
        (b"02\r\nab\r\n0\r\n\r\n", True),
        (b"A\r\n0123456789\r\n0\r\n\r\n", True),
        (b"0\r\n\r\n", False),
        (b"2;a\r\nab\r\n0\r\n\r\n", False),
        (b"2 \r\nab\r\n0\r\n\r\n", False),
        (b"2\nab\r\n0\r\n\r\n", False),
        (b"2\r\nab\r\n0\r\nX: y\r\n\r\n", False),
        (b"2\r\nab\r\n0\r\n\r\nHTTP", False),
        (b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n", False),
        (b"3\r\nab\r\n0\r\n\r\n", False),
        (b"1" * 16 + b"\r\nab\r\n0\r\n\r\n", False),
        (b"-1\r\n\r\n0\r\n\r\n", False),
        (b"", False),
    ],
)
def test_one_chunk(body: bytes, is_one: bool) -> None:
    assert is_one_chunk(body) is is_one


@given(DATA, st.lists(st.sampled_from([b"", b"\r\n", b"0", b";a", b"2\r\nab\r\n0\r\n\r\n"]), max_size=2), CUTS)
def test_one_chunk_passes_as_the_reader_passes_it(data: list[bytes], noise: list[bytes], cuts: list[int]) -> None:
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in data)
    body = b"".join(split(chunks + b"0\r\n\r\n", cuts[:1])) + b"".join(noise)
    if is_one_chunk(body):
        reader = ChunkedBody(unchanged)
        assert reader.feed(body) == (body, b"")
        assert reader.done
    else:
        assert len(data) != 1 or any(noise)
