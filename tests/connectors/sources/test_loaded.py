from __future__ import annotations

from connectors.model.feature_flags import FeatureFlags
from connectors.model.violation import Violation
from connectors.snapshot import Objects
from connectors.sources.loaded import Ignored, Loaded, objects_of
from connectors.sources.manifests import Value
from connectors.sources.place import Place
from connectors.sources.problem import Identity, about_file
from tests.connectors.builders import basic_class, connector, secret

HERE = Identity("Connector", "default", "tool")


def test_objects_are_sorted_by_kind() -> None:
    one, two, flags = connector("one"), connector("two"), FeatureFlags(enable_custom_ca_certs=True)
    demo, login = basic_class(), secret()
    found: tuple[Value, ...] = (two, login, demo, flags, one)
    values = {Identity("", "", str(number)): value for number, value in enumerate(found)}
    assert objects_of(values) == Objects((two, one), (demo,), (login,), flags)
    assert objects_of({}) == Objects()


def test_a_later_violation_gets_its_place() -> None:
    place = Place(3, {"spec": Place(5, {"address": Place(7)})})
    loaded = Loaded(Objects(), places={HERE: ("a.yaml", place)})
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
