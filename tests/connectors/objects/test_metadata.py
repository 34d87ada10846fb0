from __future__ import annotations

import msgspec

from connectors.objects.metadata import ObjectMeta


def test_what_thousands_have_in_common_is_there_once() -> None:
    one, other = (msgspec.json.decode(b'{"name": "%d", "namespace": "team"}' % n, type=ObjectMeta) for n in range(2))
    assert one.namespace is other.namespace
    assert one.labels is other.labels
    assert one.annotations is other.annotations
    assert (one.labels, one.annotations) == ({}, {})


def test_what_is_there_stays_and_what_is_not_is_not_written() -> None:
    full = msgspec.json.decode(b'{"labels": {"a": "b"}, "annotations": {"c": "d"}}', type=ObjectMeta)
    assert (full.labels, full.annotations) == ({"a": "b"}, {"c": "d"})
    assert msgspec.json.encode(ObjectMeta(name="a")) == b'{"name":"a"}'
