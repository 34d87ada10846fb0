from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from connectors.dial.upstream_proxy import Egress, UpstreamProxies
from connectors.tls.pool import SYSTEM_TRUST
from controller.probes.schedule import ProbeSettings, inputs_of, inputs_of_class, parse_interval, pause
from tests.controller.probes.subjects import judgement, login, probed, probing_class
from tests.peers.trust import trust

OTHER = trust(trustme.CA())


@pytest.mark.parametrize(
    ("interval", "failures", "seconds"),
    [(60, 0, 60), (60, 1, 120), (60, 2, 240), (60, 3, 300), (60, 400, 300), (1, 3, 8), (600, 0, 600), (600, 5, 600)],
)
def test_pauses(interval: float, failures: int, seconds: float) -> None:
    assert pause(ProbeSettings(interval=interval), failures, 0.5) == pytest.approx(seconds)


@given(st.integers(0, 10**6), st.floats(0, 1))
def test_jitter_is_a_tenth(failures: int, chance: float) -> None:
    assert 54 <= pause(ProbeSettings(), failures, chance) <= 330


def test_what_makes_an_outcome_void() -> None:
    kind, item = probing_class(), probed()
    before = inputs_of(judgement(kind, item))
    other_spec = msgspec.structs.replace(item, metadata=msgspec.structs.replace(item.metadata, generation=2))
    again = msgspec.structs.replace(item, metadata=msgspec.structs.replace(item.metadata, uid="another"))
    newer = msgspec.structs.replace(kind, metadata=msgspec.structs.replace(kind.metadata, generation=2))
    assert inputs_of(judgement(kind, other_spec)) != before
    assert inputs_of(judgement(kind, again)) != before
    assert inputs_of(judgement(newer, item)) != before
    assert inputs_of(judgement(kind, item, login("2"))) != before
    assert inputs_of(replace(judgement(kind, item), secret=None)) != before
    assert inputs_of(replace(judgement(kind, item), trust=OTHER)) != before
    assert inputs_of_class(kind, SYSTEM_TRUST) != inputs_of_class(newer, SYSTEM_TRUST)
    assert inputs_of_class(kind, SYSTEM_TRUST) != inputs_of_class(kind, OTHER)
    assert inputs_of(replace(judgement(kind, item), egress=Egress())) != before
    assert inputs_of_class(kind, SYSTEM_TRUST, UpstreamProxies()) != inputs_of_class(kind, SYSTEM_TRUST)


def test_a_label_voids_nothing() -> None:
    kind, item = probing_class(), probed()
    labelled = msgspec.structs.replace(item, metadata=msgspec.structs.replace(item.metadata, labels={"a": "b"}))
    assert inputs_of(judgement(kind, labelled)) == inputs_of(judgement(kind, item))


@pytest.mark.parametrize(("text", "seconds"), [("0", 0), ("0s", 0), ("1s", 1), ("1500ms", 1.5), ("5m", 300)])
def test_intervals(text: str, seconds: float) -> None:
    assert parse_interval(text) == seconds


@pytest.mark.parametrize("text", ["1ms", "999ms", "0.5", "-1s", "off", ""])
def test_what_is_no_interval(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_interval(text)


def test_the_default_is_the_contracts() -> None:
    assert ProbeSettings().interval == 60
