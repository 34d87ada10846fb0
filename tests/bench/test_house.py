from __future__ import annotations

from pathlib import Path

from bench.house import House

ONE = '''"""Whoever reads this."""

from proxy.two import Two


class Plan:  # a reason
    """It is no plan."""


class _Own:  # noqa: N801
    pass
'''
TWO = "class Plan:\n    pass\n\n\nclass Two:\n    pass\n"


def test_each_number_counts_what_its_name_says(tmp_path: Path) -> None:
    for path, text in {
        "proxy/__init__.py": "",
        "proxy/one.py": ONE,
        "proxy/two.py": TWO,
        "tests/test_a.py": "a\n",
    }.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    assert dict(House(tmp_path).numbers()) == {
        "files with code": "2",
        "lines": "17",
        "lines of a file, median": "8.5",
        "files of at most 40 lines": "2",
        "files that one other imports": "1",
        "public class names with two meanings": "1",
        "lines with a comment": "5.9 %",
        "odd words": "2",
        "memory of proxy when its modules are loaded": "no .venv",
        "memory of controller when its modules are loaded": "no .venv",
        "files of tests": "1",
        "lines of tests": "1",
    }
