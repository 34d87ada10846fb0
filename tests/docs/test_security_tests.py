"""docs/security-tests.md says what attacks/recorded.json holds, of every attack that there is."""

from __future__ import annotations

import pytest

from attacks.outcome import read
from attacks.page import PAGE, RECORDED, between, generated
from attacks.registry import ATTACKS
from tests.docs.pages import ROOT, rows, text

RECORD = read(ROOT / RECORDED)
HEADINGS = {1: "One process", 2: "2 workers"}


def test_the_page_is_what_the_generator_writes() -> None:
    assert text(PAGE) == between(text(PAGE), generated(RECORD)), "run `python -m attacks.page`"


@pytest.mark.parametrize("workers", HEADINGS)
def test_every_attack_has_its_row(workers: int) -> None:
    table = rows(PAGE, HEADINGS[workers])
    expected = [(one.name, str(one.threat)) for one in ATTACKS if workers == 1 or not one.single]
    assert [(row[0], row[1]) for row in table] == expected
    names = {one.name for one in RECORD.outcomes if one.workers == workers and not one.skipped}
    assert names == {name for name, _ in expected}, "play all of them: `make attack-record`"


def test_what_is_recorded_is_an_attack() -> None:
    assert {one.name for one in RECORD.outcomes} <= {one.name for one in ATTACKS}
    assert len({one.name for one in ATTACKS}) == len(ATTACKS)


def test_a_page_without_a_place_for_it_is_not_written() -> None:
    with pytest.raises(ValueError, match="lacks the line"):
        between("# Page\n", "x")
