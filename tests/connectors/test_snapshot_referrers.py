from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from connectors.objects.connector import ConnectorKey
from connectors.snapshot import Referrers

KEYS = [ConnectorKey("team", name) for name in "abc"]
STEPS = st.lists(st.tuples(st.sampled_from("xy"), st.sampled_from(KEYS), st.booleans()), max_size=20)


@given(STEPS)
def test_it_is_a_set_for_each_thing(steps: list[tuple[str, ConnectorKey, bool]]) -> None:
    index: Referrers[str] = Referrers()
    plain: dict[str, set[ConnectorKey]] = {"x": set(), "y": set()}
    for to, key, adds in steps:
        if adds:
            index.add(to, key)
            plain[to].add(key)
        else:
            index.remove(to, key)
            plain[to].discard(key)
    assert {to: set(index.of(to)) for to in plain} == plain
    assert all(len(index.of(to)) == len(plain[to]) for to in plain)
    assert set(index) == {to for to, keys in plain.items() if keys}
    assert [to in index for to in plain] == [bool(keys) for keys in plain.values()]
