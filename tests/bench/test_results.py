from __future__ import annotations

from pathlib import Path

import pytest

from bench.results import Machine, Report, Results, Sample, read, write


def results(**samples: list[float | None]) -> Results:
    made = Results()
    for peer, values in samples.items():
        for value in values:
            made.add("small-32", peer, Sample(value, 100.0, 1.0, 2.0))
    return made


@pytest.mark.parametrize(
    ("theirs", "own", "ratio"),
    [
        ([20e-6], [40e-6], 0.5),
        ([10e-6, 20e-6, 90e-6], [40e-6, 40e-6, 90e-6], 0.5),  # medians alone, 20 and 40, would hide the busy round
        ([10e-6, 30e-6], [40e-6], 0.25),  # a proxy that failed in the second round
        ([None], [40e-6], None),
        ([], [40e-6], None),
    ],
    ids=["one", "busy round", "failed later", "no process", "not measured"],
)
def test_a_ratio_is_the_median_of_the_rounds_own(
    theirs: list[float | None], own: list[float | None], ratio: float | None
) -> None:
    assert results(nginx=theirs, ours=own).ratio("small-32", "nginx", "ours") == (
        None if ratio is None else pytest.approx(ratio)
    )


def test_medians() -> None:
    found = Results()
    for cpu, rate, p50 in ((3.0, 10.0, 0.1), (1.0, 30.0, 0.3), (2.0, 20.0, 0.2)):
        found.add("small-1", "ours", Sample(cpu, rate, p50, None))
    assert (found.cpu("small-1", "ours"), found.rate("small-1", "ours")) == (2.0, 20.0)
    assert found.latency("small-1", "ours") == (0.2, None)
    assert found.cpu("small-1", "nobody") is None


def test_samples_keep_four_digits() -> None:
    found = results(ours=[123.456e-7])
    assert found.of("small-32", "ours")[0].cpu == 1.235e-05


def test_a_report_survives_its_file(tmp_path: Path) -> None:
    found = results(nginx=[2e-5, None], ours=[1e-4])
    found.fail("Envoy", "was not started")
    found.missing["Caddy"] = "Debian: caddy"
    machine = Machine(2, "Linux", "3.11.7", 0.5)
    report = Report(
        "abc", "2026-01-01T00:00Z", machine, 3, 1.0, {"nginx": "1"}, found, {"idle clients": {"bytes each": 1.0}}
    )
    write(tmp_path / "report.json", report)
    assert read(tmp_path / "report.json") == report
