from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path

import pytest
import trustme

from connectors.tls.serving import Serving
from proxy.buffers import PIECE, InPieces, Reading
from proxy.secured import MAX_ANSWERED, SEALED, Secured
from tests.peers.handshakes import client_context
from tests.peers.tls_client import APPLICATION, HALF_A_KEY_UPDATE, HANDSHAKE, Records, logging_context
from tests.peers.trust import key_pair


class Wire(asyncio.Transport):
    """TCP's transport: what was sent, and how it was ended."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.ended = ""
        self.reading = True
        self.protocol: asyncio.BaseProtocol | None = None

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def get_extra_info(self, name: str, default: object = None) -> object:
        return ("192.0.2.7", 1) if name == "peername" else default

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += bytes(data)

    def get_write_buffer_size(self) -> int:
        return len(self.sent)

    def close(self) -> None:
        self.ended = self.ended or "close"

    def abort(self) -> None:
        self.ended = "abort"

    def is_closing(self) -> bool:
        return bool(self.ended)

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def taken(self) -> bytes:
        taken, self.sent = self.sent, b""
        return taken


class Client(InPieces):
    """What stands behind TLS."""

    def __init__(self) -> None:
        self.got = b""
        self.pieces: list[bytes] = []
        self.calls: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.calls.append("made")

    def get_buffer(self, sizehint: int) -> memoryview:
        return memoryview(bytearray(PIECE))

    def data_received(self, data: bytes) -> None:
        self.got += data
        self.pieces.append(data)

    def pause_writing(self) -> None:
        self.calls.append("pause")

    def resume_writing(self) -> None:
        self.calls.append("resume")

    def eof_received(self) -> None:
        self.calls.append("eof")

    def connection_lost(self, exc: Exception | None) -> None:
        self.calls.append("lost")


def arrives(protocol: asyncio.BaseProtocol, data: bytes) -> None:
    """As uvloop reads it."""
    while isinstance(protocol, Reading) and data:
        buffer = protocol.get_buffer(-1)
        size = min(len(buffer), len(data))
        buffer[:size] = data[:size]
        protocol.buffer_updated(size)
        buffer[:] = bytes(len(buffer))  # it is lent to others now
        data = data[size:]
    if data:
        assert isinstance(protocol, Secured)
        protocol.data_received(data)


class Line:
    """A TLS client, and the proxy's end."""

    def __init__(self, authority: trustme.CA, certificate: trustme.LeafCert, log: Path | None = None) -> None:
        """`log`: where the secrets of the connection go, for who crafts records."""
        serving = Serving(lambda _: None)
        serving.serve(key_pair(certificate))
        self.client, self.wire = Client(), Wire()
        self.secured = Secured(serving.now, self.client)
        self.secured.connection_made(self.wire)
        self._to_peer, self._from_peer = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = client_context(authority.cert_pem.bytes())
        if log:
            logging_context(context, log)
        self.peer = context.wrap_bio(self._to_peer, self._from_peer, server_hostname="localhost")

    def shake(self) -> None:
        for _ in range(3):
            try:
                self.peer.do_handshake()
            except ssl.SSLWantReadError:
                self.carry()
        self.carry()

    def carry(self, size: int = 0) -> None:
        """Everything that one end has said reaches the other, in pieces of `size` toward the proxy."""
        said = self._from_peer.read()
        size = size or len(said) or 1
        for start in range(0, len(said), size):
            arrives(self.wire.protocol or self.secured, said[start : start + size])
        self._to_peer.write(self.wire.taken())

    def seen(self) -> bytes:
        """What the peer can read; it ends with a dollar where a close_notify came."""
        self.carry()
        seen = b""
        try:
            while data := self.peer.read():
                seen += data
        except ssl.SSLWantReadError:
            return seen
        return seen + b"$"


@pytest.fixture
async def fresh(authority: trustme.CA, localhost_certificate: trustme.LeafCert) -> Line:
    """Before the handshake."""
    return Line(authority, localhost_certificate)


@pytest.fixture
async def line(fresh: Line) -> Line:
    fresh.shake()
    return fresh


@pytest.mark.parametrize("plain", [b"GET / HTTP/1.1\r\n\r\n", b"\x17\x03\x09 GET / HTTP/1.1\r\n"])
async def test_t33_what_is_plain_within_tls_gets_no_plain_answer(line: Line, plain: bytes) -> None:
    line.secured._answer_plain = lambda: b"HTTP/1.1 400 Bad Request\r\n"
    arrives(line.secured, plain + b"Host: a\r\n GET / HTTP/1.1\r\n\r\n")
    assert b"HTTP" not in line.wire.sent
    assert line.wire.ended == "close"


async def test_the_client_connection_has_its_transport_from_the_start(fresh: Line) -> None:
    assert fresh.client.calls == ["made"]
    assert fresh.secured.get_extra_info("peername") == ("192.0.2.7", 1)
    fresh.secured.write(b"nobody could read it")
    fresh.secured.write_eof()
    assert fresh.wire.sent == b""
    fresh.secured.close()
    assert (fresh.wire.sent, fresh.wire.ended) == (b"", "close")


@pytest.mark.parametrize("size", [1, 7, 0], ids=["bytes", "pieces", "at once"])
async def test_both_ways_however_it_arrives(line: Line, size: int) -> None:
    long = bytes(range(256)) * 300
    line.peer.write(b"one")
    line.peer.write(long[:16000])
    line.carry(size)
    assert line.client.got == b"one" + long[:16000]
    line.secured.write(long)
    assert line.secured.get_write_buffer_size() > len(long)
    assert line.seen() == long


async def test_records_that_come_together_are_passed_on_as_one(line: Line) -> None:
    for data in (b"one", b"two", b"three"):
        line.peer.write(data)
    line.carry()
    line.peer.write(b"four")
    line.carry()
    assert line.client.pieces == [b"onetwothree", b"four"]


async def test_what_comes_behind_the_end_of_this_direction_is_passed_on_record_by_record(line: Line) -> None:
    line.secured.write_eof()
    for data in (b"one", b"two"):
        line.peer.write(data)
        line.carry()
    assert line.client.pieces == [b"one", b"two"]


async def test_flow_control_is_tcps(line: Line) -> None:
    line.secured.pause_reading()
    assert not line.wire.reading
    line.peer.write(b"on its way already")
    line.carry()
    assert line.client.got == b""
    line.secured.resume_reading()
    assert line.wire.reading
    assert line.client.got == b"", "never within the call: who resumes is in the midst of something"
    await asyncio.sleep(0)
    assert line.client.got == b"on its way already"
    line.secured.pause_writing()
    line.secured.resume_writing()
    assert line.client.calls == ["made", "pause", "resume"]


async def test_one_direction_can_be_closed_alone(line: Line) -> None:
    line.peer.write(b"before")
    line.secured.write(b"answer")
    line.secured.write_eof()
    line.secured.write_eof()
    line.secured.write(b"too late")
    assert line.seen() == b"answer$"
    line.peer.write(b", after")
    line.carry()
    assert line.client.got == b"before, after"
    assert not line.secured.is_closing()
    line.peer.unwrap()
    line.carry()
    assert line.wire.ended == "close"


def ends_while_something_waits(line: Line) -> None:
    """This end says its last word while something of the peer's is there and not read, and then goes on reading."""
    line.secured.pause_reading()
    line.peer.write(b"before")
    line.carry()
    line.secured.write_eof()
    line.secured.resume_reading()


async def test_what_was_not_read_yet_survives_the_end_of_the_other_direction(line: Line) -> None:
    ends_while_something_waits(line)
    await asyncio.sleep(0)
    line.peer.write(b", after")
    line.carry()
    assert (line.client.got, line.wire.ended) == (b"before, after", "")
    assert line.seen() == b"$"


async def test_what_came_before_the_end_of_the_other_direction_goes_before_what_came_since(line: Line) -> None:
    ends_while_something_waits(line)
    line.peer.write(b", after")
    line.carry()
    assert line.client.got == b"before, after"


async def test_closing_says_goodbye_and_waits_for_nobody(line: Line) -> None:
    line.secured.write(b"answer")
    line.secured.close()
    assert line.wire.ended == "close"
    assert line.seen() == b"answer$"
    line.secured.close()
    assert line.wire.sent == b""


async def test_the_others_goodbye_ends_it_behind_what_came_before(line: Line) -> None:
    line.peer.write(b"last")
    with pytest.raises(ssl.SSLWantReadError):
        line.peer.unwrap()
    line.carry()
    assert (line.client.got, line.wire.ended) == (b"last", "close")


async def test_an_abort_is_tcps_and_the_end_is_told_once(line: Line) -> None:
    line.secured.abort()
    assert line.wire.ended == "abort"
    assert line.wire.sent == b""
    line.secured.connection_lost(None)
    line.secured.abort()
    line.secured.close()
    line.secured.write(b"x")
    line.secured.resume_reading()
    await asyncio.sleep(0)
    assert line.secured.is_closing()
    assert line.secured.get_write_buffer_size() == 0
    assert line.secured.get_extra_info("peername") is None
    assert line.client.calls == ["made", "lost"]


async def test_what_is_no_tls_is_closed_without_a_word(fresh: Line, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    fresh.secured.data_received(b"GET /?canary-1c9e HTTP/1.1\r\n\r\n")
    assert (fresh.client.got, fresh.wire.ended) == (b"", "close")
    assert caplog.records == []


async def test_what_was_changed_on_its_way_is_never_passed_on(line: Line) -> None:
    line.peer.write(b"harmless")
    said = bytearray(line._from_peer.read())
    said[-1] ^= 1
    line.secured.data_received(bytes(said))
    assert (line.client.got, line.wire.ended) == (b"", "close")
    with pytest.raises(ssl.SSLError, match="BAD_RECORD_MAC"):
        line.seen()


@pytest.fixture
def crafted(authority: trustme.CA, localhost_certificate: trustme.LeafCert, tmp_path: Path) -> tuple[Line, Records]:
    """A connection behind its handshake, and the records that its client could send."""
    log = tmp_path / "keys.log"
    line = Line(authority, localhost_certificate, log)
    line.shake()
    cipher = line.peer.cipher()
    assert cipher is not None
    return line, Records(cipher[0], log)


def test_records_that_are_crafted_are_understood(crafted: tuple[Line, Records]) -> None:
    line, records = crafted
    line.secured.data_received(records.record(APPLICATION, b"one") + records.updated())
    line.secured.data_received(records.record(APPLICATION, b"two"))
    assert line.client.got == b"onetwo"
    line.secured.write(b"answer")
    assert line.seen() == b"answer"


def test_a_key_update_is_answered_though_data_comes_behind_it(crafted: tuple[Line, Records]) -> None:
    """The last of several is answered by OpenSSL when it next writes."""
    line, records = crafted
    line.wire.taken()
    line.secured.data_received(records.updated() + records.updated() + records.record(APPLICATION, b"one"))
    assert line.client.got == b"one"
    assert line.wire.sent


def test_half_a_key_update_ends_the_connection_once_something_is_to_be_sent(
    crafted: tuple[Line, Records], caplog: pytest.LogCaptureFixture
) -> None:
    """OpenSSL refuses to send meanwhile: that must not be raised into whoever has an answer."""
    line, records = crafted
    line.secured.data_received(records.record(APPLICATION, b"hello") + records.record(HANDSHAKE, HALF_A_KEY_UPDATE))
    line.secured.write(b"answer")
    assert line.wire.ended == "abort"
    line.secured.write(b"more")
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]


def test_answers_to_key_updates_do_not_pile_up(crafted: tuple[Line, Records]) -> None:
    line, records = crafted
    count = 0
    while not line.wire.ended and count < 100_000:
        line.secured.data_received(records.updated())
        count += 1
    assert line.wire.ended == "abort"
    assert len(line.wire.sent) < 2 * MAX_ANSWERED
    assert count > 100, "clients that update their keys now and then are served"


@pytest.mark.parametrize("how", ["goodbye", "rubbish"])
def test_the_client_connection_hears_of_the_end(crafted: tuple[Line, Records], how: str) -> None:
    line, records = crafted
    line.secured.data_received(records.record(21, b"\x01\x00") if how == "goodbye" else b"rubbish, rubbish")
    assert line.client.calls == ["made", "eof"]


def test_a_large_burst_leaves_no_large_buffer(crafted: tuple[Line, Records]) -> None:
    line, records = crafted
    burst = b"".join(records.record(APPLICATION, b"x" * 16_000) for _ in range(32))
    before = line.secured._incoming.pending
    line.secured.data_received(burst)
    assert len(line.client.got) == 32 * 16_000
    assert line.secured._incoming.pending == before == 0


def test_an_odd_server_name_is_no_news(authority: trustme.CA, localhost_certificate: trustme.LeafCert) -> None:
    """What nobody catches would be a failure here: pytest makes one of it."""
    line = Line(authority, localhost_certificate)
    with pytest.raises(ssl.SSLWantReadError):
        line.peer.do_handshake()
    line.secured.data_received(line._from_peer.read().replace(b"localhost", b"\xff\xfecal\nost"))
    assert line.wire.sent, "the handshake goes on, or ends with an alert"


def test_t32_under_tls_a_read_has_one_record() -> None:
    """OpenSSL's buffer grows with what it gets at once, and stays so."""
    secured = Secured(ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), Client())
    assert len(secured.get_buffer(-1)) == SEALED
