from __future__ import annotations

from bench.cluster import MIB, Rest
from bench.probes import Crowd, Size, Steady, crowd_rows, steady_rows, table
from bench.tools import Manner, Told

WELL = Told(Manner.WELL, 600, 3, [58.0, 60.0, 64.0], [1.0, 67.0])
HANGING = Told(Manner.HANGING, 10, 4, [500.0], [900.0])
WHOLE = Told(Manner.WELL, 610, 7, [58.0, 60.0, 64.0, 500.0], [1.0, 67.0, 900.0])
FOUND = Steady(9.0, 12.3, 200 * MIB, Rest(120.0, 1.22, 3, 9), WHOLE, (WELL, HANGING), (0, 7))


def test_rows_of_the_steady_state() -> None:
    rows = dict(steady_rows(FOUND))
    assert rows["CPU seconds a minute"] == "0.6"
    assert rows["CPU milliseconds a request"] == "2.00"
    assert rows["requests/s to tools"] == "5"
    assert (rows["at once at one that works, at most"], rows["at once at one that hangs, at most"]) == ("3", "4")


def test_a_connector_that_was_forgotten_is_the_longest_gap_and_those_of_a_hanging_tool_are_none() -> None:
    rows = dict(steady_rows(FOUND))
    assert rows["between two liveness probes, at tools that work: shortest, median s"] == "58.0, 60.0"
    assert rows["the same, longest of all, s"] == "67.0"


def test_tables() -> None:
    rows = crowd_rows(Crowd(20.0, 30.0, 4.0, Told(Manner.WELL, 2000, 4, [], [])))
    assert table("1,000 Connectors on one tool", rows).splitlines() == [
        "| 1,000 Connectors on one tool | |",
        "|---|--:|",
        "| the tool was asked for everything after, s | 20 |",
        "| requests/s to the tool until then | 100 |",
        "| at once at the tool, at most | 4 |",
        "| all Ready after, s | 30 |",
        "| CPU seconds until then | 4.0 |",
    ]


def test_connectors_are_spread_over_the_tools_and_those_that_work_are_known() -> None:
    size = Size(2, 5, (Manner.WELL, Manner.HANGING, Manner.REFUSING), 0.0)
    assert size.well == {"tool-0", "tool-3"}
