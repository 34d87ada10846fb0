"""What was measured as a page: docs/performance.json -> the generated part of docs/performance.md, and a picture.

`python -m bench.report` makes both again from the JSON. The rest of the page is written by hand.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from bench.peers.nginx import NGINX
from bench.picture import picture
from bench.results import MICRO, Reached, Report, read, write
from bench.scenarios import AGAINST, ALONE, SCENARIOS, Scenario
from standalone.demo import CHECKOUT

OURS = "Connectors"
JSON, PAGE, PICTURE = "performance.json", "performance.md", "performance.svg"
BEGIN = "<!-- From here: made by `make bench` out of performance.json; change bench/report.py instead. -->"
END = "<!-- To here. -->"
FIRST = SCENARIOS[0]
# From here on a value is shown without a fraction.
HUNDRED = 100


class PageError(Exception):
    """The page has no place for what is generated."""


def publish(report: Report, docs: Path) -> None:
    """Write JSON, page and picture. The run that was published before becomes part of the history.

    Raises:
        PageError: the page lacks the two lines between which it is generated.
    """
    if (docs / JSON).exists():
        report.history = history(read(docs / JSON), report.commit)
    write(docs / JSON, report)
    render(docs)


def render(docs: Path) -> None:
    """Page and picture from the JSON as it is.

    Raises:
        PageError: as for `publish`.
    """
    report = read(docs / JSON)
    page = (docs / PAGE).read_text(encoding="utf-8")
    (docs / PAGE).write_text(between(page, generated(report)), encoding="utf-8")
    (docs / PICTURE).write_text(picture(report.results, OURS), encoding="utf-8")


def history(before: Report, commit: str) -> list[Reached]:
    """All earlier runs, oldest first; of one commit the last, and none of `commit` itself."""
    runs = {one.commit: one for one in (*before.history, reached(before))}
    return [one for one in runs.values() if one.commit != commit]


def reached(report: Report) -> Reached:
    """Its ratios, for the history."""
    ratios = {one.key: report.results.ratio(one.key, NGINX.name, OURS) for one in SCENARIOS}
    known = {key: round(ratio, 3) for key, ratio in ratios.items() if ratio is not None}
    return Reached(report.commit, report.when, known)


def between(page: str, text: str) -> str:
    """The page with this text in its generated part.

    Raises:
        PageError: there is no such part.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise PageError(f"the page lacks the line {END if begin else BEGIN!r}")
    return f"{before}{BEGIN}\n\n{text}\n{END}{after}"


def generated(report: Report) -> str:
    """The part that is not written by hand, in Markdown."""
    parts = [_how(report), f"![CPU by proxy, and ratios by scenario]({PICTURE})"]
    parts += ["### Against the targets", _targets(report)]
    parts += ["### Every proxy", _every(report), _details(report)]
    parts += ["### This proxy alone", _alone(report)] if report.alone else []
    return "\n\n".join([*parts, *_left_out(report)]) + "\n"


def _how(report: Report) -> str:
    machine = report.machine
    versions = ", ".join(f"{name} {version}" for name, version in report.peers.items() if version and name != OURS)
    return (
        f"Measured at commit {report.commit}, {report.when}, on {machine.cpus} cores ({machine.system}, "
        f"Python {machine.python}) that load, tool and proxy share; load average before: {machine.load:g}. "
        f"{report.rounds} rounds, wrk for {report.seconds:g} s each; {versions}."
    )


def _targets(report: Report) -> str:
    first = report.history[0] if report.history else None
    heading = ["scenario", "nginx", OURS, "ratio", "target", *([f"at {first.commit}"] if first else [])]
    rows = []
    for one in SCENARIOS:
        ratio = report.results.ratio(one.key, NGINX.name, OURS)
        if ratio is None:
            continue
        cells = [one.title, _cpu(report, one, NGINX.name), _cpu(report, one, OURS), _ratio(ratio), _ratio(one.target)]
        rows.append([*cells, *([_ratio(first.ratios.get(one.key))] if first else [])])
    return _table(heading, rows)


def _every(report: Report) -> str:
    """CPU of all, for each scenario."""
    names = [name for name in report.peers if any(report.results.cpu(one.key, name) for one in SCENARIOS)]
    rows = [[one.title, *(_cpu(report, one, name) for name in names)] for one in _measured(report)]
    return "CPU of the proxy, for each request or GiB:\n\n" + _table(["scenario", *names], rows)


def _details(report: Report) -> str:
    """All that is known of the first scenario."""
    rows = []
    for name in report.peers:
        results = report.results
        if not results.of(FIRST.key, name):
            continue
        p50, p99 = results.latency(FIRST.key, name)
        ratio = results.ratio(FIRST.key, name, OURS) if name != OURS else None
        rate = results.rate(FIRST.key, name) or 0.0
        row = [name, f"{rate:,.0f}", f"{p50 or 0:.2f}", f"{p99 or 0:.2f}", _cpu(report, FIRST, name), _ratio(ratio)]
        rows.append([*row, _ratio(FIRST.target if name == NGINX.name else AGAINST.get(name))])
    heading = ["proxy", "requests/s", "p50 ms", "p99 ms", "CPU", f"divided by that of {OURS}", "target"]
    return f"{FIRST.title.capitalize()}, in full:\n\n" + _table(heading, rows)


def _alone(report: Report) -> str:
    rows = [
        [f"{what}: {name}", _plain(value), _plain(ALONE.get((what, name)))]
        for what, numbers in report.alone.items()
        for name, value in numbers.items()
    ]
    return _table(["measure", "reached", "at most"], rows)


def _left_out(report: Report) -> Iterable[str]:
    for name, package in report.results.missing.items():
        yield f"Missing: {name} ({package})."
    for name, reasons in report.results.failures.items():
        yield f"Failed: {name} {'; '.join(_short(reason) for reason in reasons)}."


def _short(reason: str) -> str:
    """Its first line, without a folder that is gone by now."""
    return reason.splitlines()[0][:120]


def _measured(report: Report) -> Sequence[Scenario]:
    return [one for one in SCENARIOS if report.results.samples.get(one.key)]


def _cpu(report: Report, scenario: Scenario, peer: str) -> str:
    value = report.results.cpu(scenario.key, peer)
    if value is None:
        return ""
    if scenario.per != "request":
        return f"{value:.2f} s"
    return f"{value * MICRO:.1f} us" if value * MICRO < HUNDRED else f"{value * MICRO:,.0f} us"


def _plain(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= HUNDRED or value == int(value) else f"{value:.3g}"


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    line: Callable[[Sequence[str]], str] = lambda cells: f"| {' | '.join(cells)} |"  # noqa: E731
    rule = "|---|" + "--:|" * (len(heading) - 1)
    return "\n".join([line(heading), rule, *map(line, rows)])


def main() -> int:
    """Make page and picture."""
    parser = argparse.ArgumentParser("python -m bench.report", description=__doc__)
    parser.add_argument("--docs", type=Path, default=CHECKOUT / "docs", help="where the JSON is (default: docs/)")
    render(parser.parse_args().docs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
