from __future__ import annotations

import contextlib
import datetime
import ssl
from collections.abc import Callable

import pytest
import trustme

from proxy.secured_tool import MAX_AGE, MAX_POOLS, MAX_STRIKES, WORTH, Sessions
from tests.peers.handshakes import client_context

VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
AUTHORITY = trustme.CA()
CLIENT = client_context(AUTHORITY.cert_pem.bytes())
POOL, OTHER = "pool", "other"


def server_context(
    version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3, *, tickets: bool = True, ends: datetime.datetime | None = None
) -> ssl.SSLContext:
    """A tool's. Without tickets there are still ids, with TLS 1.2. `ends`: its certificate does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("localhost", not_after=ends).configure_cert(context)
    context.maximum_version = version
    if not tickets:
        context.num_tickets = 0
        context.options |= ssl.OP_NO_TICKET
    return context


def shaken(server: ssl.SSLContext, session: ssl.SSLSession | None = None) -> ssl.SSLObject:
    """A client's end of a connection, with what the tool says behind the handshake read."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = CLIENT.wrap_bio(to_client, to_server, server_hostname="localhost", session=session)
    tool = server.wrap_bio(to_server, to_client, server_side=True)
    ends = [client, tool, client, tool, client]
    for end in ends:
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
    tool.write(b"answer")
    assert client.read(100) == b"answer"
    with contextlib.suppress(ssl.SSLWantReadError):
        tool.unwrap()  # a tool forgets the id of a connection that ended without
    return client


class Times:
    """The clocks of a test."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.wall = datetime.datetime.now(datetime.UTC).timestamp()

    def pass_by(self, seconds: float) -> None:
        self.now += seconds
        self.wall += seconds


def made(times: Times | None = None, is_current: Callable[[str], bool] = lambda _: True) -> Sessions[str]:
    times = times or Times()
    return Sessions(is_current, lambda: times.now, lambda: times.wall)


def learn(sessions: Sessions[str], server: ssl.SSLContext, pool: str = POOL) -> ssl.SSLSession | None:
    """Have the session of a full handshake learnt, and offered."""
    sessions.learn(pool, CLIENT, shaken(server), sessions.now())
    return sessions.offered(pool, CLIENT)


@pytest.mark.parametrize(
    "server",
    [
        pytest.param(server_context(ssl.TLSVersion.TLSv1_2), id="1.2"),
        pytest.param(server_context(ssl.TLSVersion.TLSv1_2, tickets=False), id="1.2 by ids"),
        pytest.param(server_context(), id="1.3"),
    ],
)
def test_what_is_offered_is_resumed_by_the_tool_again_and_again(server: ssl.SSLContext) -> None:
    sessions = made()
    assert sessions.offered(POOL, CLIENT) is None
    assert sessions.wanted(POOL, CLIENT)
    session = learn(sessions, server)
    for _ in range(3):
        assert shaken(server, session).session_reused
        assert session is not None
        sessions.answered(POOL, session, resumed=True)
    assert sessions.offered(POOL, CLIENT) is session
    assert not sessions.wanted(POOL, CLIENT), "one is enough: to read another would cost as much as it saves"


def test_t13_a_session_is_offered_in_its_own_pool_only() -> None:
    sessions = made()
    assert learn(sessions, server_context()) is not None
    assert sessions.offered(OTHER, CLIENT) is None
    assert sessions.wanted(OTHER, CLIENT)


def test_t22_a_session_is_offered_with_the_context_that_verified_the_tool_only() -> None:
    """ssl itself refuses it: but for a dial that would be a failure."""
    sessions, another = made(), client_context(AUTHORITY.cert_pem.bytes())
    session = learn(sessions, server_context())
    assert sessions.offered(POOL, another) is None
    assert sessions.wanted(POOL, another)
    with pytest.raises(ValueError, match="different SSLContext"):
        another.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost", session=session)


@VERSIONS
def test_t22_an_hour_behind_the_full_handshake_nothing_is_offered_however_often_it_was_resumed(
    version: ssl.TLSVersion,
) -> None:
    times, server = Times(), server_context(version)
    sessions = made(times)
    session = learn(sessions, server)
    assert session is not None
    times.pass_by(MAX_AGE - 1)
    assert sessions.offered(POOL, CLIENT) is session
    sessions.answered(POOL, session, resumed=True)
    times.pass_by(1)
    assert sessions.offered(POOL, CLIENT) is None
    assert sessions.wanted(POOL, CLIENT)
    assert sessions.pools == 0


def test_t22_the_hour_runs_from_the_handshake_and_not_from_the_first_answer() -> None:
    times = Times()
    sessions = made(times)
    verified = sessions.now()
    times.pass_by(MAX_AGE - 1)
    sessions.learn(POOL, CLIENT, shaken(server_context()), verified)
    assert sessions.offered(POOL, CLIENT) is not None
    times.pass_by(1)
    assert sessions.offered(POOL, CLIENT) is None


@pytest.mark.parametrize("seconds", [60, 7200], ids=["soon", "later"])
def test_t22_a_certificate_that_has_ended_is_looked_at_again(seconds: int) -> None:
    times = Times()
    ends = datetime.datetime.fromtimestamp(int(times.wall) + seconds, datetime.UTC).replace(tzinfo=None)
    sessions = made(times)
    assert learn(sessions, server_context(ends=ends)) is not None
    times.pass_by(61)
    assert (sessions.offered(POOL, CLIENT) is None) is (seconds == 60)


def test_a_tool_that_gives_no_sessions_is_left_alone() -> None:
    times, server = Times(), server_context(tickets=False)
    sessions = made(times)
    for _ in range(MAX_STRIKES):
        assert sessions.wanted(POOL, CLIENT)
        assert learn(sessions, server) is None
    assert not sessions.wanted(POOL, CLIENT)
    assert sessions.wanted(OTHER, CLIENT)
    times.pass_by(MAX_AGE)
    assert sessions.wanted(POOL, CLIENT), "it may have changed since"


def test_a_tool_that_takes_each_session_once_is_left_alone() -> None:
    sessions, server = made(), server_context()
    for _ in range(MAX_STRIKES):
        assert sessions.wanted(POOL, CLIENT)
        session = learn(sessions, server)
        assert session is not None
        sessions.answered(POOL, session, resumed=True)
        sessions.answered(POOL, session, resumed=False)
        assert sessions.offered(POOL, CLIENT) is None
    assert not sessions.wanted(POOL, CLIENT)


def test_a_tool_that_changes_its_keys_now_and_then_is_not() -> None:
    sessions, server = made(), server_context()
    for _ in range(MAX_STRIKES + 1):
        assert sessions.wanted(POOL, CLIENT)
        session = learn(sessions, server)
        assert session is not None
        for _ in range(WORTH):
            sessions.answered(POOL, session, resumed=True)
        sessions.answered(POOL, session, resumed=False)
        sessions.answered(POOL, session, resumed=False)  # another connection, with the same
        assert sessions.offered(POOL, CLIENT) is None


def test_that_an_earlier_session_was_not_taken_says_nothing_of_the_one_there_is() -> None:
    sessions, server = made(), server_context()
    earlier = learn(sessions, server)
    assert earlier is not None
    sessions.answered(POOL, earlier, resumed=False)
    session = learn(sessions, server)
    sessions.answered(POOL, earlier, resumed=False)
    assert sessions.offered(POOL, CLIENT) is session


def test_t13_sessions_go_with_their_pools() -> None:
    current = {POOL, OTHER}
    sessions = made(is_current=lambda pool: pool in current)
    learn(sessions, server_context())
    learn(sessions, server_context(), OTHER)
    current.remove(POOL)
    sessions.forget([POOL])
    assert sessions.offered(POOL, CLIENT) is None
    assert sessions.offered(OTHER, CLIENT) is not None
    assert learn(sessions, server_context()) is None, "one that was under way"
    assert sessions.pools == 1


def test_what_is_old_is_let_go_of_though_nobody_asks() -> None:
    times = Times()
    sessions = made(times)
    learn(sessions, server_context())
    sessions.forget_old()
    times.pass_by(MAX_AGE - 1)
    sessions.forget_old()
    assert sessions.pools == 1
    times.pass_by(61)
    sessions.forget_old()
    assert sessions.pools == 0


def test_pools_are_bounded_and_the_last_used_stay() -> None:
    sessions, tool = made(), shaken(server_context())
    sessions.learn(POOL, CLIENT, tool, sessions.now())
    for number in range(MAX_POOLS):
        assert sessions.offered(POOL, CLIENT) is not None
        sessions.learn(f"pool {number}", CLIENT, tool, sessions.now())
    assert sessions.pools == MAX_POOLS
    assert sessions.offered("pool 0", CLIENT) is None
