from __future__ import annotations

import asyncio
import errno
import logging
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from connectors.objects.secret import KeyPair
from connectors.tls.loading import KeyPairError
from connectors.tls.serving import MAX_BYTES, POLL, Mounted, PairFiles, Serving
from tests.peers.clock import FakeClock
from tests.peers.trust import encrypted, key_pair
from tests.peers.volume import Volume


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    return Volume(tmp_path / "pair")


@pytest.fixture
def serving() -> Serving:
    return Serving(lambda _: None)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def mounted(volume: Volume, serving: Serving, clock: FakeClock) -> Mounted:
    return Mounted(PairFiles(volume.certificate, volume.key), serving, clock)


@pytest.fixture(scope="module")
def pairs(authority: trustme.CA) -> tuple[KeyPair, KeyPair]:
    one, other = (key_pair(authority.issue_cert("127.0.0.1")) for _ in range(2))
    return one, other


async def test_it_follows_the_link(
    volume: Volume, serving: Serving, clock: FakeClock, mounted: Mounted, pairs: tuple[KeyPair, ...]
) -> None:
    running = asyncio.create_task(mounted.run())
    try:
        await clock.advance(0)
        missing = mounted.missing()
        assert missing is not None
        assert f"{volume.certificate}: No such file or directory" in missing
        for pair in pairs:
            volume.put(pair)
            await clock.advance(POLL)
            assert mounted.missing() is None
            assert not serving.serve(pair), "it is served already"
    finally:
        running.cancel()


def test_half_a_change_leaves_the_certificate_before(
    volume: Volume, serving: Serving, mounted: Mounted, pairs: tuple[KeyPair, ...], caplog: pytest.LogCaptureFixture
) -> None:
    before, after = pairs
    volume.put(before)
    mounted.look()
    (volume.folder / "..data" / "tls.crt").write_bytes(after.chain)
    with caplog.at_level(logging.DEBUG):
        mounted.look()
        mounted.look()
    assert not serving.serve(before)
    assert mounted.missing() is None
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "keeping the one before" in warnings[0]
    assert f"{volume.certificate} and {volume.key}: " in warnings[0]
    assert "PRIVATE" not in caplog.text


def test_the_same_problem_is_warned_of_again_after_a_recovery(
    volume: Volume, mounted: Mounted, pairs: tuple[KeyPair, ...], caplog: pytest.LogCaptureFixture
) -> None:
    for told, pair in enumerate(pairs, start=1):
        volume.certificate.unlink(missing_ok=True)
        for _ in range(3):
            mounted.look()
        assert caplog.text.count("trying again") == told
        volume.put(pair)
        mounted.look()
    assert mounted.missing() is None


def _unreadable(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("which", ["certificate", "key"])
@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (Path.unlink, "{}: No such file or directory"),
        (_unreadable, "{}: Too many levels of symbolic links"),
        (_pipe, "{} is not a file"),
        (lambda path: path.write_bytes(b"canary-7a31"), "{} holds no "),
        (lambda path: path.write_bytes(b"0" * (MAX_BYTES + 1)), "{} is larger than 1 MiB"),
    ],
    ids=["absent", "unreadable", "a pipe", "junk", "too large"],
)
def test_who_cannot_begin_without_is_told_which_file_is_wrong(
    which: str, spoil: Callable[[Path], None], why: str, volume: Volume, mounted: Mounted, pairs: tuple[KeyPair, ...]
) -> None:
    volume.put(pairs[0])
    path: Path = getattr(volume, which)
    spoil(path)
    with pytest.raises(KeyPairError, match=re.escape(why.format(path))) as caught:
        mounted.load()
    assert "canary" not in str(caught.value)


def test_an_encrypted_key_is_called_that(volume: Volume, mounted: Mounted, pairs: tuple[KeyPair, ...]) -> None:
    volume.put(KeyPair(pairs[0].chain, encrypted(pairs[0].key)))
    with pytest.raises(KeyPairError, match="the key is encrypted; give one without a passphrase"):
        mounted.load()


def test_one_file_may_hold_both(
    tmp_path: Path, serving: Serving, pairs: tuple[KeyPair, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    pair, served = pairs[0], list[KeyPair]()
    path = tmp_path / "both.pem"
    path.write_bytes(pair.key.reveal() + pair.chain)

    def serve(given: KeyPair) -> bool:
        served.append(given)
        return True

    monkeypatch.setattr(serving, "serve", serve)
    Mounted(PairFiles(path, path), serving, FakeClock()).load()
    assert b"CERTIFICATE" not in served[0].key.reveal()


def test_a_pipe_in_the_place_of_a_file_holds_nobody_up(
    tmp_path: Path, serving: Serving, pairs: tuple[KeyPair, ...]
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "chain.pem").write_bytes(pairs[0].chain)
    with pytest.raises(KeyPairError, match="is not a file"):
        Mounted(PairFiles(tmp_path / "chain.pem", tmp_path / "pipe"), serving, FakeClock()).load()


def test_without_a_descriptor_to_spare_it_is_tried_again(
    volume: Volume, mounted: Mounted, pairs: tuple[KeyPair, ...], caplog: pytest.LogCaptureFixture
) -> None:
    volume.put(pairs[0])

    def none_left(*_: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "memfd_create", none_left)
        mounted.look()
    assert "Too many open files" in caplog.text
    mounted.look()
    assert mounted.missing() is None
