from __future__ import annotations

from connectors.snapshot import Memo


def test_what_is_made_of_the_very_same_is_kept() -> None:
    memo: Memo[str, int] = Memo()
    one, other = [1], [1]
    assert memo.get("a", (one, None)) is None
    assert memo.put("a", (one, None), 5) == 5
    assert memo.get("a", (one, None)) == 5
    assert memo.get("b", (one, None)) is None
    assert memo.get("a", (other, None)) is None, "equal is not the same"
    assert memo.get("a", (one,)) is None
    memo.put("a", (other, None), 6)
    assert (memo.get("a", (one, None)), memo.get("a", (other, None))) == (None, 6)
    memo.forget("a")
    memo.forget("a")
    assert memo.get("a", (other, None)) is None
