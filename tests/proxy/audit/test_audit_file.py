from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from proxy.audit.audit_file import STANDARD_OUTPUT, AuditFile
from tests.peers.descriptors import descriptors


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.log"


@pytest.fixture
def file(path: Path) -> AuditFile:
    made = AuditFile(str(path))
    made.open()
    return made


def test_it_is_created_for_its_owner_alone_and_appended_to(path: Path, file: AuditFile) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert file.append(b"one\n") == 4
    other = AuditFile(str(path))
    other.open()
    other.append(b"two\n")
    file.append(b"three\n")
    assert path.read_bytes() == b"one\ntwo\nthree\n"


def test_what_exists_keeps_its_mode(path: Path) -> None:
    path.write_bytes(b"old\n")
    path.chmod(0o640)
    file = AuditFile(str(path))
    file.open()
    file.append(b"new\n")
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"old\nnew\n", 0o640)


def test_nothing_is_opened_anew_while_the_name_is_the_same(path: Path, file: AuditFile) -> None:
    assert not file.follow()
    file.append(b"one\n")
    assert not file.follow()
    assert path.read_bytes() == b"one\n"


def test_a_rename_is_followed(path: Path, file: AuditFile) -> None:
    file.append(b"one\n")
    path.rename(path.with_suffix(".1"))
    assert file.follow()
    file.append(b"two\n")
    assert (path.with_suffix(".1").read_bytes(), path.read_bytes()) == (b"one\n", b"two\n")


def test_another_file_of_the_same_name_is_followed(path: Path, file: AuditFile) -> None:
    other = path.with_suffix(".new")
    other.write_bytes(b"")
    other.replace(path)
    assert file.follow()
    file.append(b"two\n")
    assert path.read_bytes() == b"two\n"


def test_a_renamed_file_goes_on_while_there_can_be_no_new_one(path: Path, file: AuditFile) -> None:
    moved = path.with_suffix(".1")
    path.rename(moved)
    path.mkdir()
    with pytest.raises(IsADirectoryError):
        file.follow()
    file.append(b"still\n")
    assert moved.read_bytes() == b"still\n"


def test_a_removed_file_that_cannot_be_created_again_takes_nothing(path: Path, file: AuditFile) -> None:
    path.unlink()
    path.mkdir()
    with pytest.raises(IsADirectoryError):
        file.follow()
    with pytest.raises(FileNotFoundError):
        file.append(b"lost\n")


def test_a_closed_file_is_opened_by_following(path: Path, file: AuditFile) -> None:
    file.close()
    file.close()
    with pytest.raises(FileNotFoundError):
        file.append(b"x")
    assert file.follow()
    file.append(b"one\n")
    assert path.read_bytes() == b"one\n"


def test_a_pipe_that_nobody_reads_does_not_hold_the_process(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(OSError, match="No such device or address"):
        AuditFile(str(path)).open()


def test_no_descriptor_is_left_behind(path: Path, file: AuditFile) -> None:
    for _ in range(3):
        path.rename(path.with_suffix(".1"))
        file.follow()
        file.open()
    assert [target for _, target in descriptors() if target.startswith(str(path.parent))] == [str(path)]


def test_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    file = AuditFile(STANDARD_OUTPUT)
    file.open()
    assert not file.follow()
    file.append(b"one\n")
    file.close()
    file.append(b"two\n")
    assert capfd.readouterr().out == "one\ntwo\n"
    assert str(file) == "standard output"


@pytest.mark.parametrize(("content", "torn"), [(b"", False), (b"a\n", False), (b"a\nb", True), (b"\x00", True)])
def test_whether_its_end_is_torn(tmp_path: Path, content: bytes, torn: bool) -> None:
    path = tmp_path / "audit.log"
    path.write_bytes(content)
    assert AuditFile(str(path)).torn is torn


def test_of_what_is_no_file_nobody_can_tell(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "absent", tmp_path / "pipe", tmp_path, "-"):
        assert not AuditFile(str(path)).torn


def test_in_a_pipe_that_others_write_to_only_whole_lines_go_at_once() -> None:
    reading, writing = os.pipe()
    before = os.dup(1)
    os.dup2(writing, 1)
    try:
        line = b"x" * 999 + b"\n"
        assert AuditFile(STANDARD_OUTPUT, shared=True).append(line * 10) == 4000
        assert AuditFile(STANDARD_OUTPUT).append(line * 10) == 10_000
    finally:
        os.dup2(before, 1)
        for descriptor in (before, reading, writing):
            os.close(descriptor)


def test_in_a_file_everything_goes_at_once(path: Path) -> None:
    file = AuditFile(str(path), shared=True)
    file.open()
    assert file.append(b"x" * 999_999 + b"\n") == 1_000_000
    file.close()
