from __future__ import annotations

import sys
import threading

import msgspec
import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from connectors.process.samples import AT_ONCE, Family, SamplesError, Sums, families, read_family


class Process:
    """The metrics of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.asked = Counter("asked", "Asked.", ("name",), registry=self.registry)
        self.open = Gauge("open", "Open.", registry=self.registry)
        self.ends = Gauge("ends", "When.", registry=self.registry)
        self.took = Histogram("took", "Took.", buckets=(1.0,), registry=self.registry)

    def told(self) -> tuple[Family, ...]:
        return tuple(map(read_family, families(self.registry)))


def sums(own: CollectorRegistry | None = None) -> tuple[Sums, CollectorRegistry]:
    made = Sums(own or CollectorRegistry(), frozenset({"ends"}))
    registry = CollectorRegistry()
    registry.register(made)
    return made, registry


def test_numbers_of_several_processes_are_added_up() -> None:
    own, other, third = Process(), Process(), Process()
    for process, number in ((own, 1), (other, 2), (third, 4)):
        process.asked.labels("a").inc(number)
        process.open.set(number)
        process.ends.set(10 * number)
        process.took.observe(0.5 * number)
    third.asked.labels("b").inc()
    made, registry = sums(own.registry)
    made.told(1, other.told())
    made.told(2, third.told())
    assert registry.get_sample_value("asked_total", {"name": "a"}) == 7
    assert registry.get_sample_value("asked_total", {"name": "b"}) == 1
    assert registry.get_sample_value("open") == 7
    assert registry.get_sample_value("ends") == 10
    assert registry.get_sample_value("took_bucket", {"le": "1.0"}) == 2
    assert registry.get_sample_value("took_count") == 3
    assert registry.get_sample_value("took_sum") == 3.5
    assert b"# TYPE asked_total counter" in generate_latest(registry)


def test_r25_no_counter_falls_when_a_process_ends_and_another_takes_its_place() -> None:
    process = Process()
    process.asked.labels("a").inc(5)
    process.open.set(3)
    process.took.observe(2)
    made, registry = sums()
    made.told(1, process.told())
    made.ended(1)
    made.ended(1)
    assert registry.get_sample_value("asked_total", {"name": "a"}) == 5
    assert registry.get_sample_value("took_count") == 1
    assert registry.get_sample_value("open") is None
    made.told(1, Process().told())
    another = Process()
    another.asked.labels("a").inc(2)
    made.told(1, another.told())
    assert registry.get_sample_value("asked_total", {"name": "a"}) == 7


def test_what_is_gone_is_forgotten() -> None:
    process = Process()
    for name in ("a", "b"):
        process.asked.labels(name).inc()
    made, registry = sums()
    made.told(1, process.told())
    made.ended(1)
    made.forget({("a",)}, ("name",))
    assert registry.get_sample_value("asked_total", {"name": "a"}) is None
    assert registry.get_sample_value("asked_total", {"name": "b"}) == 1


def test_r25_no_counter_falls_for_a_scrape_while_a_process_ends() -> None:
    process = Process()
    for name in range(200):
        process.asked.labels(str(name)).inc()
    told = process.told() * 50  # it takes a while to add them
    made, registry = sums()
    made.told(0, told)
    over = threading.Event()
    seen: list[float] = []

    def scrape() -> None:
        while not over.is_set():
            samples = [sample for metric in registry.collect() for sample in metric.samples]
            seen.append(sum(sample.value for sample in samples if sample.name == "asked_total"))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        for number in range(50):
            made.ended(number)
            made.told(number + 1, told)
    finally:
        over.set()
        thread.join()
        sys.setswitchinterval(interval)
    assert seen == sorted(seen)


def test_some_are_left_out() -> None:
    names = {read_family(told).name for told in families(Process().registry, {"open", "took"})}
    assert names == {"asked", "ends"}


def test_a_large_family_comes_in_parts() -> None:
    process = Process()
    for number in range(AT_ONCE + 1):
        process.asked.labels(str(number)).inc()
    parts = [family for family in process.told() if family.name == "asked"]
    assert len(parts) > 1
    made, registry = sums()
    made.told(1, tuple(parts))
    assert registry.get_sample_value("asked_total", {"name": str(AT_ONCE)}) == 1


@pytest.mark.parametrize(
    "data", [b"", b"\xc1", b"\x90", msgspec.msgpack.encode(["a", "counter", "b", [["c", [], "d"]]])]
)
def test_what_are_no_samples(data: bytes) -> None:
    with pytest.raises(SamplesError):
        read_family(data)
