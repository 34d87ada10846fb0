"""Metrics of several processes as if they were one's: samples as values, and their sum. No domain words."""

from __future__ import annotations

from collections.abc import Callable, Container, Hashable, Iterator, Mapping, Sequence

import msgspec
from msgspec import Struct
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

# Samples of one message, so that it stays far below the largest frame however many series there are.
AT_ONCE = 5000

# Types whose numbers never fall, so that those of a process that has ended still count.
_CUMULATIVE = frozenset({"counter", "histogram"})


class SamplesError(Exception):
    """The bytes that came do not hold samples."""


class Sample(Struct, frozen=True, array_like=True):
    """One number; `labels` in the order in which its family has them."""

    name: str
    labels: tuple[tuple[str, str], ...]
    value: float


class Family(Struct, frozen=True, array_like=True):
    """A family of metrics, or a part of one."""

    name: str
    kind: str
    documentation: str
    samples: tuple[Sample, ...]


_DECODER = msgspec.msgpack.Decoder(Family)


def families(registry: CollectorRegistry, but: Container[str] = ()) -> Iterator[bytes]:
    """What a registry has now, encoded, without the families named in `but`. May take long: call it in a thread."""
    for metric in registry.collect():
        if metric.name in but:
            continue
        samples = tuple(Sample(name, tuple(labels.items()), value) for name, labels, value, *_ in metric.samples)
        for start in range(0, len(samples) or 1, AT_ONCE):
            part = Family(metric.name, metric.type, metric.documentation, samples[start : start + AT_ONCE])
            yield msgspec.msgpack.encode(part)


def read_family(data: bytes) -> Family:
    """What `families` has made.

    Raises:
        SamplesError: it is something else.
    """
    try:
        return _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise SamplesError("what came are not samples") from None


Series = tuple[str, tuple[tuple[str, str], ...]]


class _Summed:
    """A family while it is summed up."""

    __slots__ = ("documentation", "kind", "values")

    def __init__(self, kind: str, documentation: str) -> None:
        self.kind = kind
        self.documentation = documentation
        self.values: dict[Series, float] = {}

    def add(self, sample: Sample, combine: Callable[[float, float], float]) -> None:
        series = (sample.name, sample.labels)
        before = self.values.get(series)
        self.values[series] = sample.value if before is None else combine(before, sample.value)


class Sums(Collector):
    """This process's metrics, those that others told last, and the counters of processes that have ended.

    `registry` is this process's own. Of gauges named in `least` the lowest value counts: the first certificate to end.
    All others are added up.
    """

    def __init__(self, registry: CollectorRegistry, least: Container[str] = ()) -> None:
        self._registry = registry
        self._least = least
        # What was told, and what those who ended have counted. Never changed, only replaced, both at once: a scrape
        # runs in another thread, and must not see what one has counted in both, or in neither.
        self._held: tuple[Mapping[Hashable, tuple[Family, ...]], Mapping[str, _Summed]] = ({}, {})

    def told(self, who: Hashable, told: tuple[Family, ...]) -> None:
        """What a process has counted so far, in place of what it told before."""
        last, ended = self._held
        self._held = {**last, who: told}, ended

    def ended(self, who: Hashable) -> None:
        """That process has ended: what it counted stays in the sum as it was told last, its gauges go."""
        last, ended = self._held
        sums = {name: _copy(summed) for name, summed in ended.items()}
        for family in last.get(who, ()):
            if family.kind in _CUMULATIVE:
                self._add(sums, family)
        self._held = {other: told for other, told in last.items() if other != who}, sums

    def forget(self, gone: Container[tuple[str | None, ...]], names: Sequence[str]) -> None:
        """Drop series of ended processes whose labels of these names have values in `gone`: what they name is gone."""
        last, ended = self._held
        sums = {name: _copy(summed) for name, summed in ended.items()}
        for summed in sums.values():
            summed.values = {key: value for key, value in summed.values.items() if _values(key[1], names) not in gone}
        self._held = last, sums

    def collect(self) -> Iterator[Metric]:
        """Every family (prometheus_client's Collector). Runs in another thread."""
        last, ended = self._held
        sums = {name: _copy(summed) for name, summed in ended.items()}
        for told in last.values():
            for family in told:
                self._add(sums, family)
        for metric in self._registry.collect():
            samples = tuple(Sample(name, tuple(labels.items()), value) for name, labels, value, *_ in metric.samples)
            self._add(sums, Family(metric.name, metric.type, metric.documentation, samples))
        for name, summed in sums.items():
            metric = Metric(name, summed.documentation, summed.kind)
            for (sample, labels), value in summed.values.items():
                metric.add_sample(sample, dict(labels), value)
            yield metric

    def _add(self, sums: dict[str, _Summed], family: Family) -> None:
        combine = min if family.name in self._least else float.__add__
        summed = sums.setdefault(family.name, _Summed(family.kind, family.documentation))
        for sample in family.samples:
            summed.add(Sample(sample.name, sample.labels, float(sample.value)), combine)


def _copy(summed: _Summed) -> _Summed:
    copy = _Summed(summed.kind, summed.documentation)
    copy.values = dict(summed.values)
    return copy


def _values(labels: tuple[tuple[str, str], ...], names: Sequence[str]) -> tuple[str | None, ...]:
    found = dict(labels)
    return tuple(found.get(name) for name in names)
