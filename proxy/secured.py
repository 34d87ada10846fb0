"""TLS between a TCP connection and what is said on it: toward clients as it is here, toward tools in secured_tool.py.

Not asyncio's own: that tells of a connection when its handshake is over, so that it cannot be counted, refused or ended
before, and of one that failed it tells nothing; it cannot close one direction, which a refusal of a long body takes
(proxy/client.py); it waits for the other end's goodbye, which many never say; and it hides what is still to be sent.
Here the client connection has its transport from the start, and everything is done by TCP's, as without TLS.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, cast

from proxy.buffers import MOST, InPieces, Reading

# Bytes that are decrypted at once; a record has 16 KiB at most (RFC 8446 section 5.1).
CHUNK = 32 * 1024
# Bytes of one read: what a record holds at most, so that each read ends one and OpenSSL holds nothing back.
RECORD = 16 * 1024
# Bytes of a read: one record, with its head and what encryption adds (RFC 8446 section 5.2). OpenSSL's buffer grows to
# a third more than is put into it at once, and stays so: 43 KiB of each connection for reads of 32 KiB.
SEALED: Final = RECORD + 5 + 256
# Bytes in a lent buffer beyond which another record might not fit: OpenSSL would hold a part of it back.
FULL: Final = MOST - RECORD
# Bytes of answers to the protocol itself in a connection's life: a handshake's, and a thousand key updates'.
MAX_ANSWERED = 64 * 1024

# What OpenSSL says of a handshake that begins with something else than TLS.
_NOT_TLS = frozenset({"HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "WRONG_VERSION_NUMBER"})

logger = logging.getLogger(__name__)


class Secured(asyncio.Transport, asyncio.BufferedProtocol):
    """A TCP connection's protocol, and the transport of `client`. Silence in the handshake is the client's timeout."""

    def __init__(
        self,
        context: ssl.SSLContext,
        client: InPieces,
        server_name: str | None = None,
        session: ssl.SSLSession | None = None,
        answer_plain: Callable[[], bytes] | None = None,
    ) -> None:
        """`server_name`: whom this end calls, and whose certificate it takes; None: this end is the server.

        `session`: one of this context's that may be resumed. `answer_plain` makes what a client is told that does not
        speak TLS.
        """
        super().__init__()
        self._client = client
        self._read_into = memoryview(b"")
        self._answer_plain = answer_plain
        self._deliver: Callable[[bytes], object] = client.data_received
        self._lent: Reading | None = None
        self._tcp: asyncio.Transport | None = None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        # As bytes: ssl would send a text through IDNA's codec, for 10 us, and a host is ASCII already.
        name = server_name.encode("ascii") if server_name is not None else None
        self._tls = context.wrap_bio(self._incoming, self._outgoing, name is None, name, session)
        self._shaken = False
        self._ended = False
        self._paused = False
        self._ahead = b""
        self._answered = 0

    # -- TCP's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The client connection begins at once: a client speaks first."""
        self._tcp = cast("asyncio.Transport", transport)
        self._client.connection_made(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """For one read: what is said goes to others at once, or stays here while reading is paused."""
        self._read_into = cast("memoryview", self._client.get_buffer(sizehint))[:SEALED]
        return self._read_into

    def buffer_updated(self, nbytes: int) -> None:
        """So much has come."""
        self.data_received(bytes(self._read_into[:nbytes]))

    def data_received(self, data: bytes) -> None:
        """Decrypt it. Nearly all that comes is one record, and passed on from here: the long way costs a fifth more."""
        if len(data) <= CHUNK:
            incoming = self._incoming
            incoming.write(data)
            if self._paused or self._ended or not self._shaken:
                self._advance()
                return
            try:
                said = self._tls.read(RECORD)
            except ssl.SSLError as error:
                self._stopped(error)
                return
            if not said:
                self._say_over()
            elif incoming.pending or self._outgoing.pending:
                self._ahead = said
                self._advance()
            else:
                self._deliver(said)
            return
        # In pieces: a buffer of OpenSSL's stays as large as it ever was, for as long as there is the connection.
        view = memoryview(data)
        for start in range(0, len(data), CHUNK):
            self._incoming.write(view[start : start + CHUNK])
            self._advance()

    def connection_lost(self, exc: Exception | None) -> None:
        """TCP's connection is gone."""
        self._tcp = None
        self._client.connection_lost(exc)

    def pause_writing(self) -> None:
        """The other end reads more slowly than it is written to."""
        self._client.pause_writing()

    def resume_writing(self) -> None:
        """The other end has caught up."""
        self._client.resume_writing()

    # -- the client connection's side

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What TCP's transport knows, and `ssl_object`, by which asyncio's own transports say that they speak TLS."""
        if name == "ssl_object":
            return self._tls
        return self._tcp.get_extra_info(name, default) if self._tcp else default

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send."""
        if self._ended or not self._shaken:
            return
        try:
            if len(data) > CHUNK:
                self._write_much(memoryview(data))
                return
            sent = self._tls.write(data)
            while sent < len(data):
                sent += self._tls.write(memoryview(data)[sent:])
        except ssl.SSLError as error:
            # Half of a key update or of another hello has come, and OpenSSL sends nothing before the other half comes.
            logger.debug("a connection's TLS failed: %s", error.reason)
            self._ended = True
            self.abort()
            return
        if self._tcp is not None:
            self._tcp.write(self._outgoing.read())

    def _write_much(self, rest: memoryview) -> None:
        """Encrypt in pieces, and send them together.

        OpenSSL takes all at once if it may, and its buffer stays as large as that: 600 KiB of each connection.
        """
        pieces = []
        while rest:
            rest = rest[self._tls.write(rest[:RECORD]) :]
            pieces.append(self._outgoing.read())
        if self._tcp is not None:
            self._tcp.writelines(pieces)

    def get_write_buffer_size(self) -> int:
        """What the kernel has not taken yet."""
        return self._tcp.get_write_buffer_size() if self._tcp else 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """How much of that may wait before `pause_writing` is called, and may still when `resume_writing` is."""
        if self._tcp:
            self._tcp.set_write_buffer_limits(high, low)

    def pause_reading(self) -> None:
        """What has come by now stays encrypted."""
        self._paused = True
        if self._tcp:
            self._tcp.pause_reading()

    def resume_reading(self) -> None:
        """Go on, with that first."""
        if not self._paused:
            return
        self._paused = False
        if self._tcp:
            self._tcp.resume_reading()
            asyncio.get_running_loop().call_soon(self._go_on)

    def is_reading(self) -> bool:
        """Whether what comes is passed on."""
        return not self._paused

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Let `protocol` have what comes from now on; only while reading is paused (proxy/buffers.py).

        Where it reads a large body, TCP's transport reads into a lent buffer as well, and it is decrypted from the one
        into the other: no object is made of any of it.
        """
        self._client = cast("InPieces", protocol)
        below: asyncio.BaseProtocol = self
        if isinstance(protocol, Reading):
            self._lent = protocol
            sealed = protocol.lender.sealed
            below = Reading(sealed, self, lambda count: self._unseal(sealed.lend(count)), protocol.room)
        else:
            self._lent = None
            self._deliver = self._client.data_received
        if self._tcp is not None:
            self._tcp.set_protocol(below)

    def can_write_eof(self) -> bool:
        """A close_notify ends one direction (RFC 8446 section 6.1)."""
        return True

    def write_eof(self) -> None:
        """Nothing more will be sent; what comes is still passed on."""
        if self._ended or not self._shaken:
            return
        self._ended = True
        with suppress(ssl.SSLError):
            # What is there already goes first: OpenSSL would take it for an answer to the close_notify, and fail.
            self._ahead += self._decrypted()[0]
            self._tls.unwrap()  # raises: the other end has not said it
        self._flush()

    def close(self) -> None:
        """Close behind what is still to be sent. The other end's close_notify is not waited for, as RFC 8446 allows."""
        if self._tcp and not self._tcp.is_closing():
            self.write_eof()
            self._tcp.close()

    def is_closing(self) -> bool:
        """Whether nothing more will come."""
        return self._tcp is None or self._tcp.is_closing()

    def abort(self) -> None:
        """Close at once."""
        if self._tcp:
            self._tcp.abort()

    # -- TLS

    def _advance(self) -> None:
        """The handshake, and then what was said, as far as it has come."""
        if self._paused or self._tcp is None or self._tcp.is_closing():
            return
        try:
            if not self._shaken:
                self._tls.do_handshake()
                self._shaken = True
                self._shook()
                if not self._incoming.pending:
                    return
            data, over = self._decrypted()
        except ssl.SSLWantReadError:
            self._flush()
            return
        except ssl.SSLError as error:
            self._failed(error)
            return
        if not self._outgoing.pending or self._answer():
            self._pass_on(data, over)

    def _answer(self) -> bool:
        """Send what is not data: answers to key updates, and to attempts to shake hands again; whether that may go on.

        A peer that does not read could make them pile up.
        """
        self._answered += self._outgoing.pending
        if self._answered > MAX_ANSWERED:
            self.abort()
            return False
        self._flush()
        return True

    def _go_on(self) -> None:
        """With what came before reading was paused."""
        if self._lent is None:
            self._advance()
        else:
            self._unseal(memoryview(b""))

    def _unseal(self, sealed: memoryview) -> bool:
        """Decrypt what has come of a large body into the lent buffer, and pass it on; whether the other side took all.

        `sealed` has been read just now, into another one.
        """
        taken = True
        while (lent := self._lent) is not None and not (self._paused or self.is_closing()):
            count, sealed, end = self._opened(lent.lender.lend(MOST), sealed)
            if self._outgoing.pending and end is None and not self._answer():
                return True
            if count:
                taken = lent.take(count)
            if end is not None:
                self._stopped(end)
                return taken
            if count <= FULL and not sealed:
                return taken
        # As in data_received: it belongs to the next message, or reading has been paused.
        while sealed:
            self._incoming.write(sealed[:CHUNK])
            sealed = sealed[CHUNK:]
            self._go_on()
        return taken

    def _opened(self, buffer: memoryview, sealed: memoryview) -> tuple[int, memoryview, ssl.SSLError | None]:
        """Decrypt into `buffer` what fits, of what came before and of `sealed`; but answers are sent before more is.

        Gives back how many bytes that made, what of `sealed` is left, and what has ended it: SSLZeroReturnError where
        the other end has said goodbye, another one if what comes next is not TLS, or was changed on its way.
        """
        incoming, outgoing, read = self._incoming, self._outgoing, self._tls.read
        count = min(len(self._ahead), MOST)
        if count:
            buffer[:count], self._ahead = self._ahead[:count], self._ahead[count:]
        while True:
            try:
                while incoming.pending and count <= FULL:
                    if not (got := cast("int", read(RECORD, buffer[count:]))):
                        return count, sealed, ssl.SSLZeroReturnError()
                    count += got
            except ssl.SSLWantReadError:
                pass  # a part of a record: the rest comes next
            except ssl.SSLError as error:
                # Without the frames that it was raised through: they hold views of the buffers.
                return count, sealed, error.with_traceback(None)
            if count > FULL or not sealed or outgoing.pending:
                return count, sealed, None
            incoming.write(sealed[:CHUNK])
            sealed = sealed[CHUNK:]

    def _pass_on(self, data: bytes, over: bool) -> None:
        if self._ahead:
            data, self._ahead = self._ahead + data, b""
        if data:
            self._deliver(data)
        if over:
            self._say_over()

    def _stopped(self, error: ssl.SSLError) -> None:
        """OpenSSL gives nothing: not yet, or because nothing more comes, or because it is not TLS."""
        if isinstance(error, ssl.SSLWantReadError):
            self._advance()  # it may have something to answer
        elif isinstance(error, ssl.SSLZeroReturnError):
            self._say_over()
        else:
            self._failed(error)

    def _say_over(self) -> None:
        self._client.eof_received()
        self.close()

    def _shook(self) -> None:
        """The handshake is over, and its last word is still to be sent."""
        self._flush()

    def _failed(self, error: ssl.SSLError) -> None:
        """It is not TLS: another protocol, a scan, or a client that does not trust the certificate. No news."""
        logger.debug("a client's TLS failed: %s", error.reason)
        self._flush()  # the alert that says why
        if self._answer_plain and self._tcp and not self._shaken and error.reason in _NOT_TLS:
            # OpenSSL has taken what would be a record's head; the rest of a request line is still there.
            line, _, _ = self._incoming.read(CHUNK).partition(b"\r\n")
            self._tcp.write(self._answer_plain() if b" HTTP/1." in line else b"")
        self._ended = True
        self._client.eof_received()
        self.close()

    def _decrypted(self) -> tuple[bytes, bool]:
        """What has come, and whether it was the last.

        Raises:
            SSLError: it is not TLS, or was changed on its way.
        """
        incoming, read = self._incoming, self._tls.read
        first = b""
        rest: list[bytes] = []  # joined: to a relay, fewer and larger pieces are worth the copy
        try:
            # Until nothing is left, and not until OpenSSL says so: that costs more than a small record does.
            while incoming.pending:
                if not (data := read(RECORD)):
                    return b"".join((first, *rest)), True
                if first:
                    rest.append(data)
                else:
                    first = data
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:  # so it is said once this end has closed, too
            return b"".join((first, *rest)), True
        return b"".join((first, *rest)) if rest else first, False

    def _flush(self) -> None:
        if self._tcp and (data := self._outgoing.read()):
            self._tcp.write(data)
