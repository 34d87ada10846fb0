from __future__ import annotations

from bench.shares import parse_report, table

REPORT = """
# Samples: 3K of event 'cpu-clock'
# Overhead  Shared Object
# ........  ........................................
    61.27%  [kernel.kallsyms]
    28.68%  libpython3.11.so.1.0
     3.78%  loop.cpython-311-x86_64-linux-gnu.so
     0.62%  _core.cpython-311-x86_64-linux-gnu.so
     0.16%  [vdso]
     0.06%  _rust_notify.abi3.so
"""


def test_a_report_by_part() -> None:
    shares = parse_report(REPORT)
    assert shares == {"kernel": 61.27, "libpython3.11": 28.68, "uvloop": 3.78, "msgspec": 0.62, "others": 0.22}


def test_the_largest_part_of_the_first_column_comes_first() -> None:
    assert table(
        {"one": {"all": 9.0, "kernel": 3.0, "libc": 6.0}, "two": {"all": 4.0, "kernel": 4.0}}
    ).splitlines() == [
        "| us per request | one | two |",
        "|---|--:|--:|",
        "| all | 9.0 | 4.0 |",
        "| libc | 6.0 | 0.0 |",
        "| kernel | 3.0 | 4.0 |",
    ]
