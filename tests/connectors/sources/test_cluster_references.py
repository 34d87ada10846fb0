from __future__ import annotations

from connectors.kube.selection import ObjectKey
from connectors.objects.connector import ConnectorKey
from connectors.sources.cluster import References

ONE, OTHER = ConnectorKey("team", "one"), ConnectorKey("team", "other")
A, B = ObjectKey("team", "a"), ObjectKey("team", "b")


def test_a_secret_is_wanted_from_its_first_reference_to_its_last() -> None:
    told: list[tuple[str, ObjectKey]] = []
    references = References(lambda key: told.append(("want", key)), lambda key: told.append(("drop", key)))
    references.set(ONE, (A, B))
    references.set(OTHER, (A,))
    assert told == [("want", A), ("want", B)]
    references.set(ONE, (A,))
    assert told[2:] == [("drop", B)]
    references.set(ONE, ())
    references.set(ONE, ())
    assert told[3:] == []
    references.set(OTHER, ())
    assert told[3:] == [("drop", A)]
