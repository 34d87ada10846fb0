from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from connectors.process.whole_lines import ATOMIC, WholeLines, at_most_whole_lines, is_file


@pytest.mark.parametrize(
    ("data", "most", "size"),
    [
        (b"", 8, 0),
        (b"ab\n", 8, 3),
        (b"abc\nabc\nabc\n", 8, 8),
        (b"abc\nabcdef\n", 8, 4),
        (b"abcdefghijk\nabc\n", 8, 12),
        (b"abcdefghijk", 8, 11),
    ],
)
def test_whole_lines_and_not_too_many_of_them(data: bytes, most: int, size: int) -> None:
    assert at_most_whole_lines(data, most) == size


def test_what_is_a_file(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as file:
        assert is_file(file.fileno())
    reading, writing = os.pipe()
    assert not is_file(writing)
    os.close(reading)
    os.close(writing)
    assert not is_file(writing)


def test_nothing_is_written_before_a_flush() -> None:
    reading, writing = os.pipe()
    lines = WholeLines(writing)
    assert lines.writable()
    lines.write("a\n")
    lines.write("\udcffé\n")
    os.set_blocking(reading, False)
    with pytest.raises(BlockingIOError):
        os.read(reading, 100)
    lines.flush()
    lines.flush()
    assert os.read(reading, 100) == b"a\n\\udcff\xc3\xa9\n"
    os.close(reading)
    os.close(writing)


WRITER = """
import sys
from connectors.process.whole_lines import WholeLines
lines = WholeLines(1)
for turn in range(60):
    for _ in range(100):
        lines.write(sys.argv[1] * 99 + chr(10))
    lines.flush()
"""


def test_two_processes_write_into_one_pipe_and_no_line_is_divided() -> None:
    reading, writing = os.pipe()
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, letter], stdout=writing, cwd=Path(__file__).parents[3])
        for letter in "ab"
    ]
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        found = pipe.read().splitlines()
    assert [writer.wait(10) for writer in writers] == [0, 0]
    assert sorted(found) == [b"a" * 99] * 6000 + [b"b" * 99] * 6000
    assert ATOMIC >= 512


def test_the_rest_of_a_write_that_was_cut_short_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:3]))
    lines = WholeLines(writing)
    lines.write("abcdefgh\n")
    lines.flush()
    assert os.read(reading, 100) == b"abcdefgh\n"
    os.close(reading)
    os.close(writing)
