from __future__ import annotations

import re

from proxy.audit.audit import RequestIds


def test_no_id_comes_twice_from_one_process_nor_from_two() -> None:
    one, other = RequestIds(), RequestIds()
    ids = [source.text(source.take()) for _ in range(1000) for source in (one, other)]
    assert len(set(ids)) == len(ids)
    assert len({found.partition("-")[0] for found in ids}) == 2


def test_they_are_short_and_plain() -> None:
    ids = RequestIds()
    first, second = ids.text(ids.take()), ids.text(ids.take())
    assert re.fullmatch(r"[0-9a-f]{16}-1", first)
    assert second == first.removesuffix("1") + "2"
