from __future__ import annotations

import os
from pathlib import Path

import pytest

from connectors.sources.files import (
    RECENT_NS,
    UnreadableFileError,
    is_foreign,
    is_recent,
    list_files,
    look_at,
    read_file,
    size_of,
)


def names(*paths: Path) -> list[str]:
    return [Path(file).name for file in list_files(paths).files]


def test_manifests_below_a_directory_sorted(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("z.yaml", "b/c.yml", "a.json", "b/d.txt", "e.yaml.swp", "README"):
        (tmp_path / name).touch()
    assert names(tmp_path) == ["a.json", "c.yml", "z.yaml"]


def test_paths_keep_the_order_of_the_command_line_and_a_file_counts_once(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yaml", "c.conf"):
        (tmp_path / name).touch()
    assert names(tmp_path / "c.conf", tmp_path / "b.yaml", tmp_path) == ["c.conf", "b.yaml", "a.yaml"]


def test_links_are_followed_and_loops_end(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "x.yaml").touch()
    (inside / "there").symlink_to(outside)
    (inside / "back").symlink_to(inside)
    (outside / "round").symlink_to(inside)
    (inside / "lost.yaml").symlink_to(tmp_path / "nowhere")
    assert names(inside) == ["x.yaml"]


def test_a_link_to_itself_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").symlink_to("a.yaml")
    assert list(list_files([tmp_path]).broken) == [str(tmp_path / "a.yaml")]


def test_a_projected_volume_is_listed_once(tmp_path: Path) -> None:
    (tmp_path / "..2024").mkdir()
    (tmp_path / "..2024" / "a.yaml").touch()
    (tmp_path / "..data").symlink_to("..2024")
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
    assert list(list_files([tmp_path]).files) == [str(tmp_path / "a.yaml")]


def test_a_missing_path_is_told(tmp_path: Path) -> None:
    listing = list_files([tmp_path / "lacking"])
    assert listing.files == {}
    assert listing.broken == {str(tmp_path / "lacking"): "no such file or directory; correct the path, or create it"}


def test_a_signature_changes_with_the_content(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("a")
    before = list_files([tmp_path])
    assert list_files([tmp_path]) == before
    file.write_text("ab")
    assert list_files([tmp_path]) != before


@pytest.mark.parametrize(
    ("now", "recent"),
    [(10**18, True), (10**18 + RECENT_NS - 1, True), (10**18 + RECENT_NS, False), (10**18 - RECENT_NS, False)],
)
def test_a_signature_just_made_may_hide_one_more_change(now: int, *, recent: bool, tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(b"12345")
    os.utime(file, ns=(10**18, 10**18))
    (signature,) = list_files([file]).files.values()
    assert is_recent(signature, now) is recent
    assert size_of(signature) == 5


def test_reads_up_to_a_limit(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(b"12345")
    assert read_file(str(file), 10) == b"12345"
    assert read_file(str(file), 3) == b"1234"
    with pytest.raises(FileNotFoundError):
        read_file(str(tmp_path / "b.yaml"), 10)


def test_a_pipe_or_a_directory_does_not_hold_it_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.yaml")
    for path in (tmp_path / "a.yaml", tmp_path):
        with pytest.raises(UnreadableFileError):
            read_file(str(path), 10)


def test_what_editors_write_beside_a_file_is_foreign(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "sub")
    for name in ("a.yaml", "notes.txt", ".a.yaml.part"):
        (tmp_path / name).write_text("x")
    known = [str(tmp_path / "a.yaml"), str(tmp_path / "gone.d" / "b.yaml")]
    foreign = {
        name: is_foreign(str(tmp_path / name), known)
        for name in ("notes.txt", ".a.yaml.part", "never.part", "new.yaml", "sub", "link", "gone.d", "..data")
    }
    assert [name for name, found in foreign.items() if found] == ["notes.txt", ".a.yaml.part", "never.part"]


def test_some_files_are_looked_at_alone(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text("x")
    whole = list_files([tmp_path]).files
    assert look_at(whole) == whole
    assert look_at([]) == {}
    (tmp_path / "a.yaml").unlink()
    assert look_at(whole) is None, "one has gone"
    (tmp_path / "a.yaml").mkdir()
    assert look_at(whole) is None, "one is a file no more"
