"""What a process knows of the credentials for upstream proxies."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path

import pytest

from connectors.sources.upstream_logins import MAX_BYTES, POLL, UpstreamLogins
from tests.builders import secret, secret_of
from tests.peers.clock import FakeClock


def logins(*files: Path, clock: FakeClock | None = None) -> UpstreamLogins:
    return UpstreamLogins([(file.name, str(file)) for file in files], clock or FakeClock())


def taken(known: UpstreamLogins) -> dict[str, bytes] | None:
    found = known.taken()
    return None if found is None else {name: login.reveal() for name, login in found.items()}


async def test_a_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    file, clock, news = tmp_path / "lab", FakeClock(), asyncio.Event()
    file.write_bytes(b"u:one\n")
    known = logins(file, clock=clock)
    known.subscribe(news.set)
    assert taken(known) == {"lab": b"u:one"}
    assert taken(known) is None
    running = asyncio.create_task(known.run())
    await clock.advance(POLL)
    assert not news.is_set()
    file.write_bytes(b"u:two\n")
    await clock.advance(POLL)
    assert news.is_set()
    assert taken(known) == {"lab": b"u:two"}
    running.cancel()


async def test_without_a_file_nothing_is_looked_at() -> None:
    await logins().run()


def test_a_login_that_stays_keeps_its_instance(tmp_path: Path) -> None:
    file = tmp_path / "lab"
    file.write_bytes(b"u:one")
    known = logins(file)
    before = known.taken()
    file.write_bytes(b"u:one\n")
    known.look()
    assert known.taken() is None
    known.in_secret("other", secret(kind="kubernetes.io/basic-auth", username=b"u", password=b"p"))
    after = known.taken()
    assert before is not None
    assert after is not None
    assert before["lab"] is after["lab"]


@pytest.mark.parametrize("content", [b"", b"canary", b"u:canary\nX: y", b"u:" + b"p" * MAX_BYTES + b"\n\n", None])
def test_what_cannot_be_used_leaves_the_login_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes | None
) -> None:
    file = tmp_path / "lab"
    file.write_bytes(b"u:one")
    known = logins(file)
    assert taken(known) == {"lab": b"u:one"}
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    caplog.set_level(logging.INFO)
    known.look()
    known.look()
    assert known.taken() is None
    (told,) = caplog.messages
    assert told.startswith("the credentials of upstream proxy lab cannot be used: ")
    assert "canary" not in told
    assert str(tmp_path) not in told


def test_at_the_start_it_is_missing_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    os.mkfifo(tmp_path / "pipe")
    known = logins(tmp_path / "none", tmp_path / "pipe")
    assert taken(known) == {}
    assert [told.rpartition(": ")[2] for told in caplog.messages] == ["No such file or directory", "it is not a file"]


def test_a_secret_comes_and_goes(caplog: pytest.LogCaptureFixture) -> None:
    known = logins()
    good = secret(kind="kubernetes.io/basic-auth", username=b"u", password=b"canary")
    for held, login in (
        (good, {"lab": b"u:canary"}),
        (None, {}),
        (secret(username=b"u", password=b"p"), None),
        (good, {"lab": b"u:canary"}),
        (secret(kind="kubernetes.io/basic-auth", username=b"u:v", password=b"canary"), {}),
    ):
        known.in_secret("lab", held)
        assert taken(known) == login
    assert "canary" not in caplog.text


@pytest.mark.parametrize(
    ("text", "login"),
    [
        (b"u:p", b"u:p"),
        (b"u:p\n", b"u:p"),
        (b"u:p\r\n", b"u:p"),
        (b"u:p:q r", b"u:p:q r"),
        (b":", b":"),
        (b"", None),
        (b"u", None),
        (b"u:p\n\n", None),
        (b"u:p\nX: y", None),
        (b"u:p\0", None),
    ],
)
def test_what_a_file_may_hold(tmp_path: Path, text: bytes, login: bytes | None) -> None:
    (tmp_path / "lab").write_bytes(text)
    assert taken(logins(tmp_path / "lab")) == ({} if login is None else {"lab": login})


@pytest.mark.parametrize(
    ("data", "login"),
    [
        ({"username": b"u", "password": b"p:q"}, b"u:p:q"),
        ({"username": b"u:v", "password": b"p"}, None),
        ({"username": b"u", "password": b"p\r\nX: y"}, None),
        ({"password": b"p"}, None),
        ({"username": b"u"}, None),
    ],
)
def test_what_a_secret_may_hold(data: dict[str, bytes], login: bytes | None) -> None:
    known = logins()
    known.in_secret("lab", secret_of(data, "kubernetes.io/basic-auth"))
    assert taken(known) == ({} if login is None else {"lab": login})
