from __future__ import annotations

import dataclasses

from connectors.objects.violation import Violation
from connectors.snapshot import Changes, Objects
from connectors.sources.loaded import Ignored, Loaded
from connectors.sources.place import Identity, Place, about_file
from tests.builders import connector

HERE = Identity("Connector", "default", "tool")


def test_a_later_violation_gets_its_place() -> None:
    place = Place(3, (0, ("spec",), ((2, ("address",), (4,)),)))
    loaded = Loaded(Objects(), place={HERE: ("a.yaml", place)}.get)
    assert str(loaded.problem(HERE, Violation("spec.address", "x"))).startswith("a.yaml:7: Connector default/tool:")
    assert str(loaded.problem(HERE, Violation("spec.auth.name", "x"))).startswith("a.yaml:5:")
    builtin = Identity("ConnectorClass", "", "git")
    assert str(loaded.problem(builtin, Violation("spec", "x"))) == "(built in): ConnectorClass git: spec: x"


def test_what_counts_as_new() -> None:
    one = connector()
    loaded = Loaded(Objects((one,)), (about_file("a", 1, "x"),), (), (Ignored("Pod", "a"),))
    assert loaded.tells_the_same(Loaded(Objects((one,)), (about_file("a", 1, "x"),), (), (Ignored("Pod", "a"),)))
    assert not loaded.tells_the_same(Loaded(Objects(), loaded.problems, (), loaded.ignored))
    assert not loaded.tells_the_same(Loaded(loaded.objects, (), (), loaded.ignored))
    assert not loaded.tells_the_same(Loaded(loaded.objects, loaded.problems))
    same = Loaded(Objects(), loaded.problems, (), loaded.ignored, changes=Changes())
    assert same.tells_the_same(loaded), "it knows itself that nothing has changed"
    assert not dataclasses.replace(same, changes=Changes(connectors={one.key: None})).tells_the_same(loaded)
